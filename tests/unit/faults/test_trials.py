"""A trial is made once, whoever asks for it; and one of the balancer's node need not be made twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from failover_rig import SWARM, trial

from harness.core.errors import CheckFailedError, InconclusiveError, WaitTimeoutError
from harness.faults import trials as module
from harness.faults.run import FaultContext
from harness.faults.trial import OpenTrial, Trial
from harness.faults.trials import Trials


class Maker:
    """Stands in for ``begin_trial``: makes the trials that it is given, or raises them.

    ``log`` has what was done: the names of trials that were begun, and of those that were judged or closed.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **made: Trial | Exception) -> None:
        self.results = {name.replace("__", ":").replace("0", "-"): found for name, found in made.items()}
        self.asked: list[str] = []
        self.log: list[str] = []
        self.told: list[int] = []
        monkeypatch.setattr(module, "begin_trial", self.begin_trial)

    def begin_trial(self, _: FaultContext, name: str, *, before_fault: Callable[[], None]) -> OpenTrial:
        self.asked.append(name)
        before_fault()
        self.log.append(name)
        found = self.results[name]
        if isinstance(found, Exception):
            raise found
        made = found

        def judged() -> Trial:
            self.log.append(f"judged {name}")
            return made

        def close() -> None:
            self.log.append(f"closed {name}")

        def await_answers() -> None:
            self.log.append(f"answers to {name}")

        return OpenTrial(name, made.fault, made.carried, await_answers, close, judged)

    def trials(self, *planned: str) -> Trials:
        """Trials of the plan's swarm."""
        context: Any = SimpleNamespace(session=SimpleNamespace(topology=SWARM))

        def told(made: Sequence[Trial]) -> None:
            self.told.append(len(made))

        return Trials(context, told, planned)


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


WORKERS = ("power_off:worker-1", "power_off:worker-2", "power_off:client")


def workers(monkeypatch: pytest.MonkeyPatch, **others: Trial | Exception) -> Maker:
    """Trials of three nodes."""
    made = {each: trial(each.partition(":")[2]) for each in WORKERS}
    found = {each.replace(":", "__").replace("-", "0"): one for each, one in made.items()}
    return Maker(monkeypatch, **found, **others)


def test_the_next_fault_is_tried_before_the_answers_to_this_ones_submissions_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One at a time, and what is judged is closed."""
    maker = workers(monkeypatch)
    trials = maker.trials(*WORKERS)
    first, second, third = WORKERS
    assert trials.of(first).name == first
    assert maker.log == [first, f"answers to {first}", second, f"judged {first}", f"closed {first}"]
    assert [trials.of(each).name for each in WORKERS] == list(WORKERS)
    assert maker.log[5:] == [
        *(f"answers to {first}", f"answers to {second}"),
        *(third, f"judged {second}", f"closed {second}"),
        *(f"judged {third}", f"closed {third}"),
    ]
    assert maker.told == [1, 2, 3]


def test_what_goes_wrong_with_the_next_fault_is_said_of_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial before is as good as ever."""
    maker = Maker(
        monkeypatch,
        power_off__server01=trial(),
        power_off__server02=WaitTimeoutError("power_off of server-2", 120, "active"),
    )
    trials = maker.trials("power_off:server-1", "power_off:server-2")
    assert trials.of("power_off:server-1").name == "power_off:server-1"
    for _ in range(2):
        with pytest.raises(CheckFailedError, match="power_off:server-2: waited 120 s"):
            trials.of("power_off:server-2")
    assert len(maker.asked) == 2


def test_a_balancer_that_was_lost_already_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault after it is tried instead, though the trial that counts for it is not judged yet."""
    maker = Maker(monkeypatch, power_off__server01=trial(), power_off__client=trial("client"))
    trials = maker.trials("power_off:server-1", "power_off:balancer", "power_off:client")
    first = trials.of("power_off:server-1")
    assert maker.asked == ["power_off:server-1", "power_off:client"]
    assert trials.of("power_off:balancer") is first


def test_what_nobody_asked_for_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its submissions end with the checks."""
    maker = workers(monkeypatch)
    trials = maker.trials(*WORKERS)
    trials.of(WORKERS[0])
    trials.close()
    assert f"closed {WORKERS[1]}" in maker.log
    assert f"judged {WORKERS[1]}" not in maker.log
