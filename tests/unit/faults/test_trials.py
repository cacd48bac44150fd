"""A trial is made once, whoever asks for it; and one of the balancer's node need not be made twice.

While the last answers of one trial come in, programs are submitted for the next; its fault comes later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from failover_rig import SWARM, trial

from harness.core.errors import CheckFailedError, InconclusiveError, WaitTimeoutError
from harness.faults import trials as module
from harness.faults.run import FaultContext
from harness.faults.trial import Trial
from harness.faults.trials import Trials

WORKERS = ("power_off:worker-1", "power_off:worker-2", "power_off:server-1")


class Maker:
    """Stands in for the parts of a trial: makes the trials that it is given, or raises them.

    ``log`` has each part in its order. ``unwell``: faults before which the swarm is not well at once;
    ``elsewhere``: those whose programs would later go to another node; ``failing``: those whose judging
    raises this.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **made: Trial | Exception) -> None:
        self.results = {name.replace("__", ":").replace("0", "-"): found for name, found in made.items()}
        self.asked: list[str] = []
        self.log: list[str] = []
        self.told: list[int] = []
        self.unwell: set[str] = set()
        self.elsewhere: set[str] = set()
        self.failing: dict[str, BaseException] = {}
        for part in (self.prepared, self.renewed, self.inject):
            monkeypatch.setattr(module, part.__name__, part)

    @contextmanager
    def prepared(self, _: FaultContext, name: str, *, at_once: bool = False) -> Iterator[Any]:
        if at_once and name in self.unwell:
            raise WaitTimeoutError("the swarm to be well", 0, "server-1 is down")
        self.asked.append(name)
        self.log.append(f"prepared {name}")
        found = self.results[name]
        if isinstance(found, Exception):
            raise found
        try:
            yield SimpleNamespace(name=name)
        finally:
            self.log.append(f"ended {name}")

    def renewed(self, _: FaultContext, ready: Any) -> Any:
        self.log.append(f"well before {ready.name}")
        return None if ready.name in self.elsewhere else ready

    def inject(self, _: FaultContext, ready: Any) -> Any:
        self.log.append(f"fault {ready.name}")
        made = self.results[ready.name]
        assert isinstance(made, Trial)

        def judged() -> Trial:
            self.log.append(f"judged {ready.name}")
            if ready.name in self.failing:
                raise self.failing[ready.name]
            return made

        return SimpleNamespace(fault=made.fault, carried=made.carried, trouble=made.trouble, judged=judged)

    def trials(self, *planned: str) -> Trials:
        """Trials of the plan's swarm."""
        context: Any = SimpleNamespace(session=SimpleNamespace(topology=SWARM))

        def told(made: Sequence[Trial]) -> None:
            self.told.append(len(made))

        return Trials(context, told, planned)


def workers(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Maker:
    """One that makes the trials of ``WORKERS``; ``changes`` are the first one's."""
    maker = Maker(monkeypatch)
    maker.results = {name: replace(trial(name.partition(":")[2]), name=name) for name in WORKERS}
    first = maker.results[WORKERS[0]]
    assert isinstance(first, Trial)
    maker.results[WORKERS[0]] = replace(first, **changes)
    return maker


def test_a_trial_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And told of when it is."""
    maker = Maker(monkeypatch, power_off__server01=trial())
    trials = maker.trials()
    assert trials.of("power_off:server-1") is trials.of("power_off:server-1")
    assert (maker.asked, maker.told) == (["power_off:server-1"], [1])


def test_a_trial_that_failed_fails_every_check_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again, and not in the report."""
    maker = Maker(monkeypatch, power_off__server01=WaitTimeoutError("power_off of server-1", 120, "active"))
    trials = maker.trials()
    with pytest.raises(WaitTimeoutError):
        trials.of("power_off:server-1")
    with pytest.raises(CheckFailedError, match="power_off:server-1: waited 120 s"):
        trials.of("power_off:server-1")
    assert (len(maker.asked), maker.told, trials.results()) == (1, [], ())


def test_a_doubt_stays_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each check."""
    trials = Maker(monkeypatch, partition__worker=InconclusiveError("nobody plays that part")).trials()
    for _ in range(2):
        with pytest.raises(InconclusiveError):
            trials.of("partition:worker")


def test_the_balancers_node_need_not_be_lost_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial of a node that carried it will do, and is in the report once."""
    maker = Maker(monkeypatch, power_off__server01=trial(), power_off__server02=trial("server-2"))
    trials = maker.trials()
    trials.of("power_off:server-2")
    first = trials.of("power_off:server-1")
    assert trials.of("power_off:balancer") is first
    assert len(maker.asked) == len(trials.results()) == 2


def test_a_balancer_that_nobody_lost_yet_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the earlier nodes had it."""
    own = replace(trial(), name="power_off:balancer")
    maker = Maker(monkeypatch, power_off__server02=trial("server-2"), power_off__balancer=own)
    trials = maker.trials()
    trials.of("power_off:server-2")
    assert trials.of("power_off:balancer") is own
    assert maker.told == [1, 2]


def test_the_next_fault_comes_when_the_submissions_of_this_one_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Programs are submitted for it before, and the swarm is looked at again."""
    maker = workers(monkeypatch)
    trials = maker.trials(*WORKERS)
    first, second, third = WORKERS
    assert trials.of(first).name == first
    parts = [f"prepared {first}", f"fault {first}", f"prepared {second}", f"judged {first}", f"ended {first}"]
    assert maker.log == parts
    assert [trials.of(each).name for each in WORKERS] == list(WORKERS)
    assert maker.log[len(parts) :] == [
        *(f"well before {second}", f"fault {second}", f"prepared {third}"),
        *(f"judged {second}", f"ended {second}"),
        *(f"well before {third}", f"fault {third}", f"judged {third}", f"ended {third}"),
    ]
    assert maker.told == [1, 2, 3]


def test_nothing_is_begun_ahead_of_a_trial_that_had_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until the swarm is well."""
    maker = workers(monkeypatch, trouble="server-1 is down")
    maker.trials(*WORKERS).of(WORKERS[0])
    assert maker.asked == [WORKERS[0]]


def test_what_cannot_be_prepared_at_once_is_prepared_when_a_check_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And nobody hears of it before."""
    maker = workers(monkeypatch)
    maker.unwell.add(WORKERS[1])
    trials = maker.trials(*WORKERS)
    trials.of(WORKERS[0])
    assert f"prepared {WORKERS[1]}" not in maker.log
    assert trials.of(WORKERS[1]).name == WORKERS[1]
    assert maker.log.count(f"prepared {WORKERS[1]}") == 1


def test_an_error_ahead_of_time_is_that_trials_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised when a check asks for it, if it is still so."""
    maker = workers(monkeypatch)
    maker.results[WORKERS[1]] = WaitTimeoutError("submissions to be accepted", 30, "502")
    trials = maker.trials(*WORKERS)
    assert trials.of(WORKERS[0]).name == WORKERS[0]
    with pytest.raises(WaitTimeoutError, match="502"):
        trials.of(WORKERS[1])
    assert maker.asked == [WORKERS[0], WORKERS[1], WORKERS[1]]


def test_what_was_prepared_for_another_fault_is_ended_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is what was prepared for the fault at another front door."""
    maker = workers(monkeypatch)
    maker.elsewhere.add(WORKERS[1])
    first, second, third = WORKERS
    trials = maker.trials(*WORKERS)
    trials.of(first)
    trials.of(third)
    assert maker.log[5:8] == [f"ended {second}", f"prepared {third}", f"fault {third}"]
    trials = maker.trials(*WORKERS)
    trials.of(first)
    maker.log.clear()
    trials.of(second)
    parts = [f"well before {second}", f"ended {second}", f"prepared {second}", f"fault {second}"]
    assert maker.log[:4] == parts


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ResourceWarning("lost")], ids=["ctrl-C", "an error"])
def test_all_that_was_begun_is_ended_where_a_trial_cannot_be_judged(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Whatever ended it."""
    maker = workers(monkeypatch)
    maker.failing[WORKERS[0]] = error
    with pytest.raises(type(error)):
        maker.trials(*WORKERS).of(WORKERS[0])
    assert sorted(maker.log[-2:]) == [f"ended {each}" for each in WORKERS[:2]]


def test_what_nobody_asked_for_is_ended_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And only once."""
    maker = workers(monkeypatch)
    trials = maker.trials(*WORKERS)
    trials.of(WORKERS[0])
    trials.close()
    trials.close()
    assert maker.log.count(f"ended {WORKERS[1]}") == 1


def test_a_trial_that_an_earlier_one_stands_for_is_not_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that was made; the balancer's own stands for nothing but itself."""
    own = replace(trial(), name="power_off:balancer")
    maker = Maker(monkeypatch, power_off__server01=trial(), power_off__balancer=own)
    planned = ("power_off:server-1", "power_off:balancer")
    trials = maker.trials(*planned, *planned)
    trials.of("power_off:server-1")
    assert maker.asked == ["power_off:server-1"]
    trials = maker.trials("power_off:balancer", "power_off:balancer")
    assert trials.of("power_off:balancer") is own
    assert maker.asked == ["power_off:server-1", "power_off:balancer"]
