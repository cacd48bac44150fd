"""Polling with a deadline, a growing pause, and an error that says what was observed last.

The clock is a parameter so that tests of anything that waits run in no time::

    wait_for("droplet active", probe, deadline=60, clock=FakeClock())

Deadlines are for a current machine; on a much slower one ``WAVETANK_TIMEOUT_SCALE=10`` makes them ten times
as long. The variable's former name, ``WAVETANK_PATIENCE``, still works.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from harness.core import signals
from harness.core.errors import UsageError, WaitTimeoutError

TIMEOUT_SCALE = "WAVETANK_TIMEOUT_SCALE"
FORMER_TIMEOUT_SCALE = "WAVETANK_PATIENCE"

T = TypeVar("T")


class NotYet(Exception):  # noqa: N818 (a signal to the waiter, not an error)
    """Raised by a probe whose condition does not hold yet; its text is what was observed."""


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never going back."""

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""


class SystemClock:
    """The real one."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        signals.pause(seconds)


class FakeClock:
    """Time passes only when someone sleeps, and then at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


SYSTEM_CLOCK = SystemClock()


def scaled(seconds: float) -> float:
    """``seconds`` times the timeout scale: the value of ``WAVETANK_TIMEOUT_SCALE``, 1 if it is not set.

    Raises ``UsageError`` for anything but a number of 1 or more.
    """
    variable = TIMEOUT_SCALE if os.environ.get(TIMEOUT_SCALE) else FORMER_TIMEOUT_SCALE
    given = os.environ.get(variable) or "1"
    try:
        factor = float(given)
    except ValueError:
        factor = math.nan
    if not 1 <= factor < math.inf:
        raise UsageError(f"{variable}={given!r} is not usable: use a number of 1 or more, like 10")
    return seconds * factor


def wait_for(
    awaited: str,
    probe: Callable[[], T],
    *,
    deadline: float,
    first_pause: float = 0.05,
    max_pause: float = 2.0,
    tolerate: tuple[type[Exception], ...] = (),
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """Call ``probe`` until it returns, and return that.

    ``probe`` raises :class:`NotYet` (with what it observed) while the wait must go on; exceptions in
    ``tolerate`` count as the same. Any other exception ends the wait. ``deadline`` and the pauses are
    seconds; the pause doubles from ``first_pause`` to ``max_pause``. On a slow machine (see :func:`scaled`)
    both are longer: probes cost more there, and must not be what keeps it busy. Raises ``WaitTimeoutError``.
    A signal ends it at once, in any thread (see :mod:`harness.core.signals`).
    """
    start, deadline, max_pause = clock.monotonic(), scaled(deadline), scaled(max_pause)
    pause = first_pause
    not_yet: tuple[type[Exception], ...] = (NotYet, *tolerate)
    while True:
        signals.check()
        try:
            return probe()
        except not_yet as error:
            last_seen = str(error) or type(error).__name__
            cause = error
        left = deadline - (clock.monotonic() - start)
        if left <= 0:
            raise WaitTimeoutError(awaited, deadline, last_seen) from cause
        clock.sleep(min(pause, left))
        pause = min(pause * 2, max_pause)
