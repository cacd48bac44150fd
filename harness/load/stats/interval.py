"""Confidence intervals: of means, of quantiles, and of the mean of a series that remembers its past.

An interval whose ``low`` and ``high`` are None was not told: too few values, or endless ones among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.load.result import Interval

Values: TypeAlias = Sequence[float] | npt.NDArray[np.float64]
Statistic: TypeAlias = Callable[..., Any]


def narrow(interval: Interval, relative: float) -> bool:
    """Whether each end lies within ``relative`` of the value: 0.05 is plus or minus 5 %."""
    if interval.low is None or interval.high is None:
        return False
    half = max(interval.high - interval.value, interval.value - interval.low)
    return half <= relative * abs(interval.value)


def t_interval(values: Values, confidence: float = 0.95) -> Interval:
    """Student's interval of the mean of independent values, such as the means of repetitions.

    One value gives no interval. An endless value makes the mean endless.
    """
    data = _filled(values)
    mean = float(data.mean())
    if len(data) < 2 or not math.isfinite(mean):
        return Interval(mean, confidence=confidence)
    half = _t(confidence, len(data) - 1) * float(data.std(ddof=1)) / math.sqrt(len(data))
    return Interval(mean, mean - half, mean + half, confidence)


def _t(confidence: float, freedom: int) -> float:
    """How many standard errors a two-sided interval reaches."""
    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def _filled(values: Values) -> npt.NDArray[np.float64]:
    """The values as an array; ValueError where there are none, or one is not a number."""
    data = np.asarray(values, dtype=np.float64)
    if not len(data):
        raise ValueError("no values to estimate from")
    if np.isnan(data).any():
        raise ValueError("one of the values is not a number")
    return data
