"""The search for the knee: against queues whose knee is known, and step by step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from stats_rig import mmc, mmc_beyond

from harness.load.result import Interval
from harness.load.stats import stages
from harness.load.stats.knee import Aim, Search, Trial, capacity, held, next_rate, why

AIM = Aim(objective_ms=1000, start=10, resolution=0.05)


def trial(rate: float, latency: float = 100, spread: float = 10, **more: object) -> Trial:
    """A run that keeps up, of a hundred arrivals."""
    fields = {
        "rate": rate,
        "offered": rate,
        "achieved": rate,
        "arrivals": 100,
        "latency": Interval(latency, latency - spread, latency + spread),
    }
    return Trial(**{**fields, **more})  # type: ignore[arg-type]


def searched(run: Callable[[float], Trial], aim: Aim = AIM) -> Search:
    """The whole search."""
    search = Search(aim)
    while (rate := next_rate(search)) is not None:
        assert len(search.trials) < aim.most
        search = search.after(run(rate))
    return search


def knee_at(limit: float) -> Callable[[float], Trial]:
    """Fast up to a rate, and slow from there."""
    return lambda rate: trial(rate, 100 if rate <= limit else 5000)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.2, 5000))
def test_a_sharp_knee_is_found_to_the_resolution(limit: float) -> None:
    """Wherever the search began; both ends are seen twice, and it takes few runs."""
    search = searched(knee_at(limit))
    found = capacity(search)
    assert found.over is not None
    assert found.rate.value <= limit < found.over <= found.rate.value * 1.0501
    for end in (found.rate.value, found.over):
        assert [run.rate for run in search.trials].count(end) == 2
    assert len(search.trials) <= 26


def test_steps_go_up_by_half_and_then_halve_the_gap() -> None:
    """The first that fails is not the answer yet."""
    search = searched(knee_at(25))
    assert [run.rate for run in search.trials][:5] == [10, 15, 22.5, 33.75, (22.5 + 33.75) / 2]


def test_a_queues_knee_lies_between_the_ends() -> None:
    """M/M/4: theory's knee, to the resolution, in 19 of 20 seeds, and no end is far from it."""
    truth = float(brentq(lambda rate: mmc_beyond(0.5, rate, 10, 4) - 0.05, 1, 39.9))
    aim = Aim(objective_ms=500, start=12, resolution=0.1)
    right = []
    for seed in range(20):
        random = np.random.default_rng(seed)

        def run(rate: float, random: np.random.Generator = random) -> Trial:
            rows = mmc(random, rate, 10, 4, 2500)
            first, last = int(rows["intended"][250]), int(rows["intended"][-1])
            rates = stages.rates(rows, first, last)
            kept = stages.steady(rows, first, last)
            return Trial(rate, rates.offered, rates.achieved, len(kept), stages.quantile_of_run(kept, 0.95))

        found = capacity(searched(run, aim))
        assert found.over is not None
        right.append(found.rate.value / 1.1 <= truth <= found.over * 1.1)
        assert 0.8 * truth < found.rate.value < found.over < 1.4 * truth
    assert sum(right) >= 19


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"errors": 1}, "1 of 100 failed"),
        ({"refused": 2}, "2 of 100 refused"),
        ({"achieved": 9.0}, "only 9.0 of 10.0 a second ended"),
        ({"arrivals": 2000, "achieved": 9.77}, "only 9.8 of 10.0 a second ended"),
        ({"latency": Interval(math.inf)}, "p95 endless: beyond 1000 ms"),
        ({"latency": Interval(2000, 1500, 2500)}, "p95 2000 ms (1500 to 2500 ms): beyond 1000 ms"),
    ],
)
def test_a_rate_fails_for_a_reason_that_is_reported(fields: dict[str, object], reason: str) -> None:
    """Fast answers do not make up for errors, refusals or a backlog."""
    run = dataclasses.replace(trial(10), **fields)  # type: ignore[arg-type]
    assert held(Search(AIM, (run,)), 10) is False
    assert why(AIM, run) == reason


def test_a_short_run_may_end_with_a_few_more_in_flight() -> None:
    """Of a hundred, 96 ended in the window: with some under way at both of its ends that is chance."""
    assert held(Search(AIM, (trial(10, achieved=9.6),)), 10) is True


def test_few_arrivals_are_judged_by_repetitions() -> None:
    """Too few in a run for an interval of their p95: three runs that agree will do, one will not."""
    run = trial(10, latency=200)
    run = dataclasses.replace(run, latency=Interval(200))
    search = Search(AIM, (run, dataclasses.replace(run, latency=Interval(230))))
    assert (held(Search(AIM, (run,)), 10), held(search, 10)) == (None, True)
    assert next_rate(Search(AIM, (run,))) == 10


def test_errors_up_to_the_objectives_share_are_borne() -> None:
    """One in a hundred, where one in a hundred may."""
    assert held(Search(dataclasses.replace(AIM, errors=0.01), (trial(10, errors=1),)), 10) is True


def test_a_rate_that_is_not_clearly_within_is_run_again() -> None:
    """And undecided after three times: neither held nor failed."""
    search = Search(AIM, (trial(10), trial(15, 990, 50)))
    assert next_rate(search) == 15
    search = search.after(trial(15, 1010, 50)).after(trial(15, 1000, 50))
    assert held(search, 15) is None
    assert next_rate(search) == 12.5


def test_repetitions_narrow_what_one_run_cannot_tell() -> None:
    """Three runs of 960 plus and minus 60 are 960 plus and minus 35."""
    assert held(Search(AIM, (trial(15, 960, 60),)), 15) is None
    assert held(Search(AIM, (trial(15, 960, 60),) * 3), 15) is True


def test_what_stays_undecided_is_between_the_ends() -> None:
    """And where it ends is searched, too."""

    def run(rate: float) -> Trial:
        return trial(rate, 100 if rate < 20 else 1000 if rate < 24 else 5000)

    found = capacity(searched(run, dataclasses.replace(AIM, most=80)))
    assert found.over is not None
    assert 19 < found.rate.value < 20
    assert 24 <= found.over < 25.3
    assert "undecided:" in found.told


def test_one_odd_run_is_outvoted_and_reported() -> None:
    """The lower end is seen again; a hiccup costs a third run."""
    hiccups = iter([True])

    def run(rate: float) -> Trial:
        odd = rate > 24 and rate <= 25 and next(hiccups, False)
        return trial(rate, errors=1) if odd else knee_at(25)(rate)

    found = capacity(searched(run))
    assert found.over is not None
    assert found.rate.value <= 25 < found.over
    assert "contradict each other" in found.told


def test_a_run_in_doubt_does_not_count() -> None:
    """It is run again, and never held or failed by itself."""
    doubtful = trial(10, 5000, doubt="the generator was late")
    search = Search(AIM, (doubtful,))
    assert (held(search, 10), next_rate(search)) == (None, 10)
    assert why(AIM, doubtful) == "does not count: the generator was late"
    assert held(search.after(trial(10)), 10) is True


def test_doubts_from_some_rate_on_end_the_search() -> None:
    """A generator that cannot do more does not make it go on."""
    search = searched(lambda rate: trial(rate, doubt="late" if rate > 30 else ""))
    found = capacity(search)
    assert found.rate.value > 28
    assert found.over is None
    assert len(search.trials) < AIM.most


def test_no_rate_that_holds_is_reported_as_such() -> None:
    """Down to the floor, not for ever."""
    found = capacity(searched(lambda rate: trial(rate, 5000)))
    assert (found.rate.value, found.rate.high) == (0, found.over)
    assert found.over is not None
    assert found.over < 0.15
    assert found.told.startswith("no rate held")


def test_the_ceiling_ends_the_search() -> None:
    """All that was asked for held."""
    found = capacity(searched(trial, dataclasses.replace(AIM, ceiling=40)))
    assert (found.rate.value, found.over) == (40, None)
    assert "none above it failed" in found.told


def test_what_is_not_monotone_is_reported() -> None:
    """A rate that holds above one that does not makes no capacity."""
    found = capacity(Search(AIM, (trial(10), trial(20, 5000), trial(30))))
    assert (found.rate.value, found.over) == (10, 20)
    assert "not monotone: 30.0 a second held, though 20.0 did not" in found.told


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_pure_noise_ends_the_search_in_time(seed: int) -> None:
    """It never asks for more runs than it may, nor for a rate outside of its bounds."""
    random = np.random.default_rng(seed)
    aim = dataclasses.replace(AIM, floor=1, ceiling=200)
    search = searched(lambda rate: trial(rate, random.uniform(0, 2000), random.uniform(0, 800)), aim)
    assert all(1 <= run.rate <= 200 for run in search.trials)
    assert len(capacity(search).steps) == len(search.trials)


def test_a_search_that_is_cut_short_says_so() -> None:
    """Five runs do not narrow it down."""
    found = capacity(searched(knee_at(25), dataclasses.replace(AIM, most=5)))
    assert "ended after 5 runs" in found.told
