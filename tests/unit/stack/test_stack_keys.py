"""Keys that stay, keys that are left out with a note, and keys that nothing can stand in for."""

from __future__ import annotations

from typing import Any

import pytest
from stack_helpers import SAID, a_service, compose, converted, notes_of, refusal, web

from harness.stack.steps.unsupported import LEFT_OUT, REFUSED


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("cap_drop: [NET_RAW]", ["NET_RAW"]),
        ("dns: 1.1.1.1", ["1.1.1.1"]),
        ("dns_search: [a.example]", ["a.example"]),
        ("extra_hosts: ['db:10.0.0.1']", ["db:10.0.0.1"]),
        ("extra_hosts: {db: 10.0.0.1}", ["db:10.0.0.1"]),
        ("extra_hosts: [db=10.0.0.1]", ["db:10.0.0.1"]),
        ("hostname: shop", "shop"),
        ("hostname: '{{.Task.Slot}}'", '{{"{{"}}.Task.Slot}}'),
        ("init: true", True),
        ("init: '${YES}'", True),
        ("labels: [a=b, c]", {"a": "b", "c": ""}),
        ("labels: {a: 1, b: true}", {"a": "1", "b": "true"}),
        (
            "logging: {driver: json-file, options: {max-file: 3}}",
            {"driver": "json-file", "options": {"max-file": "3"}},
        ),
        ("read_only: true", True),
        ("stdin_open: true", True),
        ("stop_grace_period: 1m30s", "1m30s"),
        ("stop_signal: SIGINT", "SIGINT"),
        ("sysctls: {net.core.somaxconn: 1024}", {"net.core.somaxconn": "1024"}),
        ("tty: true", True),
        (
            "ulimits: {nofile: {soft: 10, hard: '20'}, nproc: 5}",
            {"nofile": {"soft": 10, "hard": 20}, "nproc": 5},
        ),
        ("user: '1000'", "1000"),
        ("working_dir: /srv", "/srv"),
    ],
)
def test_a_key_that_means_the_same_stays(lines: str, value: Any) -> None:
    """In the form that the schema of stacks asks for."""
    body, stack = web(lines, environment={"YES": "yes"})
    key = lines.partition(":")[0]
    assert body[key] == value
    assert notes_of(stack, key) == []


DB = "  db: {image: db}\n"


@pytest.mark.parametrize("key", sorted(LEFT_OUT))
def test_a_key_that_is_left_out_has_a_note(key: str) -> None:
    """It is not in the stack, and one note says what is so instead."""
    stack = converted(compose(f"{key}: {SAID.get(key, '[x]')}") + DB)
    body = stack.document["services"]["web"]
    assert key not in body
    assert len(notes_of(stack, key)) == 1


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_key_that_nothing_stands_in_for_is_refused(key: str) -> None:
    """With the file, the field and what would be right."""
    error = refusal(compose(f"{key}: {SAID.get(key, '[x]')}") + DB)
    assert error.file == "/nowhere/app/docker-compose.yml"
    assert error.field == f"services.web.{key}"
    assert error.remedy


def test_privileged_is_refused_with_both_ways_out() -> None:
    """A swarm would ignore it, and the service would start and fail at what it is for."""
    error = refusal(compose("privileged: true"))
    assert error.field == "services.web.privileged"
    assert "cap_add: [SYS_ADMIN]" in error.remedy
    assert "plain `services:`" in error.remedy


def test_capabilities_of_the_topology_stand_in_for_privileged() -> None:
    """With a note; what the file adds itself stays."""
    body, stack = web("privileged: true\ncap_add: [NET_ADMIN]", a_service(cap_add=("SYS_ADMIN",)))
    assert body["cap_add"] == ["NET_ADMIN", "SYS_ADMIN"]
    assert "privileged" not in body
    assert "NET_ADMIN, SYS_ADMIN" in notes_of(stack, "privileged")[0]


def test_without_privileges_asked_for_nothing_is_said() -> None:
    """``privileged: false`` is how a stack is anyway."""
    body, stack = web("privileged: false\ncap_add: [SYS_ADMIN]")
    assert body["cap_add"] == ["SYS_ADMIN"]
    assert notes_of(stack, "privileged") == []


def test_capabilities_are_for_whoever_asks_for_privileges() -> None:
    """And for nobody else of the file."""
    text = "services: {web: {image: w}, run: {image: r, privileged: true}}"
    services = converted(text, a_service(cap_add=("SYS_ADMIN",))).document["services"]
    assert services["web-run"]["cap_add"] == ["SYS_ADMIN"]
    assert "cap_add" not in services["web"]


def test_where_nobody_asks_they_are_the_main_containers() -> None:
    """The topology may give what the file does not ask for."""
    services = converted(
        "services: {web: {image: w}, db: {image: d}}", a_service(cap_add=("SYS_ADMIN",))
    ).document["services"]
    assert services["web"]["cap_add"] == ["SYS_ADMIN"]
    assert "cap_add" not in services["web-db"]


@pytest.mark.parametrize("spelled", ["apparmor=unconfined", "apparmor:unconfined"])
def test_apparmor_stays_and_forbids_mount(spelled: str) -> None:
    """The note says what that means on hosts that have it."""
    _, stack = web(f"security_opt: ['{spelled}', seccomp=unconfined]")
    apparmor, others = notes_of(stack, "security_opt")
    assert "forbids mount" in apparmor
    assert "seccomp=unconfined" in others


@pytest.mark.parametrize(("key", "value"), [("ipc", "host"), ("ipc", "service:db"), ("pid", "host")])
def test_a_namespace_of_another_is_refused(key: str, value: str) -> None:
    """What the service sees would be another thing."""
    assert refusal(compose(f"{key}: {value}")).field == f"services.web.{key}"


def test_a_namespace_of_its_own_is_a_note() -> None:
    """It has that anyway."""
    _, stack = web("ipc: private")
    assert notes_of(stack, "ipc")


def test_extensions_say_nothing() -> None:
    """A note for each."""
    body, stack = web("x-team: shop")
    assert "x-team" not in body
    assert notes_of(stack, "x-team")


@pytest.mark.parametrize(
    "lines",
    [
        "init: perhaps",
        "read_only: [true]",
        "user: [a]",
        "stop_grace_period: soon",
        "ulimits: {nofile: many}",
        "logging: {color: red}",
        "extra_hosts: ['host.docker.internal:host-gateway']",
        "sysctls: 5",
        'command: "\'"',
        "shm_size: big",
        "mem_limit: [1]",
        "entrypoint: []",
    ],
)
def test_a_value_of_another_form_is_refused(lines: str) -> None:
    """With the file, the key, and what would be right."""
    error = refusal(compose(lines))
    assert lines.partition(":")[0] in str(error) or "limits.memory" in str(error)
    assert error.remedy
