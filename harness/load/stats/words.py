"""Why there is no interval, in words that the load, its gate and its report share."""

from __future__ import annotations

# Student's interval of repetitions.
LEAST_REPEATED = 2


def no_interval(runs: int) -> str:
    """Why a value of so many runs has no interval."""
    if runs == 1:
        return f"one run so far: an interval takes at least {LEAST_REPEATED}"
    return f"no interval: what did not end is among the {runs} runs"
