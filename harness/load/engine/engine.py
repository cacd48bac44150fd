"""The engine: begins each arrival when it is due, and carries requests meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from harness.core.errors import ResourceError
from harness.judge0.model import Address
from harness.load.engine import dial
from harness.load.engine.loop import READ, Action, Loop
from harness.load.engine.pool import Pool
from harness.load.engine.request import Then
from harness.load.model import SECOND, Times

Begin: TypeAlias = Callable[[int, int], None]


class Engine:
    """One thread's load on one address. Times are ns since :meth:`connect` was done.

    ``connections`` is the most that are open at once. ``timeout`` is in seconds: a request made while an
    arrival begins is given up so long after its intended start, any other so long after it was made.
    """

    def __init__(self, address: Address, *, connections: int = 256, timeout: float = 60.0) -> None:
        self._address, self._timeout = address, round(timeout * SECOND)
        self._loop = Loop()
        self._pool = Pool(address, connections, self._loop)
        self._give_up_at = 0
        self._stopped = False
        self.now = self._loop.now
        self.later = self._loop.later

    @property
    def origin(self) -> int:
        """When its clock was 0, by ``time.monotonic_ns``."""
        return self._loop.origin

    @property
    def starved(self) -> int:
        """How many requests found all connections in use and no more allowed."""
        return self._pool.starved

    @property
    def peak_connections(self) -> int:
        """The most that were open at once."""
        return self._pool.peak

    def connect(self, count: int) -> None:
        """Open ``count`` connections, then set the clock to 0.

        Raises ``ResourceError`` if one is refused or takes more than 10 s.
        """
        for _ in range(count):
            self._pool.open()
        while self._pool.opening:
            self._loop.turn()
        if self._pool.refused:
            where = dial.describe(self._address)
            raise ResourceError("load target", where, f"refuses connections at {where}: {self._pool.refused}")
        self._loop.restart_clock()

    def restart_clock(self) -> None:
        """Set the clock to 0. Only while nothing is planned or in flight."""
        self._loop.restart_clock()

    def ask(self, request: bytes, then: Then, give_up_at: int = 0) -> None:
        """Send a request when a connection is free, and pass its answer on: once, never during this call.

        A request is sent once: where its connection breaks it may have been taken, so it is not sent again.
        ``give_up_at``: 0 is what the class says; it is kept to 17 ms.
        """
        self._pool.ask(request, then, give_up_at or self._give_up_at or self.now() + self._timeout)

    def on_readable(self, fd: int, handler: Action) -> None:
        """Call ``handler`` whenever there is something to read from ``fd``."""
        self._loop.watch(fd, READ, lambda _mask: handler())

    def stop(self) -> None:
        """End the run that is going on."""
        self._stopped = True

    def run(self, arrivals: Times, begin: Begin, *, over: Callable[[], bool], drain: float = 60.0) -> bool:
        """Call ``begin`` with each arrival's number and intended start when it is due (open loop).

        ``arrivals`` are ns, ascending. Returns once all have begun and ``over`` says so, or ``drain`` seconds
        after the last, or when stopped; true where it was not stopped.
        """
        due = np.ascontiguousarray(arrivals, np.int64).data
        number, count = 0, len(due)

        def begin_due() -> None:
            nonlocal number
            now = self.now()
            while number < count and due[number] <= now:
                number += 1
                self._begin(begin, number - 1, due[number - 1])
            if number < count:
                self._loop.at(due[number], begin_due)

        end = (due[count - 1] if count else 0) + round(drain * SECOND)
        self._loop.at(due[0] if count else 0, begin_due)
        self._loop.at(end, _nothing)
        while not self._stopped and not (number == count and (over() or self.now() >= end)):
            self._loop.turn()
        return not self._stopped

    def run_closed(
        self, clients: int, seconds: float, begin: Begin, *, ended: Callable[[], int], most: int, drain: float
    ) -> bool:
        """Call ``begin`` for ``clients`` arrivals at once and then for each that ended (closed loop).

        ``ended`` says how many have ended. For ``seconds`` or ``most`` arrivals; then as :meth:`run`.
        """
        length = round(seconds * SECOND)
        end = length + round(drain * SECOND)
        self._loop.at(length, _nothing)
        self._loop.at(end, _nothing)
        number = 0
        while not self._stopped:
            now = self.now()
            while number < most and now < length and number - ended() < clients:
                number += 1
                self._begin(begin, number - 1, self.now())
            if (now >= length or number >= most) and (ended() >= number or now >= end):
                break
            self._loop.turn()
        return not self._stopped

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._loop.close()

    def _begin(self, begin: Begin, number: int, intended: int) -> None:
        self._give_up_at = intended + self._timeout
        begin(number, intended)
        self._give_up_at = 0


def _nothing() -> None:
    """A wake-up."""
