"""Where the warm-up of a run ends: the start that is cut off so that what is left is steady.

MSER-5 (White 1997; White, Cobb, Spratt 2000): means of five neighbours each; cut off as many of them as make
the standard error of the mean of the rest least. Where that is more than half of the run, and the halves
differ, there is no steady state to speak of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.load.model import SECOND, Outcome, Samples
from harness.load.stats.interval import effective_size

BATCH = 5
# Standard errors of fewer batches than this at the end are chance (Hoad, Robinson, Davies 2010).
SPARE = 5
# A run is cut into so many intervals, unless they got too short to hold arrivals.
INTERVALS = 200
ARRIVALS = 3


@dataclass(frozen=True)
class Warmup:
    """``seconds`` to leave out at the start. ``steady``: what follows is steady, as far as is known.

    ``telling``: there were enough arrivals to decide that; with fewer, only repetitions show it.
    """

    seconds: float
    steady: bool
    told: str
    telling: bool = True


def warmup(samples: Samples, seconds: float, *, minimum: float = 0.0) -> Warmup:
    """The warm-up of a run, by the latency of what ended well; at least ``minimum`` seconds.

    Arrivals were due for ``seconds``; draining is not part of it.
    """
    count = max(1, min(INTERVALS, len(samples) // ARRIVALS))
    means = interval_means(samples, seconds, count)
    filled = np.flatnonzero(~np.isnan(means))
    cut = mser5(means[filled])
    if cut is None:
        few = f"too short to detect the warm-up: only {len(filled)} intervals have arrivals"
        return Warmup(minimum, False, few, telling=False)
    if cut > len(filled) // 2 and drifts(means[filled]):
        return Warmup(minimum, False, "no steady state: latency still changes in the second half of the run")
    if cut > len(filled) // 2:
        cut = mser5(means[filled], most=len(filled) // 2) or 0
    found = float(filled[cut]) * seconds / count if cut else 0.0
    if found < minimum:
        return Warmup(minimum, True, f"the first {minimum:g} s are left out, as in every run")
    return Warmup(found, True, f"the first {found:.1f} s are left out: latency is steady from there (MSER-5)")


def mser5(series: npt.NDArray[np.float64], most: int | None = None) -> int | None:
    """How many values to cut off at the start, a multiple of 5, ``most`` at most; None: under ten fives.

    More than half of the series: by MSER's guard it has no steady state.
    """
    batches = len(series) // BATCH
    if batches < 2 * SPARE:
        return None
    means = series[: batches * BATCH].reshape(batches, BATCH).mean(axis=1)
    last = batches - SPARE if most is None else min(batches - SPARE, most // BATCH)
    return int(np.argmin(_errors(means)[: last + 1])) * BATCH


def drifts(series: npt.NDArray[np.float64]) -> bool:
    """Whether it has a straight trend beyond chance, at 1 %.

    The slope's t test, in which neighbours that resemble each other count as fewer (Santer et al. 2000).
    MSER's guard alone rejects one in three steady runs of a busy queue (M/M/4 at 75 %), as a quiet end looks
    better than the rest by chance.
    """
    places = np.arange(len(series)) - (len(series) - 1) / 2
    slope = float(places @ series / (places @ places))
    rest = series - series.mean() - slope * places
    size = max(effective_size(rest), 3.0)
    error = math.sqrt(float(rest @ rest) / (size - 2) / float(places @ places))
    return abs(slope) > float(stats.t.ppf(0.995, size - 2)) * error


def interval_means(samples: Samples, seconds: float, count: int) -> npt.NDArray[np.float64]:
    """Mean latency (ms) of what ended well, by intended start, in ``count`` intervals; NaN: none did."""
    good = samples[samples["outcome"] == Outcome.OK]
    width = seconds * SECOND / count
    places = np.minimum(good["intended"] // width, count - 1).astype(np.int64)
    latency = (good["ended"] - good["intended"]) / 1e6
    counts = np.bincount(places, minlength=count)
    sums = np.bincount(places, weights=latency, minlength=count)
    out = np.full(count, math.nan)
    np.divide(sums, counts, out=out, where=counts > 0)
    return out


def _errors(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each number of batches cut off, the squared deviations of the rest over its size squared."""
    tail = (means - means.mean())[::-1]
    sizes = np.arange(1, len(tail) + 1)
    squares = np.cumsum(tail**2) - np.cumsum(tail) ** 2 / sizes
    return np.asarray((np.maximum(squares, 0) / sizes**2)[::-1])
