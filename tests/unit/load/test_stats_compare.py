"""Comparing a fresh result with a baseline: false alarms, missed slowdowns, and what cannot be told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.core.errors import UsageError
from harness.load.stats.compare import Comparison, compare, holm, repetitions_needed, shift

CALM = {"p95_ms": (100.0, 102.0, 99.0, 101.0, 98.5, 100.5, 101.5, 99.5)}
METRICS = {"rate": "lower", "p50_ms": "higher", "p95_ms": "higher"}


def one(baseline: list[float], fresh: list[float], bad: str = "higher", relevant: float = 0.1) -> Comparison:
    """The comparison of one metric."""
    (found,) = compare({"m": baseline}, {"m": fresh}, worse_is={"m": bad}, relevant=relevant)  # type: ignore[dict-item]
    return found


def noisy(random: np.random.Generator, factor: float = 1.0) -> dict[str, list[float]]:
    """Eight repetitions of three metrics with 8 % of noise."""
    return {name: list(factor * 100 * random.lognormal(0, 0.08, 8)) for name in METRICS}


def test_no_change_is_hardly_ever_worse() -> None:
    """Over three metrics together, at most in alpha of the cases."""
    random = np.random.default_rng(11)
    alarms = [
        any(c.verdict == "worse" for c in compare(noisy(random), noisy(random), worse_is=METRICS))
        for _ in range(150)
    ]
    assert np.mean(alarms) <= 0.05


def test_a_slowdown_of_30_percent_is_found_with_eight_repetitions() -> None:
    """With noise as it is usual, in nearly all cases."""
    random = np.random.default_rng(12)
    found = [
        compare(noisy(random), noisy(random, 1.3), worse_is=METRICS)[2].verdict == "worse" for _ in range(60)
    ]
    assert np.mean(found) >= 0.95


def test_the_bad_direction_decides_between_better_and_worse() -> None:
    """More throughput is good, more latency is not."""
    low, high = [100.0, 101, 102, 103, 104], [200.0, 201, 202, 203, 204]
    assert one(low, high, "higher").verdict == "worse"
    assert one(low, high, "lower").verdict == "better"
    assert one(high, low, "higher").verdict == "better"
    assert one(high, low, "lower").verdict == "worse"


def test_the_same_is_said_only_where_the_whole_interval_is_irrelevant() -> None:
    """Not being significant is not being the same."""
    loud = [60.0, 150, 90, 120, 70, 140, 100, 110]
    assert one(list(CALM["p95_ms"]), list(CALM["p95_ms"])).verdict == "same"
    assert one(loud, loud[::-1]).verdict == "undecided"


def test_the_same_is_not_said_where_it_may_be_much_better() -> None:
    """Either end of the interval beyond what is relevant is too far."""
    for odd in ([70.0, 75, 80], [130.0, 125, 120]):
        found = one(list(CALM["p95_ms"]), [*odd, 99.2, 99.8, 100.2, 100.8, 101.2])
        assert found.verdict == "undecided"


def test_a_significant_shift_below_the_relevant_is_not_worse() -> None:
    """5 % more, far outside of the noise."""
    found = one([100.0, 100.1, 100.2, 100.3, 100.4, 100.5], [105.0, 105.1, 105.2, 105.3, 105.4, 105.5])
    assert found.p_value < 0.05
    assert found.verdict == "same"
    assert found.shift.value == pytest.approx(0.05, abs=0.001)


def test_too_few_repetitions_are_undecided_and_say_how_many_it_takes() -> None:
    """Three against three differ by 10 % of all orders at least."""
    found = one([1.0, 1.1, 1.2], [9.0, 9.1, 9.2])
    assert found.verdict == "undecided"
    assert "it takes 4 of each" in found.told
    assert (found.shift.low, found.shift.high) == (None, None)


def test_too_few_repetitions_are_not_even_the_same() -> None:
    """Four of each show nothing of five metrics: a gate that cannot fail must not pass."""
    values = {f"m{i}": [100.0, 100.1, 100.2, 100.3] for i in range(5)}
    found = compare(values, values, worse_is=dict.fromkeys(values, "higher"))
    assert [one.verdict for one in found] == ["undecided"] * 5
    assert "it takes 5 of each" in found[0].told


@pytest.mark.parametrize(("metrics", "needed"), [(1, 4), (2, 5), (6, 5), (7, 6)])
def test_more_metrics_take_more_repetitions(metrics: int, needed: int) -> None:
    """2 / C(2n, n) times their number must not exceed alpha."""
    assert repetitions_needed(metrics) == needed
    assert (
        metrics * 2 / math.comb(2 * needed, needed)
        <= 0.05
        < metrics * 2 / math.comb(2 * needed - 2, needed - 1)
    )


def test_errors_where_there_were_none_are_worse_whatever_their_share() -> None:
    """A share relative to nothing has no size; any significant one counts."""
    found = one([0.0] * 6, [0.001, 0.002, 0.001, 0.003, 0.001, 0.002])
    assert found.verdict == "worse"
    assert found.shift.value == pytest.approx(0.001, abs=0.001)


def test_more_errors_than_before_are_relative_to_those_before() -> None:
    """Twice the share is a shift of 100 %, though one repetition had none."""
    found = one([0.0, 0.01, 0.01, 0.01, 0.01], [0.02] * 5)
    assert found.verdict == "worse"
    assert found.shift.value == pytest.approx(1.0)


def test_no_errors_on_either_side_are_the_same() -> None:
    """All ties: nothing to rank."""
    assert (one([0.0] * 6, [0.0] * 6).verdict, one([0.0] * 6, [0.0] * 6).p_value) == ("same", 1.0)


def test_one_repetition_with_errors_does_not_decide() -> None:
    """It is told neither as worse nor, with two of eight, as the same."""
    assert one([0.0] * 8, [0.0] * 7 + [0.5]).verdict == "same"
    assert one([0.0] * 8, [0.0] * 6 + [0.5, 0.4]).verdict == "undecided"


def test_an_endless_quantile_is_worse_than_any_other() -> None:
    """And its shift is told as a number that JSON knows."""
    found = one([100.0] * 5, [math.inf] * 5)
    assert found.verdict == "worse"
    assert found.shift.value == 1000.0
    assert one([math.inf] * 5, [math.inf] * 5).verdict == "same"


def test_the_p_value_is_that_of_mann_and_whitney() -> None:
    """Exact, and with ties over all ways to divide the values."""
    old, new = [1.0, 3, 5, 7, 9], [2.0, 6, 8, 10, 11]
    assert one(old, new).p_value == pytest.approx(stats.mannwhitneyu(old, new, method="exact").pvalue)
    assert one([0.0] * 4, [1.0] * 4).p_value == pytest.approx(2 / math.comb(8, 4))


def test_the_interval_belongs_to_the_test() -> None:
    """For 5 against 5 at 95 %, the third least and the third greatest of 25 steps (Hollander, table A.6)."""
    old, new = np.array([10.0, 11, 12, 13, 14]), np.array([20.0, 21.5, 23, 24.5, 26])
    steps = np.sort((new[:, None] / old - 1).ravel())
    found = shift(old, new)
    assert (found.low, found.high) == (steps[2], steps[-3])
    assert found.value == np.median(steps)


@pytest.mark.parametrize(("metric", "values"), [("p95_ms", ()), ("p95_ms", (1.0, math.nan))])
def test_a_metric_without_good_values_is_refused_by_name(metric: str, values: tuple[float, ...]) -> None:
    """Leaving it out would let it get worse unseen."""
    with pytest.raises(UsageError, match=r"fresh result has .* p95_ms"):
        compare(CALM, {metric: values}, worse_is={"p95_ms": "higher"})


def test_holm_corrects_step_by_step() -> None:
    """The example of R's p.adjust."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))


VALUES = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES)
def test_any_values_are_compared_and_the_shift_lies_within_its_interval(
    old: list[float], new: list[float]
) -> None:
    """Ties, zeros and single repetitions included."""
    found = one(old, new)
    assert 0 < found.p_value <= 1
    assert found.told.startswith("m: ")
    if found.shift.low is not None and found.shift.high is not None:
        assert found.shift.low <= found.shift.value <= found.shift.high
    if found.verdict == "worse":
        assert one(old, new, "lower").verdict == "better"
