"""Why there is no interval, in a text that the load, the gate and the report share."""

from __future__ import annotations

# Student's interval of repetitions.
LEAST_REPEATED = 2


def no_interval(runs: int) -> str:
    """Why a value of so many runs has no interval."""
    if runs == 1:
        return f"one run so far: an interval takes at least {LEAST_REPEATED}"
    return f"no interval: some submissions of the {runs} runs did not end"
