"""When a swarm is not formed, because that would end another or cannot last."""

from __future__ import annotations

import json
from typing import Any

import pytest
from swarm_helpers import FakeAccess, deployment, failure, leader, lines, node
from swarm_samples import plan

from harness.core.errors import ResourceError
from harness.core.progress import Progress
from harness.swarm import cluster, rotate
from harness.topology.model import Overlay, Swarm

INACTIVE: dict[str, Any] = {"LocalNodeState": "inactive"}
BUSY = "Error response from daemon: rpc error: code = Unknown desc = update out of sequence"
ELECTING = "Error response from daemon: raft: failed to process the request: node lost leader status"


class Engines:
    """What each droplet's engine says of itself, and the managers of all nodes."""

    def __init__(self, swarms: dict[str, dict[str, Any]], *listed: dict[str, Any]) -> None:
        self.swarms, self.listed = swarms, listed
        self.changed: list[str] = []

    def __call__(self, name: str, script: str) -> str:
        if "docker info" in script:
            return json.dumps(self.swarms.get(name, INACTIVE))
        if "node inspect" in script:
            return lines(*self.listed)
        if "docker node ls -q >/dev/null" in script:
            return ""
        self.changed.append(script)
        return "M W" if "join-token" in script else ""


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """All droplets have booted."""
    monkeypatch.setattr(cluster, "wait_until_ready", lambda access, node: None)


def form(engines: Engines) -> tuple[str, ...]:
    """Form a swarm of what these engines say."""
    return cluster.form(FakeAccess(engines), plan(), deployment(), progress=Progress(quiet=True))


def test_manager_whose_engine_cannot_start_its_swarm_is_not_reset() -> None:
    """All that the swarm knows is on its disk."""
    engines = Engines(
        {"boss": {"LocalNodeState": "error", "NodeID": "n1", "Error": "certificate has expired"}}
    )
    with pytest.raises(ResourceError, match="cannot start: certificate has expired") as caught:
        form(engines)
    assert "docker swarm leave --force" in str(caught.value)
    assert engines.changed == []


def test_manager_at_another_address_is_told() -> None:
    """As of a swarm that somebody made by hand, at the public one."""
    boss = {"LocalNodeState": "active", "NodeID": "id-boss", "ControlAvailable": True}
    engines = Engines({"boss": boss}, leader("boss", "203.0.113.10"))
    with pytest.raises(ResourceError, match=r"at 203.0.113.10, and its private address is 10.1.0.10"):
        form(engines)
    assert engines.changed == []


def test_node_of_a_disk_that_is_gone_goes_before_it_is_missed() -> None:
    """The managers still hold it for ready; its engine, which is a new one, knows better."""
    boss = {"LocalNodeState": "active", "NodeID": "id-boss", "ControlAvailable": True}
    two = {"LocalNodeState": "active", "NodeID": "id-two"}
    listed = (leader("boss", "10.1.0.10"), node("one", "10.1.0.11"), node("two", "10.1.0.12"))
    engines = Engines({"boss": boss, "two": two}, *listed)
    changed = form(engines)
    assert changed[:2] == (
        "removed the stale node id-one (its droplet was rebuilt or left)",
        "one joined as worker",
    )
    assert not any("id-two" in each for each in engines.changed if "node rm" in each)


def test_change_is_tried_again_while_another_is_under_way() -> None:
    """Docker refuses what is based on an older state."""
    message = [failure(BUSY), failure(ELECTING)]

    def answer(name: str, script: str) -> str:
        if message:
            raise message.pop()
        return ""

    access = FakeAccess(answer)
    cluster.run_on_manager(access, "boss", "docker node promote x")
    assert len(access.asked) == 3


def test_change_that_is_refused_is_told_at_once() -> None:
    """With what was asked for and what Docker said."""

    def answer(name: str, script: str) -> str:
        raise failure("Error: No such node: x")

    access = FakeAccess(answer)
    with pytest.raises(ResourceError, match="`docker node promote x`: Error: No such node: x"):
        cluster.run_on_manager(access, "boss", "docker node promote x")
    assert len(access.asked) == 1


def test_entry_that_is_no_manager_is_not_demoted() -> None:
    """Joining as manager may fail half-way, and leave a name that the quorum does not know."""
    half = node("two", "10.1.0.12", Role="manager")
    whole = node("one", "10.1.0.11", manager={"Reachability": "unreachable", "Addr": "10.1.0.11:2377"})
    boss = {"LocalNodeState": "active", "NodeID": "id-boss", "ControlAvailable": True}
    engines = Engines({"boss": boss}, leader("boss", "10.1.0.10"), half, whole)
    access = FakeAccess(engines)
    for each in cluster.snapshot.members(access, deployment(), "boss"):
        if each.node != "boss":
            cluster.remove_entry(access, "boss", each)
    demoted = [script for script in engines.changed if "demote" in script]
    assert len(demoted) == 1
    assert "id-one" in demoted[0]


def test_dead_member_is_removed_without_waiting_for_its_tasks() -> None:
    """Nobody could tell it to end them, or to leave."""
    boss = {"LocalNodeState": "active", "NodeID": "id-boss", "ControlAvailable": True}
    engines = Engines({"boss": boss}, leader("boss", "10.1.0.10"), node("two", "10.1.0.12", status="down"))

    def answer(name: str, script: str) -> str:
        if name == "two":
            raise failure("Connection timed out", code=255)
        return engines(name, script)

    rotate.remove(FakeAccess(answer), plan(), deployment(), "two")
    assert any("docker node rm --force id-two" in each for each in engines.changed)
    assert not any("docker node ps" in each for each in engines.changed)


@pytest.mark.parametrize(("scale", "seconds"), [("1", 3), ("4", 12), ("50", 60)])
def test_heartbeat_is_stretched_on_slow_machines(
    monkeypatch: pytest.MonkeyPatch, scale: str, seconds: int
) -> None:
    """There a node that works is silent for longer than a dead one may be elsewhere; a minute is the most."""
    monkeypatch.setenv("WAVETANK_TIMEOUT_SCALE", scale)
    swarm = Swarm(("boss",), "stack", Overlay("net"), (), heartbeat=3)
    assert cluster.heartbeat(swarm) == seconds
