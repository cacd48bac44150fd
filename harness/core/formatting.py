"""Measured numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def figure(value: float | None) -> str:
    """``0.0312``, ``4.71``, ``52.1``, ``1,240``, ``3.1e+10``: three digits say enough; a dash: no number."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1e10 or 0 < abs(value) < 1e-4:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(estimate: Mapping[str, Any] | None) -> str:
    """``52.1 (49.8 to 54.4)`` for an estimate of the report; without the interval if it has none."""
    if estimate is None:
        return "–"
    value, low, high = (figure(estimate.get(name)) for name in ("value", "low", "high"))
    return value if "–" in (low, high) else f"{value} ({low} to {high})"
