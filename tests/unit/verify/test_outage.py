"""An outage from beginning to end, on a deployment that is played: what is done when, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from harness.core.errors import CheckFailedError, InconclusiveError, WaitTimeoutError
from harness.faults import run
from harness.faults.fault import POWER_OFF, Fault
from harness.faults.history import Entry, Journal
from harness.faults.run import RunOnce
from harness.run.settings import PROJECT
from harness.topology import load
from harness.verify import outage as module
from harness.verify import recovery
from harness.verify.outage import Outage, OutageContext, run_outage, survives

STANDARD = load(PROJECT / "topologies/standard.yaml")


class Played:
    """Power, firewalls, services and answers; ``log`` is what was done with them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.taken = 1
        self.meet: Callable[[], object] = lambda: None
        self.journal, self.seed = Journal(), "abcd0123"
        self.begun_between: list[tuple[float, float]] = []
        monkeypatch.setattr(run, "Power", lambda *_: self)
        monkeypatch.setattr(run, "to_judge0", self.judge0)
        monkeypatch.setattr(module.recovery, "snapshot", lambda *_: self.log.append("picture"))
        monkeypatch.setattr(module.recovery, "drop_connections", lambda *_: self.log.append("drop"))
        monkeypatch.setattr(module.recovery, "node_troubles", self.node_troubles)
        monkeypatch.setattr(module.recovery, "service_troubles", self.troubles)
        monkeypatch.setattr(module.recovery, "running", self.running)
        monkeypatch.setattr(module, "_share_again", self.share_again)
        monkeypatch.setattr(module, "SURVIVED_SECONDS", 0.2)
        monkeypatch.setattr(module, "BROKEN_SECONDS", 0.1)
        self.share = ""
        self.not_back: list[str] = []

    @contextmanager
    def without(self, *nodes: str) -> Iterator[None]:
        self.log.append(f"off {','.join(nodes)}")
        try:
            yield
        finally:
            self.log.append("on")

    @contextmanager
    def judge0(self, _: Any) -> Iterator[httpx.Client]:
        transport = httpx.MockTransport(self.answer)
        with httpx.Client(transport=transport, base_url="http://judge0") as client:
            yield client

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.log.append("long program")
            return httpx.Response(201, json={"token": f"t{len(self.log)}"})
        return httpx.Response(200, text="1.13.1")

    def running(self, *_: Any) -> int:
        """How many long programs run on a node: as many as are beyond those that others take."""
        return max(0, self.log.count("long program") - self.taken)

    def node_troubles(self, *_: Any) -> Iterator[str]:
        yield from self.not_back
        self.log.append("nodes are back")

    def troubles(self, *_: Any) -> Iterator[str]:
        self.log.append("troubles")
        self.meet()
        yield "worker-1 is slow"

    def share_again(self, *_: Any) -> None:
        self.log.append("share")
        self.meet()
        if self.share:
            raise WaitTimeoutError("servers to take their share again", 30, self.share)

    def begun(self, since: float, until: float) -> list[tuple[Entry, Entry | None]]:
        """As many as are wanted, accepted."""
        self.begun_between.append((since, until))
        return [(Entry("invoke", since, op), Entry("ok", until, op, token=f"t{op}")) for op in range(20)]

    def await_answers(self, *_: float) -> list[Entry]:
        self.log.append("answers")
        return []

    def context(self) -> OutageContext:
        """A deployment of the plan's, and the programs that are handed in to it."""
        session: Any = SimpleNamespace(topology=STANDARD, target=None, deployment=None, access=None)
        assert STANDARD.checks.front_door is not None
        api: Any = None
        workload: Any = self
        return OutageContext(session, STANDARD.checks.front_door, api, workload)

    def run(self, *nodes: str) -> Outage:
        """The outage of nodes."""
        return run_outage(self.context(), Fault(POWER_OFF, nodes))


def test_an_outage_goes_from_well_to_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server behind the balancer: requests all the while, and at last all that has to be as before."""
    played = Played(monkeypatch)
    seen = played.run("server-1")
    assert played.log[:5] == ["picture", "off server-1", "on", "drop", "nodes are back"]
    assert [each for each in played.log[5:] if each != "troubles"] == ["share", "answers"]
    times = seen.times
    assert times.ordered <= times.in_force < times.healing <= times.healed <= seen.well
    assert times.healing - times.in_force >= 0.2
    assert played.begun_between[-1] == (times.in_force, times.healing)
    assert (len(seen.submissions), seen.survived, seen.share) == (20, True, "")
    assert {each.code for each in seen.requests} == {200}
    assert any(each.begun < times.ordered for each in seen.requests)
    assert seen.troubles == ("worker-1 is slow",)
    assert str(seen).startswith("server-1 without power for 0.")


def test_all_that_has_to_be_as_before_is_waited_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services and workers while servers take their share again."""
    played = Played(monkeypatch)
    played.meet = Barrier(2, timeout=60).wait
    assert played.run("server-1").share == ""


def test_what_nodes_do_not_do_again_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is looked at all the same, and no share is asked for before."""
    played = Played(monkeypatch)
    played.not_back = ["container web does not run"]
    assert played.run("server-1").troubles == ("container web does not run", "worker-1 is slow")
    assert played.log.index("nodes are back") < played.log.index("share")


def test_a_share_that_does_not_come_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was seen last; and the rest is looked at all the same."""
    played = Played(monkeypatch)
    played.share = "server-1 took 0 of 20"
    assert "server-1 took 0 of 20" in played.run("server-1").share
    assert "troubles" in played.log


def test_what_has_no_sibling_is_not_survived_and_not_balanced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks a balancer that is away."""
    seen = Played(monkeypatch).run("judge0-lb")
    assert (seen.survived, seen.requests, seen.share) == (False, (), "")


@pytest.mark.parametrize(("taken", "submitted"), [(0, 2), (1, 2), (3, 4)])
def test_a_worker_loses_power_while_it_runs_a_long_program(
    monkeypatch: pytest.MonkeyPatch, taken: int, submitted: int
) -> None:
    """More are submitted only while others have taken them all; each is in the history, with its token."""
    played = Played(monkeypatch)
    played.taken = taken
    seen = played.run("worker-1")
    begun = played.log[: submitted + 2]
    assert begun == ["picture", *["long program"] * submitted, "off worker-1"]
    assert seen.running == {"worker-1": submitted - taken}
    entries = played.journal.entries()
    assert [each.op for each in entries if each.kind == "invoke"] == list(range(50000, 50000 + submitted))
    assert all(each.token for each in entries if each.kind == "ok")


def test_where_no_long_program_runs_an_outage_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end to submitting them, and the power stays on."""
    played = Played(monkeypatch)
    played.taken = 9
    monkeypatch.setattr(module, "RUNNING_DEADLINE", 0.1)
    monkeypatch.setattr(module, "MOST_LONG_RUNS", 2)
    with pytest.raises(InconclusiveError, match="'worker-1': 0"):
        played.run("worker-1")
    assert played.log == ["picture", "long program", "long program"]


@pytest.mark.parametrize(
    ("lost", "dropped"), [(["b"], ["b"]), (["a"], ["a", "b", "c"]), (["b", "c"], ["b", "c"])]
)
def test_connections_through_nodes_that_were_off_are_made_anew(lost: list[str], dropped: list[str]) -> None:
    """All of them where the bastion was off."""
    found: list[str] = []
    access: Any = SimpleNamespace(nodes=("a", "b", "c"), bastion="a", drop=found.append)
    recovery.drop_connections(access, lost)
    assert found == dropped


def test_an_outage_is_made_once() -> None:
    """And what it raised is a failure for every other check, but a doubt stays one."""
    asked: list[Fault] = []

    def outage(fault: Fault) -> str:
        asked.append(fault)
        if fault.nodes == ("a",):
            return "seen"
        raise InconclusiveError("no long runs") if fault.nodes == ("b",) else WaitTimeoutError("off", 1, "on")

    once: RunOnce[Fault, str] = RunOnce(outage)
    a, b, c = (Fault(POWER_OFF, (name,)) for name in "abc")
    assert once.of(a) is once.of(Fault(POWER_OFF, ("a",)))
    for _ in range(2):
        with pytest.raises(InconclusiveError):
            once.of(b)
    with pytest.raises(WaitTimeoutError):
        once.of(c)
    with pytest.raises(CheckFailedError, match="c without power: waited 1 s"):
        once.of(c)
    assert (asked, once.results()) == ([a, b, c], ("seen",))


@pytest.mark.parametrize(
    ("nodes", "survived"),
    [
        (("client",), False),
        (("judge0-lb",), False),
        (("server-1",), True),
        (("worker-2",), True),
        (("server-1", "server-2"), False),
        (("server-1", "worker-1"), True),
    ],
)
def test_what_has_a_sibling_is_redundant(nodes: tuple[str, ...], survived: bool) -> None:
    """As long as the sibling has power."""
    assert survives(STANDARD, nodes) is survived
