"""Swarms by hand: members, services and tasks as a look tells them, and histories of submissions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.faults.expected import expect
from harness.faults.fault import Fault, carried
from harness.faults.history import Entry, judge
from harness.faults.run import Times
from harness.faults.trial import Trial
from harness.faults.watch import Snapshot
from harness.run.settings import PROJECT
from harness.swarm.converge import State
from harness.swarm.snapshot import Member, ServiceState, Task
from harness.topology import load
from harness.topology.model import Topology

RUN = "a"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk wavetank-a"
SWARM = load(PROJECT / "topologies/swarm.yaml")
HA = load(PROJECT / "topologies/swarm-ha.yaml")
ENCRYPTED = load(PROJECT / "topologies/swarm-encrypted.yaml")
STANDARD = load(PROJECT / "topologies/standard.yaml")

# Where the tasks of `swarm.yaml` might be: service, then a node a task.
PLACES: Mapping[str, tuple[str, ...]] = {
    "client": ("client",),
    "judge0-lb": ("server-1",),
    "judge0-server": ("server-1", "server-2"),
    "judge0-worker": ("worker-1", "worker-2"),
    "runner-api": ("judge0-lb",),
}
HA_PLACES: Mapping[str, tuple[str, ...]] = {
    "client": ("client", "runner"),
    "judge0-lb": ("judge0-lb", "server-2"),
    "judge0-server": ("server-1", "server-2"),
    "runner-api": ("runner", "judge0-lb"),
}


def state(
    topology: Topology = SWARM,
    places: Mapping[str, tuple[str, ...]] = PLACES,
    *,
    down: tuple[str, ...] = (),
    leader: str = "runner",
    desired: Mapping[str, int] | None = None,
) -> State:
    """A swarm whose services have a running task on each of their ``places``, and are to have as many."""
    assert topology.swarm is not None
    managers = topology.swarm.managers
    members = tuple(
        Member(
            node=name,
            id=f"id-{name}",
            role="manager" if name in managers else "worker",
            status="down" if name in down else "ready",
            availability="active",
            leader=name == leader,
            reachability="reachable" if name in managers else "",
            address="",
            labels={},
        )
        for name in topology.droplets
    )
    services = tuple(
        ServiceState(
            name, f"id-{name}", "sha256:0", len(nodes), (desired or {}).get(name, len(nodes)), "", ""
        )
        for name, nodes in places.items()
    )
    tasks = tuple(
        task(name, slot, node) for name, nodes in places.items() for slot, node in enumerate(nodes, 1)
    )
    return State(members, services, tasks)


def task(service: str, slot: int, node: str, *, wanted: str = "running") -> Task:
    """A task that runs."""
    container = f"{service}-{slot}-{node}"
    return Task(f"t-{container}", service, slot, node, wanted, "running", "", "sha256:0", container, "")


def moved(**places: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """``PLACES`` with some services elsewhere; an underscore stands for a dash."""
    return {**PLACES, **{name.replace("_", "-"): nodes for name, nodes in places.items()}}


def look(at: float, seen: State | None) -> Snapshot:
    """One look."""
    return Snapshot(at, seen, "" if seen else "nobody answered")


def submission(op: int, begun: float, took: float | None, kind: Any = "ok") -> list[Entry]:
    """The entries of one submission; without an answer there is only the first."""
    entries = [Entry("invoke", begun, op, via="front door", expected=f"x-{op}")]
    if took is not None:
        told: dict[str, Any] = {"token": f"t{op}", "status": "Accepted", "final": True, "output": f"x-{op}"}
        more: dict[str, Any] = told if kind == "ok" else {"code": 502, "said": "{}"}
        entries.append(Entry(kind, begun + took, op, via="front door", **more))
    return entries


def steady(first: int, begun: float, until: float, *, took: float = 0.5, kind: Any = "ok") -> list[Entry]:
    """Three submissions a second."""
    number = int((until - begun) * 3)
    return [
        entry
        for each in range(number)
        for entry in submission(first + each, round(begun + each / 3, 3), took, kind)
    ]


FULL = moved(judge0_server=("judge0-lb", "server-2"), judge0_lb=("server-2",))


def trial(node: str = "server-1", *, again: float = 10.0, start_: float = 1000.0) -> Trial:
    """One in which programs are refused until the service answers again."""
    history = [
        *steady(0, start_ - 2, start_),
        *steady(100, start_, start_ + again, kind="fail"),
        *steady(200, start_ + again, start_ + 40),
        *submission(900, start_ + 1, None),
    ]
    seen = state()
    fault = Fault("power_off", (node,))
    return Trial(
        name=f"power_off:{node}",
        number=1,
        fault=fault,
        carried=carried(seen, (node,)),
        expected=expect(SWARM, fault, seen),
        times=Times(start_, start_ + 0.5, start_ + 25, start_ + 25, start_ + 27, start_ + 40),
        history=tuple(history),
        judgement=judge(history, listing=False),
        file=Path("history.jsonl"),
        snapshots=(
            look(start_ + 12, state(down=("server-1",))),
            look(start_ + 18, state(places=FULL, down=("server-1",))),
            look(start_ + 33, state(places=FULL)),
        ),
    )
