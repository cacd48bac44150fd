"""How often a stream submits: less than the deployment was measured to take just before.

A stream that fills Judge0's queue shows that the queue has a limit, and nothing of the fault.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from harness.core.errors import CheckError
from harness.core.parallel import Pool
from harness.judge0 import frontdoor
from harness.judge0.api import ACCEPTED_TEXT
from harness.judge0.programs import sleeping
from harness.topology.model import FrontDoor

# A few a second will do; the rest is not needed to see a fault.
FASTEST, SLOWEST = 0.35, 3.0
# Of what it took. Programs of a stream nap, and workers that are lost have others do their work.
SHARE = 0.6
PROGRAMS, AT_ONCE = 9, 3


# What says how often to submit; it may submit programs of its own to find out.
Measure = Callable[[httpx.Client, FrontDoor], "Pace"]


@dataclass(frozen=True)
class Pace:
    """A submission every ``every`` seconds; ``taken`` are how many a second it took before, None: unknown."""

    every: float = FASTEST
    taken: float | None = None

    def __str__(self) -> str:
        of = "" if self.taken is None else f"; before, {self.taken:.1f}/s were accepted at {AT_ONCE} at once"
        return f"a program every {self.every:.2f} s{of}"


UNMEASURED = Pace()


class MeasuredOnce:
    """Measures at the first call, and from then on says the same; nothing that was taken is no measure."""

    def __init__(self) -> None:
        self._known: Pace | None = None

    def __call__(self, client: httpx.Client, door: FrontDoor) -> Pace:
        if self._known is not None:
            return self._known
        found = measure(client, door)
        if found.taken:
            self._known = found
        return found


def pace_of(accepted: int, seconds: float) -> Pace:
    """The pace for a deployment that took so many programs within some seconds."""
    taken = accepted / seconds
    return Pace(min(max(1 / (SHARE * taken), FASTEST), SLOWEST) if accepted else SLOWEST, taken)


def measure(client: httpx.Client, door: FrontDoor, clock: Callable[[], float] = time.monotonic) -> Pace:
    """Submit a few programs, some at once, and see how long it takes. Raises nothing for those that fail."""
    language, mark = frontdoor.main_language(door), secrets.token_hex(4)

    def accepted(number: int) -> bool:
        text = f"{mark}-{number}"
        try:
            answer = frontdoor.submit(client, door, language, sleeping(language, 0, text))
        except CheckError:
            return False
        return answer.status == ACCEPTED_TEXT and answer.stdout.strip() == text

    begun = clock()
    with Pool(AT_ONCE) as pool:
        count = sum(pool.map(accepted, range(PROGRAMS)))
    return pace_of(count, clock() - begun)
