"""Where a warm-up ends: known beginnings, none, and runs that never get steady."""

from __future__ import annotations

import numpy as np
import pytest
from stats_rig import mmc, samples_of

from harness.load.model import Outcome
from harness.load.stats.warmup import interval_means, mser5, warmup


@pytest.mark.parametrize("length", [20, 40, 60])
def test_a_slow_start_is_cut_off_where_it_ends(length: int) -> None:
    """Never before that, and mostly right there."""
    random = np.random.default_rng(length)
    slow = np.where(np.arange(200) < length, 200.0, 0.0)
    cuts = [mser5(random.normal(100, 5, 200) + slow) or 0 for _ in range(30)]
    assert min(cuts) >= length
    assert np.median(cuts) <= length + 5


def test_a_steady_series_loses_little() -> None:
    """Noise has no beginning."""
    random = np.random.default_rng(9)
    cuts = [mser5(random.normal(100, 5, 200)) or 0 for _ in range(30)]
    assert np.median(cuts) <= 20


def test_a_constant_series_loses_nothing() -> None:
    """All errors are 0; the first is taken."""
    assert mser5(np.full(100, 7.0)) == 0


def test_a_trend_has_no_steady_state() -> None:
    """The guard of MSER: more than half would have to go."""
    seconds = np.arange(0, 60, 0.05)
    found = warmup(samples_of(seconds, 10 + seconds * 20), 60)
    assert not found.steady
    assert found.told.startswith("no steady state")


def test_too_few_intervals_are_too_short() -> None:
    """Under ten batches of five nobody can tell."""
    assert mser5(np.arange(49.0)) is None
    found = warmup(samples_of(np.arange(60) * 0.1, np.full(60, 5.0)), 6, minimum=1)
    assert (found.seconds, found.steady) == (1, False)
    assert "too short" in found.told


def test_the_warmup_of_a_run_is_reported_in_seconds() -> None:
    """Slow for six seconds of sixty."""
    seconds = np.arange(0, 60, 0.02)
    latency = np.random.default_rng(1).normal(50, 3, len(seconds)) + np.where(seconds < 6, 300, 0)
    found = warmup(samples_of(seconds, latency), 60)
    assert found.steady
    assert found.seconds == pytest.approx(6, abs=1.6)


def test_a_queue_that_fills_is_left_out_and_at_least_the_minimum() -> None:
    """M/M/4 from empty: steady after all, but for chance, and the fixed minimum always goes."""
    random = np.random.default_rng(10)
    runs = [mmc(random, 30, 10, 4, 3000) for _ in range(10)]
    found = [warmup(run, run["intended"][-1] / 1e9, minimum=5) for run in runs]
    assert sum(one.steady for one in found) >= 9
    assert min(one.seconds for one in found) == 5


def test_intervals_without_a_good_end_have_no_mean() -> None:
    """A wrong answer is no latency."""
    run = samples_of(np.array([0.5, 1.5, 2.5]), np.array([10.0, 20.0, 30.0]))
    run["outcome"][1] = Outcome.WRONG
    means = interval_means(run, 3, 3)
    assert means[[0, 2]] == pytest.approx([10, 30])
    assert np.isnan(means[1])
