"""Intervals: how often they cover the truth, and where they are not told."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.result import Interval
from harness.load.stats.interval import (
    combined,
    effective_size,
    narrow,
    quantile_interval,
    t_interval,
)

Array = npt.NDArray[np.float64]


def covers(interval: Interval, truth: float) -> bool:
    """Whether the truth lies in an interval that is told."""
    assert interval.low is not None
    assert interval.high is not None
    return interval.low <= truth <= interval.high


def remembering(random: np.random.Generator, count: int, memory: float) -> Array:
    """A series of mean 0 in which each value keeps so much of the one before (AR 1), steady at once."""
    series = np.empty(count)
    series[0] = random.normal(0, 1 / math.sqrt(1 - memory**2))
    for i, step in enumerate(random.normal(size=count - 1), start=1):
        series[i] = memory * series[i - 1] + step
    return series


def test_students_interval_is_the_textbooks() -> None:
    """Mean 10, standard deviation 1, n = 4: plus and minus 3.182 / 2."""
    values = 10 + np.array([-1, -1, 1, 1]) * math.sqrt(3) / 2
    found = t_interval(values)
    assert found.value == pytest.approx(10)
    assert found.high == pytest.approx(10 + 3.1824 / 2, abs=1e-4)
    assert found.low == pytest.approx(10 - 3.1824 / 2, abs=1e-4)


def test_one_value_and_an_endless_one_have_no_interval() -> None:
    """Told as such, not as a narrow one."""
    assert t_interval([5.0]) == Interval(5.0)
    assert t_interval([5.0, math.inf]) == Interval(math.inf)
    assert not narrow(t_interval([5.0]), 0.5)


@pytest.mark.parametrize("bad", [[], [math.nan, 1.0]])
def test_no_values_and_no_numbers_are_refused(bad: list[float]) -> None:
    """An estimate of nothing is a mistake of the caller's."""
    with pytest.raises(ValueError, match="values"):
        t_interval(bad)


def test_narrow_looks_at_the_farther_end() -> None:
    """Intervals of quantiles are lopsided."""
    assert narrow(Interval(100, 98, 105), 0.05)
    assert not narrow(Interval(100, 98, 105.1), 0.05)
    assert not narrow(Interval(0, -1, 1), 0.05)
    assert narrow(Interval(0, 0, 0), 0.05)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_quantiles_interval_covers_it_as_often_as_it_says(share: float) -> None:
    """Whatever the shape; here it is skewed."""
    random, truth = np.random.default_rng(3), -math.log(1 - share)
    hits = [covers(quantile_interval(random.exponential(size=400), share), truth) for _ in range(300)]
    assert 0.92 <= np.mean(hits) <= 0.995


def test_a_quantile_too_far_out_has_no_interval() -> None:
    """Of 20 values nobody knows how far the p99 may be."""
    found = quantile_interval(np.arange(1.0, 21.0), 0.99)
    assert (found.value, found.low, found.high) == (20, None, None)


def test_a_quantile_among_the_endless_is_endless() -> None:
    """And so is the upper end of one just below."""
    values = np.concatenate([np.arange(960.0), np.full(40, math.inf)])
    assert quantile_interval(values, 0.97).value == math.inf
    near = quantile_interval(values, 0.955)
    assert (near.value, near.high) == (954, math.inf)


def test_neighbours_that_resemble_each_other_widen_a_quantiles_interval() -> None:
    """Without it, the interval covers the truth far less often than it says."""
    random = np.random.default_rng(4)
    series = [remembering(random, 1500, 0.9) for _ in range(60)]
    naive = np.mean([covers(quantile_interval(one, 0.5), 0.0) for one in series])
    heeded = np.mean([covers(quantile_interval(one, 0.5, serial=True), 0.0) for one in series])
    assert naive < 0.75
    assert heeded >= 0.88


def test_the_effective_size_of_a_remembering_series_is_known() -> None:
    """AR 1: n (1 - r) / (1 + r); without memory it is n."""
    random = np.random.default_rng(5)
    sizes = [effective_size(remembering(random, 4000, 0.8)) for _ in range(10)]
    assert np.median(sizes) == pytest.approx(4000 / 9, rel=0.2)
    assert effective_size(random.normal(size=4000)) > 3000
    assert effective_size([1.0] * 10) == 10


def test_combined_intervals_are_narrower_unless_they_contradict_each_other() -> None:
    """Birge: what differs more than its intervals allow is less certain than it said."""
    alike = combined([Interval(10, 8, 12), Interval(10.2, 8.2, 12.2)])
    apart = combined([Interval(10, 9.9, 10.1), Interval(20, 19.9, 20.1)])
    assert alike.low is not None
    assert alike.low > 8.2
    assert apart.value == pytest.approx(15)
    assert covers(apart, 10.5)
    assert combined([Interval(7), Interval(9, 8, 10)]) == Interval(9, 8, 10)
    assert combined([Interval(7), Interval(8), Interval(9)]) == t_interval([7, 8, 9])
    assert combined([Interval(7)]) == Interval(7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_a_value_lies_within_its_interval(values: list[float], share: float) -> None:
    """For every kind of them."""
    for found in (
        t_interval(values),
        quantile_interval(values, share),
        quantile_interval(values, share, serial=True),
    ):
        if found.low is not None and found.high is not None:
            assert found.low <= found.value <= found.high
