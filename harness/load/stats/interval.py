"""Confidence intervals: of means, of quantiles, and of several measurements of one thing.

An interval whose ``low`` and ``high`` are None is unknown: too few values, or infinite ones among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.load.result import Interval

Values: TypeAlias = Sequence[float] | npt.NDArray[np.float64]


def narrow(interval: Interval, relative: float) -> bool:
    """Whether each end lies within ``relative`` of the value: 0.05 is plus or minus 5 %."""
    if interval.low is None or interval.high is None:
        return False
    half = max(interval.high - interval.value, interval.value - interval.low)
    return half <= relative * abs(interval.value)


def t_interval(values: Values, confidence: float = 0.95) -> Interval:
    """Student's interval of the mean of independent values, such as the means of repetitions.

    One value gives no interval. An infinite value makes the mean infinite.
    """
    data = _filled(values)
    mean = float(data.mean())
    if len(data) < 2 or not math.isfinite(mean):
        return Interval(mean, confidence=confidence)
    half = _t(confidence, len(data) - 1) * float(data.std(ddof=1)) / math.sqrt(len(data))
    return Interval(mean, mean - half, mean + half, confidence)


def quantile_interval(
    values: Values, share: float, confidence: float = 0.95, *, serial: bool = False
) -> Interval:
    """The quantile of ``values`` with its interval by order statistics, which assumes no distribution.

    How many values lie below the true quantile is binomial, so the interval reaches from one ordered value to
    another (Hahn, Meeker: Statistical Intervals, 5.2). ``serial``: the values are in the order of time, and
    neighbours may be correlated; then they count as fewer (`effective_size` of being above the quantile). If
    an end would be beyond the values, the interval is unknown. Values may be infinite: a quantile among those
    is infinite, and so may be the upper end.
    """
    ordered = np.sort(_filled(values))
    value = float(ordered[_rank(share, len(ordered))])
    size = float(len(ordered))
    if serial:
        size = effective_size(np.asarray(values, dtype=np.float64) > value)
    low, high = _binomial_ends(share, size, confidence)
    if low < 1 or high > size:
        return Interval(value, confidence=confidence)
    low_rank, high_rank = (
        int(low / size * len(ordered)) - 1,
        min(math.ceil(high / size * len(ordered)), len(ordered)) - 1,
    )
    return Interval(value, float(ordered[max(low_rank, 0)]), float(ordered[high_rank]), confidence)


def combined(intervals: Sequence[Interval]) -> Interval:
    """One interval of several measurements of the same thing, weighted by their precision.

    The usual inverse-variance mean. Where they differ more than their intervals allow, it is widened by
    Birge's ratio (Birge 1932; as the Particle Data Group does). If none has an interval, it is Student's.
    """
    known = [i for i in intervals if i.low is not None and i.high is not None and math.isfinite(i.high)]
    if not known:
        return t_interval([i.value for i in intervals], intervals[0].confidence)
    if len(known) == 1:
        return known[0]
    values = np.array([i.value for i in known])
    halves = np.array([max((i.high - i.low) / 2, 1e-12) for i in known])  # type: ignore[operator]
    weights = halves**-2
    mean = float(np.average(values, weights=weights))
    z = float(stats.norm.isf((1 - known[0].confidence) / 2))
    birge = math.sqrt(float(np.sum((z * (values - mean) / halves) ** 2)) / (len(known) - 1))
    half = max(1.0, birge) / math.sqrt(float(weights.sum()))
    return Interval(mean, mean - half, mean + half, known[0].confidence)


def effective_size(series: Values | npt.NDArray[np.bool_]) -> float:
    """How many independent values have as much information about the mean as this series.

    n / (1 + 2 * the sum of autocorrelations), summed in pairs for as long as the pairs are positive: Geyer's
    initial positive sequence (Geyer 1992). At least 1, at most n.
    """
    data = np.asarray(series, dtype=np.float64)
    if len(data) < 4 or np.ptp(data) == 0:
        return float(len(data))
    rho = _autocorrelation(data)
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    positive = pairs[: ends[0]] if len(ends) else pairs
    return float(np.clip(len(data) / max(2 * positive.sum() - 1, 1.0), 1, len(data)))


def _autocorrelation(data: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """By lag, from 0 on; through the Fourier transform, padded so that the series does not wrap around."""
    centred = data - data.mean()
    spectrum = np.fft.rfft(centred, 2 * len(data))
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[: len(data)]
    return np.asarray(covariance / covariance[0], dtype=np.float64)


def _rank(share: float, count: int) -> int:
    """The index of the least ordered value that at least ``share`` of all do not exceed."""
    return min(max(math.ceil(share * count - 1e-9) - 1, 0), count - 1)


def _binomial_ends(share: float, size: float, confidence: float) -> tuple[int, int]:
    """The ranks, from 1, between which the quantile lies with ``confidence``; beyond 1..size: nowhere."""
    tail = (1 - confidence) / 2
    whole = max(int(size), 1)
    low = int(stats.binom.ppf(tail, whole, share))
    high = int(stats.binom.isf(tail, whole, share)) + 1
    return low, high


def _t(confidence: float, freedom: int) -> float:
    """How many standard errors a two-sided interval reaches."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def _filled(values: Values) -> npt.NDArray[np.float64]:
    """The values as an array; ValueError if there are none, or one is not a number."""
    data = np.asarray(values, dtype=np.float64)
    if not len(data):
        raise ValueError("no values to estimate from")
    if np.isnan(data).any():
        raise ValueError("one of the values is not a number")
    return data
