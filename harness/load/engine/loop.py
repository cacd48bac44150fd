"""The event loop: sockets by epoll, times by timerfd, one thread, no spinning."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import TypeAlias

from harness.load.engine.deadlines import FOREVER, Deadlines
from harness.load.engine.timer import Timer

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
MOST_EVENTS = 64

Action: TypeAlias = Callable[[], None]
Handler: TypeAlias = Callable[[int], None]


class Loop:
    """What to do at a time, and when a file descriptor is ready. Times are ns since ``origin``."""

    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self._epoll = select.epoll()
        self._timer = Timer()
        self._armed = FOREVER
        self._handlers: dict[int, Handler] = {}
        self._agenda: list[tuple[int, int, Action]] = []
        self._order = count()
        self.watch(self._timer.fd, READ, self._rang)
        self.origin = time.monotonic_ns()

    def now(self) -> int:
        """The time."""
        return time.monotonic_ns() - self.origin

    def restart_clock(self) -> None:
        """Let it be 0 now. Only while nothing is planned."""
        assert not self._agenda
        self.origin = time.monotonic_ns()
        self._armed = FOREVER

    def at(self, due: int, action: Action) -> None:
        """Do something at a time."""
        heappush(self._agenda, (due, next(self._order), action))

    def later(self, after_ns: int, action: Action) -> None:
        """Do something in a while."""
        self.at(self.now() + after_ns, action)

    def watch(self, fd: int, mask: int, handler: Handler) -> None:
        """Call ``handler`` with what a file descriptor is ready for."""
        self._epoll.register(fd, mask)
        self._handlers[fd] = handler

    def change(self, fd: int, mask: int) -> None:
        """Wait for other things of a file descriptor."""
        self._epoll.modify(fd, mask)

    def unwatch(self, fd: int) -> None:
        """Wait for it no longer; before it is closed."""
        del self._handlers[fd]
        self._epoll.unregister(fd)

    def turn(self) -> None:
        """Wait until something is ready or due, and do it. What is due goes before what is ready."""
        self._arm()
        agenda, handlers = self._agenda, self._handlers
        for fd, mask in self._epoll.poll(-1, MOST_EVENTS):
            handler = handlers.get(fd)
            if handler is not None:
                handler(mask)
            if agenda and agenda[0][0] <= self.now():
                self._act()
        self._act()
        self.deadlines.expire(self.now())

    def close(self) -> None:
        """Let go of what the kernel holds for it."""
        self._epoll.close()
        self._timer.close()

    def _arm(self) -> None:
        due = min(self._agenda[0][0] if self._agenda else FOREVER, self.deadlines.next())
        if due != self._armed:
            self._armed = due
            self._timer.set(self.origin + due)

    def _rang(self, _mask: int) -> None:
        self._armed = -1  # it stays readable until it is set again

    def _act(self) -> None:
        """Do what is due by now; what that plans anew waits for the next turn, so that answers get theirs."""
        now = self.now()
        agenda = self._agenda
        while agenda and agenda[0][0] <= now:
            heappop(agenda)[2]()
