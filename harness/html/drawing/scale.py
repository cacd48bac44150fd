"""From values to places on an axis, and which values are written there. Shares run from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.core.formatting import figure

LEAST, MOST = 1e-3, 1e12  # what a logarithmic axis can begin and end with
FINEST, LARGEST = 1e-9, 1e15  # what a linear one can be long
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
CLOCK = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
WIDE = 25.0  # from this ratio on, small values cannot be read on a linear axis


@dataclass(frozen=True)
class Scale:
    """An axis from ``first`` to ``last`` with ``ticks`` (value, words); ``bend`` makes it straight."""

    first: float
    last: float
    ticks: tuple[tuple[float, str], ...]
    bend: Callable[[float], float] = float

    def share(self, value: float) -> float:
        """How far along a value is; what lies beyond an end is put there."""
        low, high = self.bend(self.first), self.bend(self.last)
        return min(max((self.bend(value) - low) / (high - low), 0.0), 1.0)


def finite(value: float | None) -> float | None:
    """The number, or None if there is none that could be drawn."""
    return None if value is None or not math.isfinite(value) else float(value)


def known(values: Iterable[float | None]) -> list[float]:
    """The numbers among ``values`` that can be drawn."""
    return [number for value in values if (number := finite(value)) is not None]


def linear(first: float, last: float, *, most: int = 4, whole: bool = False, snug: bool = False) -> Scale:
    """Evenly from ``first``; up to the tick at or above ``last``, or with ``snug`` no further than ``last``.

    ``most`` is about how many steps it has; ``whole``: only whole numbers are written.
    """
    first, last = _ends(first, last, 1.0 if whole else FINEST)
    step = _step(last - first, most)
    step = max(step, 1.0) if whole else step
    begin, end = math.ceil(first / step - 1e-9), math.ceil(last / step - 1e-9)
    top = last if snug else end * step
    ticks = [number * step for number in range(begin, end + 1) if number * step <= top * (1 + 1e-9)]
    return Scale(first, top, tuple((tick, figure(tick)) for tick in ticks))


def _ends(first: float, last: float, least: float) -> tuple[float, float]:
    """Both ends, finite and ``least`` apart at least."""
    first = min(max(first, -LARGEST), LARGEST / 2)
    return first, min(max(last, first + max(least, abs(first) * FINEST)), LARGEST)


def _step(span: float, most: int) -> float:
    rough = span / most
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next((nice * magnitude for nice in NICE if nice * magnitude >= rough * (1 - 1e-9)), 10 * magnitude)


def log(low: float, high: float) -> Scale:
    """Logarithmic, from a 1, 2 or 5 to one; a long axis has powers of ten alone written on it."""
    low = min(max(low, LEAST), MOST / 10)
    high = min(max(high, low * 2), MOST)
    marks = [float(f"{digit}e{power}") for power in range(-4, 13) for digit in (1, 2, 5)]
    first = max(mark for mark in marks if mark <= low * (1 + 1e-9))
    last = min(mark for mark in marks if mark >= high * (1 - 1e-9))
    ticks = [mark for mark in marks if first <= mark <= last]
    tens = [mark for mark in ticks if f"{mark:e}".startswith("1")]
    ticks = ticks if len(ticks) <= 6 else tens[:: math.ceil(len(tens) / 6)]
    return Scale(first, last, tuple((tick, figure(tick)) for tick in ticks), _log10)


def _log10(value: float) -> float:
    return math.log10(max(value, LEAST / 10))


def magnitudes(values: Iterable[float | None]) -> Scale:
    """For values from 0 on: logarithmic where they differ so much that it reads better, else linear."""
    there = [value for value in known(values) if value > 0]
    if there and max(there) > WIDE * min(there):
        return log(min(there), max(there))
    return linear(0.0, max(there, default=1.0))


def nines(last: float) -> Scale:
    """Quantiles by log10(1 / (1 - q)): as much room from 90 % to 99 % as from 99 % to 99.9 %.

    The axis of HdrHistogram's plots. It ends at ``last``, 1 - 1e-9 at most, and holds 99 % at least.
    """
    last = min(max(last, 0.99), 1 - 1e-9)
    ticks = [(0.5, "50 %")]
    ticks += [(1 - 10.0**-number, _percent(number)) for number in range(1, 10)]
    return Scale(0.0, last, tuple(tick for tick in ticks if tick[0] <= last + 1e-12), _nines)


def _nines(quantile: float) -> float:
    return -math.log10(max(1 - quantile, 1e-10))


def _percent(number: int) -> str:
    """``90 %``, ``99 %``, ``99.9 %``: so many nines."""
    return f"{100 * (1 - 10.0**-number):.{max(number - 2, 0)}f} %"


def clock(first: float, last: float, most: int = 7) -> Scale:
    """Seconds, written as such, as minutes or hours, at steps that people count in."""
    first, last = _ends(first, last, 1.0)
    step = next((each for each in CLOCK if (last - first) / each <= most), None)
    if step is None:
        step = 86400 * math.ceil((last - first) / 86400 / most)
    ticks = range(math.ceil(first / step), math.floor(last / step) + 1)
    return Scale(first, last, tuple((float(tick * step), _since(tick * step)) for tick in ticks))


def _since(second: int) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if second >= 2 * length and second % length == 0:
            return f"{second // length:,} {unit}"
    return f"{second:,} s"
