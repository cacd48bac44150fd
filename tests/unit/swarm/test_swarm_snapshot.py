"""Reading what Docker says of a swarm, and finding whom to ask."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from swarm_helpers import FakeAccess, deployment, failure, leader, lines, node
from swarm_samples import plan

from harness.core.errors import ResourceError, WaitTimeoutError
from harness.swarm import snapshot

LEADERLESS = "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader."
NO_MANAGER = "Error response from daemon: This node is not a swarm manager."


def task(name: str, at: str, *, state: str = "running", where: str = "id-one", **more: Any) -> dict[str, Any]:
    """A task as ``docker inspect`` has it."""
    return {
        "ID": name,
        "ServiceID": "s-web",
        "Slot": 1,
        "NodeID": where,
        "DesiredState": "running",
        "Spec": {"ContainerSpec": {"Image": "sha256:1"}},
        "Status": {"Timestamp": at, "State": state},
        **more,
    }


def spec(name: str, *, image: str = "sha256:1", **more: Any) -> dict[str, Any]:
    """A service as ``docker service inspect`` has it."""
    body = {"Name": f"stack_{name}", "TaskTemplate": {"ContainerSpec": {"Image": image}}}
    return {"ID": f"s-{name}", "Spec": body, **more}


def test_members_are_named_by_their_droplets_addresses() -> None:
    """In the deployment's order; what has no droplet's address comes last and has no name."""
    listed = lines(node("x", "10.9.0.1"), node("two", "10.1.0.12"), leader("boss", "10.1.0.10"))
    found = snapshot.members(FakeAccess(lambda *_: listed), deployment(), "boss")
    assert [(each.node, each.id, each.address) for each in found] == [
        ("boss", "id-boss", "10.1.0.10"),
        ("two", "id-two", "10.1.0.12"),
        ("", "id-x", "10.9.0.1"),
    ]
    assert [each.leader for each in found] == [True, False, False]


def test_rebuilt_droplet_has_two_entries() -> None:
    """Both are told, for one of them has to go."""
    listed = lines(node("old", "10.1.0.11", status="down"), node("new", "10.1.0.11"))
    found = snapshot.members(FakeAccess(lambda *_: listed), deployment(), "boss")
    assert [(each.node, each.status) for each in found] == [("one", "down"), ("one", "ready")]


def test_services_lose_the_stacks_name_and_counts_their_remarks() -> None:
    """Docker writes limits behind the numbers."""
    rows = lines(
        {"Name": "stack_web", "Replicas": "2/3 (max 1 per node)"}, {"Name": "stack_api", "Replicas": "0/0"}
    )
    update = {"State": "paused", "Message": "update paused due to failure"}
    answer = rows + "---\n" + lines(spec("web", UpdateStatus=update), spec("api", image="sha256:2"))
    api, web = snapshot.services(FakeAccess(lambda *_: answer), "boss", "stack")
    assert (api.name, api.image, api.running, api.desired, api.update) == ("api", "sha256:2", 0, 0, "")
    assert (web.name, web.running, web.desired) == ("web", 2, 3)
    assert (web.update, web.message) == ("paused", "update paused due to failure")


def test_service_that_goes_while_it_is_listed_is_left_out() -> None:
    """It was counted, and is gone when it is looked at."""
    answer = lines({"Name": "stack_web", "Replicas": "1/1"}) + "---\n"
    assert snapshot.services(FakeAccess(lambda *_: answer), "boss", "stack") == ()


def test_tasks_are_told_by_slot_and_the_newest_first() -> None:
    """With the droplet they run on, if any, and what they say of themselves."""
    tasks = [
        task("old", "2026-01-01T10:00:00.1Z", state="failed", DesiredState="shutdown"),
        task("new", "2026-01-01T10:00:02.5Z"),
        task("waits", "2026-01-01T10:00:01Z", state="pending", where="", Slot=2),
    ]
    tasks[0]["Status"] |= {"Err": "task: non-zero exit (3)"}
    tasks[1]["Status"] |= {"ContainerStatus": {"ContainerID": "c1"}}
    answer = "---\n".join([lines(node("one", "10.1.0.11")), lines(spec("web")), lines(*tasks)])
    found = snapshot.tasks(FakeAccess(lambda *_: answer), deployment(), "boss", "stack")
    assert [(each.id, each.slot, each.node, each.container) for each in found] == [
        ("new", 1, "one", "c1"),
        ("old", 1, "one", ""),
        ("waits", 2, "", ""),
    ]
    assert (found[1].state, found[1].desired, found[1].error) == (
        "failed",
        "shutdown",
        "task: non-zero exit (3)",
    )
    assert {each.service for each in found} == {"web"}
    assert snapshot.tasks(FakeAccess(lambda *_: answer), deployment(), "boss", "stack", "api") == ()


def test_stack_without_services_has_no_tasks() -> None:
    """The script ends early then."""
    answer = lines(node("one", "10.1.0.11")) + "---\n"
    assert snapshot.tasks(FakeAccess(lambda *_: answer), deployment(), "boss", "stack") == ()


def test_all_of_a_stack_is_read_with_one_command() -> None:
    """What is inspected for one purpose serves the others, too."""
    parts = [
        lines(node("one", "10.1.0.11")),
        lines({"Name": "stack_web", "Replicas": "1/1"}),
        lines(spec("web")),
        lines(task("new", "2026-01-01T10:00:02.5Z")),
    ]
    scripts: list[str] = []

    def answer(_: str, script: str) -> str:
        scripts.append(script)
        return "---\n".join(parts)

    access = FakeAccess(answer)
    read = snapshot.read(access, "boss", "stack")
    (member,), (service,), (ran,) = snapshot.described(read, deployment(), "stack")
    assert (member.node, service.name, service.running, ran.id, ran.node) == ("one", "web", 1, "new", "one")
    assert len(scripts) == 1
    assert "label=com.docker.stack.namespace=stack " in scripts[0]


def test_all_of_a_stack_that_is_not_there_are_the_members() -> None:
    """The script ends early then."""
    access = FakeAccess(lambda *_: lines(node("one", "10.1.0.11")) + "---\n")
    found = snapshot.described(snapshot.read(access, "boss", "stack"), deployment(), "stack")
    assert [len(each) for each in found] == [1, 0, 0]


def test_first_manager_that_answers_is_taken() -> None:
    """One that was made a worker, or knows no leader, is not."""

    def answer(name: str, script: str) -> str:
        if name == "boss":
            raise failure(NO_MANAGER)
        return ""

    access = FakeAccess(answer)
    assert snapshot.a_manager(access, plan(managers=("boss", "one", "two"))) == "one"
    assert access.dropped == []


def test_silent_manager_is_not_waited_for_when_another_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead machine says nothing for long; the connection to it is given up."""
    monkeypatch.setattr(snapshot, "GRACE_SECONDS", 0.01)
    answered, spoke = threading.Event(), threading.Event()

    def answer(name: str, script: str) -> str:
        if name == "boss":
            answered.wait(30)
            spoke.set()
            raise failure("Connection timed out", code=255)
        return ""

    access = FakeAccess(answer)
    try:
        assert snapshot.a_manager(access, plan(managers=("boss", "one"))) == "one"
        assert not spoke.is_set()
    finally:
        answered.set()


def test_connection_that_failed_is_dropped() -> None:
    """Its master may hang on a machine whose power was cut."""

    def answer(name: str, script: str) -> str:
        raise failure("Connection timed out", code=255)

    access = FakeAccess(answer)
    with pytest.raises(
        ResourceError, match="none of its 1 managers answers as one\n  boss: Connection timed out"
    ):
        snapshot.a_manager(access, plan(), deadline=0)
    assert access.dropped == ["boss"]


@pytest.mark.parametrize(
    ("replies", "counted"),
    [
        (
            {"a": LEADERLESS, "b": "Connection timed out", "c": "Connection timed out"},
            "1 of 3 managers answer",
        ),
        ({"a": LEADERLESS, "b": NO_MANAGER, "c": "it waits for a leader"}, "2 of 3 managers answer"),
        ({"a": LEADERLESS, "b": "waited 10 s for a command on b"}, "1 of 2 managers answer, and it takes 2"),
    ],
)
def test_lost_quorum_is_counted(replies: dict[str, str], counted: str) -> None:
    """Those that answer without a leader are the ones that are left."""
    text = snapshot.no_manager(replies)
    assert counted in text
    assert "--force-new-cluster` on a" in text
    assert all(f"\n  {name}: {each}" in text for name, each in replies.items())


def test_all_silent_is_no_lost_quorum() -> None:
    """Nobody is left who could say so."""
    text = snapshot.no_manager({"a": "Connection timed out", "b": NO_MANAGER})
    assert "quorum" not in text
    assert "none of its 2 managers answers" in text


def test_silent_manager_is_not_one_that_waits_for_a_leader() -> None:
    """What it was asked is in the error that tells of its silence, and is not its word."""

    def answer(name: str, script: str) -> str:
        raise WaitTimeoutError(f"a command on boss: {script}", 10, "nothing")

    with pytest.raises(ResourceError, match=r"none of its 1 managers .*\n  boss: no answer within 10 s"):
        snapshot.a_manager(FakeAccess(answer), plan(), deadline=0)


@pytest.mark.parametrize(
    ("message", "code", "printed"),
    [
        ("Error: No such network: net", 0, '{"Name": "other"}\n'),
        ("Error response from daemon: network net not found", 0, '{"Name": "other"}\n'),
        ("Error: No such node: a\n\nError: No such node: b", 0, '{"Name": "other"}\n'),
        ("Cannot connect to the Docker daemon", 1, ""),
        ("Error: No such node: a\nCannot connect to the Docker daemon", 1, ""),
    ],
)
def test_what_is_gone_is_left_out_and_other_failures_are_not(
    tmp_path: Path, message: str, code: int, printed: str
) -> None:
    """In the words of older engines and of newer ones."""
    (tmp_path / "message").write_text(f"{message}\n")
    (tmp_path / "docker").write_text(
        f'#!/bin/sh\necho \'{{"Name": "other"}}\'\ncat {tmp_path}/message >&2\nexit 1\n'
    )
    (tmp_path / "docker").chmod(0o755)
    script = snapshot.INSPECT_EXISTING + "inspect_existing network inspect net\n"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    if code:
        assert "Cannot connect" in done.stderr
    else:
        assert done.stdout == printed
