"""``deploy``: placement, replicas, restarts, updates and resources."""

from __future__ import annotations

from typing import Any

import pytest
from stack_helpers import a_service, compose, converted, notes_of, refusal, web


def deploy(lines: str = "", **more: Any) -> dict[str, Any]:
    """The ``deploy`` section of a service."""
    body, _ = web(lines, a_service(**more))
    section: dict[str, Any] = body["deploy"]
    return section


def test_a_service_stays_on_its_droplets() -> None:
    """By the label that its droplets have, and all constraints of the topology and the file."""
    found = deploy(
        "deploy: {placement: {constraints: [node.platform.os == linux], "
        "preferences: [{spread: node.labels.role}]}}",
        constraints=("node.role == worker",),
    )
    assert found["placement"] == {
        "constraints": ["node.labels.web == true", "node.role == worker", "node.platform.os == linux"],
        "preferences": [{"spread": "node.labels.role"}],
    }


def test_what_ends_is_started_again_soon() -> None:
    """After 1 s, not after Docker's 5 s."""
    assert deploy()["restart_policy"] == {"condition": "any", "delay": "1s"}


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        ("restart: always", {"condition": "any", "delay": "1s"}),
        ("restart: unless-stopped", {"condition": "any", "delay": "1s"}),
        ("restart: on-failure", {"condition": "on-failure", "delay": "1s"}),
        ("restart: on-failure:3", {"condition": "on-failure", "delay": "1s", "max_attempts": 3}),
        ("restart: 'no'", {"condition": "none"}),
        ("restart: no", {"condition": "none"}),
        ("deploy: {restart_policy: {delay: 9s}}", {"condition": "any", "delay": "9s"}),
    ],
)
def test_restart_becomes_a_restart_policy(lines: str, policy: dict[str, Any]) -> None:
    """What the file says counts, its deploy section first."""
    body, _ = web(lines)
    assert body["deploy"]["restart_policy"] == policy
    assert "restart" not in body


def test_a_service_that_is_to_end_is_told_to_count_as_missing() -> None:
    """The stack would wait for it for ever."""
    _, stack = web("restart: 'no'")
    assert notes_of(stack, "restart")


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_update_goes_one_by_one_and_back_where_it_fails(order: str) -> None:
    """In the topology's order."""
    found = deploy(order=order)
    assert found["update_config"] == {
        "parallelism": 1,
        "failure_action": "rollback",
        "monitor": "10s",
        "order": order,
    }
    assert found["rollback_config"]["order"] == order
    assert found["rollback_config"]["failure_action"] == "pause"


def test_what_the_file_says_of_updates_counts_apart_from_the_order() -> None:
    """Numbers may come from variables."""
    lines = (
        "deploy: {update_config: {parallelism: '${N}', delay: 2s, max_failure_ratio: 0.5, order: stop-first}}"
    )
    body, stack = web(lines, environment={"N": "2"})
    wanted = {"parallelism": 2, "delay": "2s", "max_failure_ratio": 0.5, "order": "start-first"}
    assert wanted.items() <= body["deploy"]["update_config"].items()
    assert "start-first, by `order`" in notes_of(stack, "deploy.update_config.order")[0]


@pytest.mark.parametrize(
    ("lines", "resources"),
    [
        ("mem_limit: 512m", {"limits": {"memory": "512m"}}),
        ("cpus: 0.5", {"limits": {"cpus": "0.5"}}),
        ("cpu_quota: 50000", {"limits": {"cpus": "0.500"}}),
        ("cpu_quota: 50000\ncpu_period: 50000", {"limits": {"cpus": "1.000"}}),
        ("mem_reservation: 100m", {"reservations": {"memory": "100m"}}),
        (
            "mem_limit: 2g\ndeploy: {resources: {limits: {memory: 2g}, reservations: {cpus: 1}}}",
            {"limits": {"memory": "2g"}, "reservations": {"cpus": "1"}},
        ),
    ],
)
def test_older_keys_become_resources(lines: str, resources: dict[str, Any]) -> None:
    """The file's ``deploy`` wins over them."""
    assert deploy(lines)["resources"] == resources


def test_a_limit_of_processes_is_told_to_be_lost() -> None:
    """``ulimits`` is what is converted."""
    _, stack = web("deploy: {resources: {limits: {pids: 100}}}")
    assert notes_of(stack, "deploy.resources.limits.pids")


def test_reserved_devices_are_refused() -> None:
    """A program that needs one would not work."""
    text = compose("deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}")
    assert "plain `services:`" in refusal(text).remedy


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ("deploy: {mode: global}", "deploy.mode"),
        ("deploy: {replicas: 5}", "deploy.replicas"),
        ("scale: 5", "scale"),
        ("deploy: {endpoint_mode: vip}", "deploy.endpoint_mode"),
    ],
)
def test_where_the_topology_decides_otherwise_a_note_says_so(lines: str, key: str) -> None:
    """Replicas, mode and how a name leads to tasks."""
    body, stack = web(lines)
    assert body["deploy"]["replicas"] == 1
    assert body["deploy"]["mode"] == "replicated"
    assert len(notes_of(stack, key)) == 1


def test_what_agrees_needs_no_note() -> None:
    """Nothing is otherwise."""
    _, stack = web(
        "deploy: {mode: replicated, replicas: 1, endpoint_mode: dnsrr, update_config: {order: start-first}}"
    )
    assert not [note for note in stack.notes if "deploy" in note.where]


def test_others_of_a_file_have_the_files_own_replicas() -> None:
    """The topology speaks of the service itself."""
    text = "services: {web: {image: w}, a: {image: a, deploy: {replicas: 2}}, b: {image: b, scale: 3}}"
    services = converted(text).document["services"]
    assert [services[name]["deploy"]["replicas"] for name in ("web-a", "web-b")] == [2, 3]


def test_replicas_that_no_node_can_place_are_refused() -> None:
    """As many as the file allows on a node, times the nodes."""
    text = compose("deploy: {placement: {max_replicas_per_node: 2}}")
    assert converted(text, a_service(replicas=4))
    error = refusal(text, a_service(replicas=5))
    assert "5 replicas that no node can place" in str(error)
    assert error.file == "small.yaml"


@pytest.mark.parametrize(
    "said",
    [
        "{color: red}",
        "{placement: {color: red}}",
        "{update_config: {color: red}}",
        "{restart_policy: {color: red}}",
        "{resources: {color: red}}",
        "{resources: {limits: {color: red}}}",
    ],
)
def test_keys_that_no_stack_has_are_refused(said: str) -> None:
    """Anywhere in ``deploy``."""
    assert refusal(compose(f"deploy: {said}")).field.endswith(".color")


def test_an_unknown_order_is_refused() -> None:
    """Of a container beside the main one, whose order is the file's own."""
    text = "services: {web: {image: w}, b: {image: b, deploy: {update_config: {order: x}}}}"
    assert refusal(text).field == "services.b.deploy.update_config.order"


def test_an_unknown_restart_policy_is_refused() -> None:
    """With those that there are."""
    assert "unless-stopped" in refusal(compose("restart: sometimes")).remedy
