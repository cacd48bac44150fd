"""Deadlines that rarely expire: setting and cancelling one takes constant time.

A heap would hold every request of the last minute, 1.2 million at 20,000 a second. This is a timing wheel
(Varghese and Lauck, 1987) whose slots are made as they are needed. It is late by up to one slot, 17 ms.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

SLOT_BITS = 24
FOREVER = 1 << 62


class Expiring(Protocol):
    """What can have a deadline."""

    def expire(self) -> None:
        """It has passed."""


class Deadlines:
    """A set of deadlines. Times are ns."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Expiring]] = {}
        self._keys: list[int] = []

    def add(self, who: Expiring, at: int) -> None:
        """``who`` expires at ``at``, unless it is lifted before."""
        key = at >> SLOT_BITS
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = set()
            heappush(self._keys, key)
        slot.add(who)

    def lift(self, who: Expiring, at: int) -> None:
        """Cancel the deadline that was set for ``at``, if there is one."""
        slot = self._slots.get(at >> SLOT_BITS)
        if slot is not None:
            slot.discard(who)

    def next(self) -> int:
        """When to check again."""
        while self._keys and not self._slots[self._keys[0]]:
            del self._slots[heappop(self._keys)]
        return (self._keys[0] + 1) << SLOT_BITS if self._keys else FOREVER

    def expire(self, now: int) -> None:
        """Call ``expire`` of everything whose deadline has passed."""
        while self.next() <= now:
            for who in self._slots.pop(heappop(self._keys)):
                who.expire()
