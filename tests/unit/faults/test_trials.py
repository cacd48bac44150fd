"""A trial is made once, whoever asks for it; and one of the balancer's node need not be made twice."""

from __future__ import annotations

from collections.abc import Sequence
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


class Maker:
    """Stands in for ``run_trial``: makes the trials that it is given, or raises them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **made: Trial | Exception) -> None:
        self.results = {name.replace("__", ":").replace("0", "-"): found for name, found in made.items()}
        self.asked: list[str] = []
        self.told: list[int] = []
        monkeypatch.setattr(module, "run_trial", self.run_trial)

    def run_trial(self, _: FaultContext, name: str) -> Trial:
        self.asked.append(name)
        found = self.results[name]
        if isinstance(found, Exception):
            raise found
        return found

    def trials(self) -> Trials:
        """Trials of the plan's swarm."""
        context: Any = SimpleNamespace(session=SimpleNamespace(topology=SWARM))

        def told(made: Sequence[Trial]) -> None:
            self.told.append(len(made))

        return Trials(context, told)


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
