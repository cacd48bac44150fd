"""Compare a fresh result with a stored baseline: what is better, what is worse, and what is undecided.

Each repetition gives one value for each metric. The test is Wilcoxon's rank sum (Mann-Whitney U), exact where
there are few repetitions, so it needs no shape of the noise, and one odd repetition does not decide it. The
shift is Hodges and Lehmann's estimate with the interval that belongs to the test (Hollander, Wolfe, Chicken:
Nonparametric Statistical Methods, 4.2 and 4.3). p-values are Holm's over all metrics (Holm 1979), so that the
chance of any false alarm is ``alpha`` at most, not of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.core.errors import UsageError
from harness.load.result import Interval
from harness.load.stats.interval import t_interval

Verdict = Literal["better", "same", "worse", "undecided"]
Bad = Literal["higher", "lower"]

# Shifts beyond this (a thousandfold) are shown as this: more is not needed, and JSON has no infinity.
MOST = 1000.0
# What an infinite value counts as: more than any other.
ENDLESS = 1e12
# Up to so many arrangements of the values in the two groups, each is enumerated.
MOST_ARRANGEMENTS = 20_000


@dataclass(frozen=True)
class Comparison:
    """One metric. ``baseline`` and ``fresh`` are means with Student's interval over the repetitions.

    ``shift`` is relative to the baseline, 0.1 is 10 % more; where the baseline's median is 0 it is absolute,
    in the metric's own unit. ``p_value`` is two-sided and corrected for the number of metrics.
    """

    metric: str
    verdict: Verdict
    baseline: Interval
    fresh: Interval
    shift: Interval
    p_value: float
    told: str


def compare(
    baseline: Mapping[str, Sequence[float]],
    fresh: Mapping[str, Sequence[float]],
    *,
    worse_is: Mapping[str, Bad],
    relevant: float = 0.1,
    alpha: float = 0.05,
) -> tuple[Comparison, ...]:
    """Compare the metrics that ``worse_is`` names, in its order; it says which direction is the bad one.

    ``worse`` and ``better``: the shift is significant, and its estimate at least ``relevant``. ``same``: the
    whole interval of the shift is within ``relevant``. Anything else is ``undecided``, as is everything where
    there are too few repetitions for any shift to be significant. A value may be ``math.inf``.
    UsageError: a metric is missing on one side, or has a value that is not a number.
    """
    pairs = {
        metric: (_values("baseline", baseline, metric), _values("fresh result", fresh, metric))
        for metric in worse_is
    }
    adjusted = holm([_p_value(old, new) for old, new in pairs.values()])
    return tuple(
        _comparison(metric, *pairs[metric], p, _Rule(worse_is[metric], relevant, alpha, len(pairs)))
        for metric, p in zip(pairs, adjusted, strict=True)
    )


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction: each p-value as if it were the only one tested."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = [min(1.0, (len(order) - rank) * p_values[index]) for rank, index in enumerate(order)]
    found = dict(zip(order, accumulate(scaled, max), strict=True))
    return tuple(found[index] for index in range(len(p_values)))


def repetitions_needed(metrics: int = 1, alpha: float = 0.05) -> int:
    """How many repetitions each side needs so that a shift of one of ``metrics`` can be significant."""
    return next(n for n in range(2, 1000) if metrics * _least_p(n, n) <= alpha)


@dataclass(frozen=True)
class _Rule:
    """What makes a shift of one metric worth a verdict."""

    bad: Bad
    relevant: float
    alpha: float
    metrics: int


def _values(side: str, samples: Mapping[str, Sequence[float]], metric: str) -> npt.NDArray[np.float64]:
    values = np.asarray(samples.get(metric, ()), dtype=np.float64)
    if not len(values):
        raise UsageError(f"the {side} has no values of {metric}: measure it again with the same metrics")
    if np.isnan(values).any():
        raise UsageError(f"the {side} has a value of {metric} that is not a number: remove the repetition")
    return np.minimum(values, ENDLESS)


def _least_p(old: int, new: int) -> float:
    """The p-value where every value of one side is above every other; one alone shows nothing."""
    return 2 / math.comb(old + new, new) if min(old, new) > 1 else 1.0


def _p_value(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> float:
    """Two-sided p-value of the rank sum test."""
    ranks = stats.rankdata(np.concatenate([old, new]))
    if len(np.unique(ranks)) == 1 or min(len(old), len(new)) == 1:
        return 1.0
    if len(np.unique(ranks)) == len(ranks) and max(len(old), len(new)) <= 100:
        return float(stats.mannwhitneyu(old, new, method="exact").pvalue)
    if math.comb(len(ranks), len(new)) <= MOST_ARRANGEMENTS:
        return _exact_with_ties(ranks[: len(old)], ranks[len(old) :])
    return float(stats.mannwhitneyu(ranks[: len(old)], ranks[len(old) :], method="asymptotic").pvalue)


def _exact_with_ties(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> float:
    """Over all arrangements of the ranks; `mannwhitneyu` is exact only without ties."""
    found = stats.permutation_test(
        (old, new),
        lambda _, right, axis: np.sum(right, axis=axis),
        n_resamples=np.inf,
        vectorized=True,
    )
    return float(found.pvalue)


def _comparison(
    metric: str, old: npt.NDArray[np.float64], new: npt.NDArray[np.float64], p: float, rule: _Rule
) -> Comparison:
    relative = bool(np.median(old) > 0)
    change = shift(old, new, 1 - rule.alpha)
    few = rule.metrics * _least_p(len(old), len(new)) > rule.alpha
    verdict = "undecided" if few else _verdict(change, p, rule, rule.relevant if relative else 0.0)
    text = _few(len(old), len(new), rule) if few else _summary(verdict, change, p, rule, relative)
    return Comparison(metric, verdict, t_interval(old), t_interval(new), change, p, f"{metric}: {text}")


def _verdict(change: Interval, p: float, rule: _Rule, relevant: float) -> Verdict:
    if p <= rule.alpha and change.value != 0 and abs(change.value) >= relevant:
        return "worse" if (change.value > 0) == (rule.bad == "higher") else "better"
    if change.low is None or change.high is None:
        return "undecided"
    return "same" if -relevant <= change.low <= change.high <= relevant else "undecided"


def shift(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """Hodges and Lehmann's shift from ``old`` to ``new``: relative, or absolute where ``old``'s median is 0.

    Where all values are positive it is the median of all ratios, less 1 (the shift of the logarithms), so it
    does not depend on unit; otherwise the median of all differences over the median of ``old``.
    """
    steps = np.sort(_steps(old, new))
    cut = _cut(len(old), len(new), confidence)
    value = float(np.median(steps))
    if not cut:
        return Interval(value, confidence=confidence)
    return Interval(value, float(steps[cut - 1]), float(steps[-cut]), confidence)


def _steps(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How each value of ``new`` relates to each of ``old``."""
    before, after = (side.ravel() for side in np.meshgrid(old, new))
    positive = bool((before > 0).all() and (after > 0).all())
    with np.errstate(over="ignore"):
        steps = after / before - 1 if positive else (after - before) / _unit(old)
    return np.clip(steps, -MOST, MOST)


def _unit(old: npt.NDArray[np.float64]) -> float:
    """What shifts are relative to: the median, or 1 if there is none."""
    median = float(np.median(old))
    return median if median > 0 else 1.0


def _cut(old: int, new: int, confidence: float) -> int:
    """The interval reaches from the ``cut``-th least step to the ``cut``-th greatest; 0: there is none.

    The greatest c with P(U <= c - 1) <= (1 - confidence) / 2, U being Mann and Whitney's without a shift.
    """
    tail = (1 - confidence) / 2
    if max(old, new) > 50:
        spread = math.sqrt(old * new * (old + new + 1) / 12)
        return max(0, math.floor(old * new / 2 - float(stats.norm.isf(tail)) * spread))
    arrangements = _arrangements(old, new)
    allowed = tail * math.comb(old + new, new)
    return sum(1 for below in accumulate(arrangements) if below <= allowed)


def _arrangements(old: int, new: int) -> list[int]:
    """How many orders of the values give U = 0, 1, ...: the coefficients of Gauss's binomial."""
    arrangements = [1] + [0] * (old * new)
    for i in range(1, new + 1):
        for u in range(old * new, old + i - 1, -1):
            arrangements[u] -= arrangements[u - old - i]
        for u in range(i, old * new + 1):
            arrangements[u] += arrangements[u - i]
    return arrangements


def _few(old: int, new: int, rule: _Rule) -> str:
    needed = repetitions_needed(rule.metrics, rule.alpha)
    return (
        f"undecided: {old} repetitions against {new} cannot show any shift of {rule.metrics} metrics "
        f"at {rule.alpha:.0%}; it takes {needed} of each"
    )


def _summary(verdict: Verdict, change: Interval, p: float, rule: _Rule, relative: bool) -> str:
    size = _size(change, relative)
    if verdict == "same":
        return f"same: {size}, within {rule.relevant:.0%}" if relative else f"same: {size}"
    if verdict == "undecided":
        kind = "there is a shift, and whether it matters" if p <= rule.alpha else "whether there is a shift"
        return f"undecided: {size}; {kind} takes more repetitions to decide"
    return f"{verdict}: {size}, p = {p:.2g}"


def _size(change: Interval, relative: bool) -> str:
    def text(number: float) -> str:
        return f"{number:+.1%}" if relative else f"{number:+.3g}"

    if change.low is None or change.high is None:
        return text(change.value)
    return f"{text(change.value)} ({text(change.low)} to {text(change.high)})"
