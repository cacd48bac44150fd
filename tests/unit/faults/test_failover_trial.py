"""A fault from beginning to end, on a swarm that is played: looks, power and submissions are made up."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from failover_rig import HA, HA_PLACES, SWARM, moved, state

from harness.core.errors import ResourceError, WaitTimeoutError
from harness.faults import run, watch
from harness.faults import trial as module
from harness.faults.history import Entry, Judgement
from harness.faults.orphan import Orphan
from harness.faults.pace import UNMEASURED, MeasuredOnce
from harness.faults.run import FaultContext
from harness.faults.trial import Trial, prepared, renewed, run_trial
from harness.faults.watch import Snapshot
from harness.run.rundir import RunDir
from harness.swarm.converge import State
from harness.topology.deployment import Deployment, Node
from harness.topology.model import Topology

LOST = ("server-1",)
BEFORE, DOWN = state(), state(down=LOST)
ELSEWHERE = moved(judge0_server=("judge0-lb", "server-2"), judge0_lb=("server-2",))
FULL, AFTER = state(places=ELSEWHERE, down=LOST), state(places=ELSEWHERE)


class Played:
    """What is looked at, switched and handed in.

    Looks before, during and after the fault are given out in their order, the last of each for ever. ``log``
    holds what was done: ``off`` and ``on``, each look with who was away, and what was asked of nodes.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        during: Sequence[State | None],
        after: Sequence[State | None],
        before: Sequence[State | None] = (BEFORE,),
        topology: Topology = SWARM,
    ) -> None:
        self.scripts = {"before": list(before), "during": list(during), "after": list(after)}
        self.stage = "before"
        self.log: list[str] = []
        self.address, self.topology = "", topology
        self.left: set[str] = set()
        self.lingering = 0
        self.broken_off: list[tuple[str, float]] = []
        monkeypatch.setattr(module, "Watch", lambda *_: self)
        monkeypatch.setattr(run, "Power", lambda *_: self)
        monkeypatch.setattr(module, "submitting", self.submitting)
        monkeypatch.setattr(module.snapshot, "a_manager", self.a_manager)
        monkeypatch.setattr(module.orphan, "end", self.end)
        monkeypatch.setattr(module.orphan, "containers", lambda *_: self.left)
        monkeypatch.setattr(run.partition, "cut_off", self.cut_off)
        monkeypatch.setattr(module, "PAUSE", 0.05)
        self.snapshots: list[Snapshot] = []

    def inspect(self, away: Collection[str] = ()) -> Snapshot:
        self.log.append(f"look without {','.join(away)}" if away else "look")
        pending = self.scripts["during" if away else self.stage]
        seen = pending.pop(0) if len(pending) > 1 else pending[0]
        self.snapshots.append(Snapshot(time.time(), seen, "" if seen else "nobody answers"))
        return self.snapshots[-1]

    @contextmanager
    def without(self, *nodes: str) -> Iterator[None]:
        self.log.append(f"off {','.join(nodes)}")
        self.stage = "after"
        try:
            yield
        finally:
            self.log.append(f"on {','.join(nodes)}")

    @contextmanager
    def cut_off(self, _: Any, __: Any, ___: Any, node: str) -> Iterator[None]:
        with self.without(node):
            yield

    @contextmanager
    def submitting(self, source: Any, file: Path, *, pace: Any) -> Iterator[Any]:
        self.address, self.begun = source.address, time.time()
        assert isinstance(pace, MeasuredOnce)
        self.pace = UNMEASURED
        yield self

    def await_first_answers(self) -> None:
        self.log.append("submissions")

    def start_nothing_more(self) -> None:
        self.log.append("nothing more")

    def break_off(self, before: float) -> None:
        self.broken_off.append((self.log[-1], before))

    def entries(self) -> tuple[Entry, ...]:
        """One every 10 ms since the beginning, accepted at once."""
        times = [self.begun + each / 100 for each in range(int((time.time() - self.begun) * 100))]
        return tuple(
            entry
            for op, at in enumerate(times)
            for entry in (Entry("invoke", at, op, expected="x"), Entry("ok", at, op, token=f"t{op}"))
        )

    def judged(self, _: Any) -> Judgement:
        self.log.append("judged")
        return Judgement({}, {}, 0, 0)

    def a_manager(self, _: Any, topology: Topology, *, deadline: float) -> str:
        if self.lingering:
            self.lingering -= 1
            return "worker-1"
        raise ResourceError("swarm", topology.name, "quorum is lost")

    def end(self, _: Any, __: Any, seen: State, task: Any, away: Collection[str]) -> Orphan:
        self.log.append(f"ended {task.service} without {','.join(away)}")
        return Orphan(task, ())

    def run_trial(self, name: str, tmp_path: Path) -> Trial:
        """The trial of a fault of it."""
        return run_trial(self.context(tmp_path), name)

    def context(self, tmp_path: Path) -> FaultContext:
        """What running a fault of it needs."""
        nodes = {
            each: Node(each, number, "active", f"203.0.113.{number}", f"10.0.0.{number}")
            for number, each in enumerate(self.topology.droplets, 1)
        }
        access = SimpleNamespace(
            nodes=tuple(nodes), bastion="client", drop=lambda node: self.log.append(f"drop {node}")
        )
        session: Any = SimpleNamespace(
            target=None,
            topology=self.topology,
            deployment=Deployment("a", "v", "10.0.0.0/24", nodes, {}),
            access=access,
            choice=SimpleNamespace(run_dir=RunDir(tmp_path, "a")),
        )
        api: Any = None
        door = self.topology.checks.front_door
        assert door is not None
        return FaultContext(session, door, api)


def test_a_trial_goes_from_well_to_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Power is back only when the node was Down, its tasks ran elsewhere and programs were taken."""
    played = Played(
        monkeypatch, before=[DOWN, BEFORE], during=[BEFORE, None, DOWN, FULL], after=[FULL, AFTER]
    )
    made = played.run_trial("power_off:server-1", tmp_path)
    off, on = played.log.index("off server-1"), played.log.index("on server-1")
    assert played.log[:off] == ["look", "look", "submissions"]
    assert set(played.log[off + 1 : on]) == {"look without server-1"}
    assert on - off > 4
    assert played.log[on + 1 :] == ["drop server-1", "look", "look", "nothing more", "judged"]
    found = made.measured
    assert None not in {found.rto_s, found.detected_s, found.full_s, found.ready_s, found.settled_s}
    assert (made.carried, made.trouble) == (("judge0-lb", "judge0-server"), "")
    assert made.leaders == ("runner", "runner")
    assert played.address == "203.0.113.1"


@pytest.mark.parametrize(
    "lacking", [DOWN, state(places=ELSEWHERE)], ids=["tasks run nowhere", "not shown Down"]
)
def test_power_stays_off_until_all_that_is_expected_was_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lacking: State
) -> None:
    """Though programs are taken long before."""
    played = Played(monkeypatch, during=[*[lacking] * 10, FULL], after=[AFTER])
    found = played.run_trial("power_off:server-1", tmp_path).measured
    assert None not in {found.rto_s, found.detected_s, found.full_s}
    assert played.log.count("look without server-1") > 10


def test_times_are_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is observed lies within the fault."""
    times = Played(monkeypatch, during=[FULL], after=[AFTER]).run_trial("power_off:server-1", tmp_path).times
    told = [times.ordered, times.in_force, times.observed, times.healing, times.healed, times.ended]
    assert told == sorted(told)


def test_what_does_not_come_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The trial ends all the same, and says what was not seen."""
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.2)
    played = Played(monkeypatch, during=[DOWN], after=[DOWN])
    await_healthy = module.await_healthy
    monkeypatch.setattr(module, "await_healthy", lambda watch, **_: _soon(monkeypatch, await_healthy, watch))
    made = played.run_trial("power_off:server-1", tmp_path)
    assert "on server-1" in played.log
    assert (made.measured.full_s, made.measured.settled_s) == (None, None)
    assert "server-1 is down" in made.trouble


def _soon(monkeypatch: pytest.MonkeyPatch, await_healthy: Any, watch: Any) -> Any:
    """Wait for a swarm that is well, but not for long the next time."""
    found = await_healthy(watch)
    monkeypatch.setattr(module, "SETTLED_SECONDS", 0.2)
    return found


def test_without_a_manager_a_task_is_ended_and_the_swarm_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the managers say is kept; and what that does to programs is no pause of the fault's."""
    played = Played(monkeypatch, during=[None], after=[state(down=("runner",)), BEFORE])
    made = played.run_trial("power_off:manager", tmp_path)
    assert "ended judge0-worker without runner" in played.log
    assert "quorum is lost" in made.control
    assert made.orphan is not None
    assert made.leaders == ("runner", "")
    assert (made.measured.rto_s, made.measured.detected_s) == (0, None)


def test_a_leader_that_is_left_alone_may_take_its_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is asked until it knows that it leads nobody."""
    await_healthy = state(HA, HA_PLACES, leader="worker-1")
    played = Played(
        monkeypatch, before=[await_healthy], during=[await_healthy], after=[await_healthy], topology=HA
    )
    played.lingering = 3
    made = played.run_trial("power_off:quorum", tmp_path)
    assert "quorum is lost" in made.control
    assert made.leaders == ("worker-1", "")


def test_a_manager_that_goes_on_leading_alone_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That would be no quorum at all."""
    monkeypatch.setattr(module, "QUORUM_SECONDS", 0.1)
    await_healthy = state(HA, HA_PLACES, leader="worker-1")
    played = Played(
        monkeypatch, before=[await_healthy], during=[await_healthy], after=[await_healthy], topology=HA
    )
    played.lingering = 10**6
    made = played.run_trial("power_off:quorum", tmp_path)
    assert (made.control, made.leaders) == ("", ("worker-1", "worker-1"))


def test_with_the_bastion_away_nobody_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All connections are made anew once it is back."""
    monkeypatch.setattr(watch, "HEARTBEATS", 0)
    played = Played(monkeypatch, during=[None], after=[BEFORE])
    made = played.run_trial("power_off:client", tmp_path)
    assert not made.expected.answers
    assert made.orphan is None
    dropped = [each for each in played.log if each.startswith("drop")]
    assert len(dropped) == len(SWARM.droplets)


def test_no_answer_of_a_front_door_that_lost_its_power_is_awaited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once it is back: it knows nothing of connections that were made before."""
    monkeypatch.setattr(watch, "HEARTBEATS", 0)
    played = Played(monkeypatch, during=[None], after=[BEFORE])
    times = played.run_trial("power_off:client", tmp_path).times
    [(after, before)] = played.broken_off
    assert after.startswith("drop")
    assert times.in_force <= before <= times.observed


def test_what_a_front_door_that_is_left_may_still_answer_is_awaited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever lost its power behind it."""
    played = Played(monkeypatch, during=[FULL], after=[AFTER])
    played.run_trial("power_off:server-1", tmp_path)
    assert played.broken_off == []


def test_programs_go_to_a_door_that_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the topology has a second one."""
    monkeypatch.setattr(watch, "HEARTBEATS", 0)
    await_healthy = state(HA, HA_PLACES)
    played = Played(monkeypatch, before=[await_healthy], during=[None], after=[await_healthy], topology=HA)
    played.run_trial("power_off:client", tmp_path)
    assert played.address == f"203.0.113.{list(HA.droplets).index('runner') + 1}"


def test_what_a_cut_off_node_runs_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Just before it is let in again, and when all is well."""
    lost = ("worker-1",)
    there = moved(judge0_worker=("worker-2", "worker-2"))
    played = Played(monkeypatch, during=[state(places=there, down=lost)], after=[state(places=there)])
    played.left = {"judge0-worker-1-worker-1", "somebody-else"}
    made = played.run_trial("partition:worker", tmp_path)
    assert made.fault.nodes == lost
    assert made.went_on == made.left_over == ("judge0-worker-1-worker-1",)
    assert played.log.index("off worker-1") < played.log.index("on worker-1")


def test_what_was_prepared_meets_the_swarm_as_it_is_when_the_fault_comes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once it is well; the submissions go on meanwhile."""
    played = Played(monkeypatch, before=[BEFORE, DOWN, AFTER], during=[FULL], after=[AFTER])
    context = played.context(tmp_path)
    with prepared(context, "power_off:server-1") as ready:
        found = renewed(context, ready)
    assert ready.before == BEFORE
    assert found is not None
    assert (found.before, found.workload) == (AFTER, ready.workload)
    assert played.log == ["look", "submissions", "look", "look"]


def test_programs_that_now_belong_at_another_front_door_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The node whose power is to be lost is another one by now."""
    led = [state(HA, HA_PLACES, leader=each) for each in ("worker-1", "client")]
    played = Played(monkeypatch, before=led, during=[None], after=led[:1], topology=HA)
    context = played.context(tmp_path)
    with prepared(context, "power_off:manager") as ready:
        assert ready.entry == "client"
        assert renewed(context, ready) is None


def test_what_is_prepared_ahead_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One look decides."""
    played = Played(monkeypatch, before=[DOWN, BEFORE], during=[FULL], after=[AFTER])
    ahead = prepared(played.context(tmp_path), "power_off:server-1", at_once=True)
    with pytest.raises(WaitTimeoutError, match="server-1 is down"), ahead:
        pass
    assert played.log == ["look"]
