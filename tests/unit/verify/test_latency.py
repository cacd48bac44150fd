"""How a round trip is measured, and what is noted while a link is slow."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.errors import CheckFailedError, InconclusiveError, ResourceError
from harness.faults.link import Quality
from harness.run.settings import PROJECT
from harness.topology import load
from harness.verify import latency

TOPOLOGY = load(PROJECT / "topologies" / "swarm.yaml")


def test_the_script_times_connections() -> None:
    """One number for each, from a shell like a node's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = latency.SCRIPT.format(attempts=15, address="127.0.0.1", port=server.getsockname()[1])
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"(\d+\n){15}", done.stdout)
    assert 0 < latency.read(done.stdout) < 1000


def test_a_connection_that_fails_shows_nothing() -> None:
    """The shortest is of all, or there is none."""
    with pytest.raises(InconclusiveError, match="3 of 15 connections"):
        latency.read("100\n200\n300\n")


def test_the_shortest_is_in_milliseconds() -> None:
    """Those that were late by something else do not count."""
    assert latency.read("\n".join(["20500"] * 2 + ["900000"] * 13)) == 20.5


def test_a_node_that_runs_programs_is_slowed() -> None:
    """Never the bastion, whose link every look goes over."""
    judge0 = TOPOLOGY.checks.judge0
    assert judge0 is not None
    assert latency.candidate(TOPOLOGY) == judge0.workers[0]
    other = replace(TOPOLOGY, management=replace(TOPOLOGY.management, bastion=judge0.workers[0]))
    assert latency.candidate(other) == judge0.workers[1]
    alone = replace(other, checks=replace(TOPOLOGY.checks, judge0=None), droplets={judge0.workers[0]: None})  # type: ignore[dict-item]
    assert latency.candidate(alone) == ""


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A swarm in play, whose heartbeat is over at once; ``output`` is what happened in order."""
    output: list[str] = []
    member = SimpleNamespace(node="worker-1", status="ready")
    swarm = replace(TOPOLOGY.swarm, heartbeat=0)  # type: ignore[type-var]
    node = SimpleNamespace(private_ip="10.0.0.2", public_ip="203.0.113.9")
    session = SimpleNamespace(
        target=None,
        topology=replace(TOPOLOGY, swarm=swarm),
        access=None,
        door=TOPOLOGY.checks.front_door,
        deployment=SimpleNamespace(nodes=dict.fromkeys(("worker-1", "client"), node)),
    )

    @contextmanager
    def shaped(*_: object) -> Iterator[None]:
        output.append("slow")
        yield
        output.append("perfect")

    @contextmanager
    def client(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(latency.link, "restore", lambda *_: output.append("mended"))
    monkeypatch.setattr(latency.link, "shaped", shaped)
    monkeypatch.setattr(latency, "round_trip_ms", lambda *_: output.append("timed") or float(len(output)))
    monkeypatch.setattr(latency.snapshot, "a_manager", lambda *_: "manager")
    monkeypatch.setattr(latency.snapshot, "members", lambda *_: output.append("looked") or [member])
    monkeypatch.setattr(latency.frontdoor, "open_client", client)
    monkeypatch.setattr(latency.frontdoor, "double", lambda *_: output.append("submitted"))
    return SimpleNamespace(told=output, session=session, member=member, patch=monkeypatch)


def test_it_is_measured_before_while_and_after(rig: Any) -> None:
    """From a link that is perfect; programs and looks are in between."""
    found = latency.run_slow_link(rig.session, "worker-1", Quality(20))
    assert rig.told == ["mended", "timed", "slow", "timed", "submitted", "looked", "perfect", "timed"]
    assert (found.before_ms, found.during_ms, found.after_ms) == (2, 4, 8)
    assert (found.inspections, found.members, found.accepted, found.trouble) == (1, {}, 1, ())


def test_what_goes_wrong_is_noted(rig: Any) -> None:
    """A member that is not ready, a program that is not run: the checks judge, and the link comes first."""
    rig.member.status = "down"

    def refuse(*_: object) -> None:
        raise CheckFailedError("502")

    rig.patch.setattr(latency.frontdoor, "double", refuse)
    found = latency.run_slow_link(rig.session, "worker-1", Quality(20))
    assert (found.members, found.accepted, found.trouble) == ({"worker-1": "down"}, 0, ("502",))
    assert "perfect" in rig.told


def test_managers_that_do_not_answer_are_noted(rig: Any) -> None:
    """It is no look."""

    def silent(*_: object) -> str:
        raise ResourceError("swarm", "x", "no manager answers")

    rig.patch.setattr(latency.snapshot, "a_manager", silent)
    found = latency.run_slow_link(rig.session, "worker-1", Quality(20))
    assert found.inspections == 0
    assert "no manager answers" in found.members["managers"]
