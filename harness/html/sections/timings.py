"""The duration of each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "timings"
TITLE = "Timings"
STEPS = (
    "prepare",
    "emulator_start",
    "provision",
    "access",
    "deploy",
    "lock_down",
    "first_submission",
    "verify",
    "down",
    "emulator_stop",
    "total",
)


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The steps in their order, with the length of their bars in percent; the smaller ones apart."""
    timings = report.get("timings", {})
    if not timings:
        return None
    longest = max(timings.values()) or 1.0
    bars = {name: (value, 100 * value / longest) for name, value in timings.items()}
    steps = {name: bars[name] for name in STEPS if name in bars}
    rest = {name: bar for name, bar in bars.items() if name not in STEPS}
    return {"lists": [bars_ for bars_ in (steps, rest) if bars_], "longest": longest}
