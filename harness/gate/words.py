"""Figures in words: each metric in its unit, intervals as `812 ms (790 ms to 840 ms)`."""

from __future__ import annotations

import math

from harness.load.result import Interval
from harness.load.stats.compare import ENDLESS

# The metrics of a repetition, in the order in which they are shown, and which direction is the bad one.
METRICS = ("throughput", "p50_ms", "p95_ms", "p99_ms", "error_share")
LOWER_IS_WORSE = ("throughput",)

TITLES = {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99", "error_share": "errors"}


def title(metric: str) -> str:
    """A metric's name for people."""
    return TITLES.get(metric, metric)


def amount(metric: str, value: float) -> str:
    """One value in its unit."""
    if not math.isfinite(value) or value >= ENDLESS:
        return "endless"
    if metric.endswith("_ms"):
        return f"{value:.0f} ms" if abs(value) >= 100 else f"{value:.3g} ms"
    if metric in ("error_share", "errors"):
        return f"{value:.3%}".replace(".000%", "%")
    return f"{value:.4g}/s"


def interval(metric: str, found: Interval) -> str:
    """An estimate with its interval, if that is known."""
    value = amount(metric, found.value)
    if found.low is None or found.high is None:
        return value
    return f"{value} ({amount(metric, found.low)} to {amount(metric, found.high)})"


def change(metric: str, found: Interval, *, relative: bool = True) -> str:
    """How far something moved: `+21.0% (+15.0% to +29.0%)`, or in the metric's unit."""

    def one(value: float) -> str:
        return f"{value:+.1%}" if relative else f"{'+' if value >= 0 else ''}{amount(metric, value)}"

    if found.low is None or found.high is None:
        return one(found.value)
    return f"{one(found.value)} ({one(found.low)} to {one(found.high)})"
