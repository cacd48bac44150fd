"""What the processes of one scan share: which pair is next, how much was sent, and whether to stop."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

NUMBER = struct.Struct("=Q")
INDEX = struct.Struct("=I")


class Board:
    """Made before the workers are forked; each worker counts in a place of its own."""

    def __init__(self, workers: int, pairs: int) -> None:
        self._workers = workers
        self._memory = mmap.mmap(-1, NUMBER.size * (workers + 1))
        # Numbers in a pipe: each is read by one process only.
        self._next, feed = os.pipe()
        os.write(feed, b"".join(map(INDEX.pack, range(pairs))))
        os.close(feed)

    def take(self) -> Iterator[int]:
        """Numbers of pairs that no other worker has taken."""
        while number := os.read(self._next, INDEX.size):
            yield INDEX.unpack(number)[0]

    def cancel(self) -> None:
        """Have all workers stop."""
        NUMBER.pack_into(self._memory, 0, 1)

    @property
    def cancelled(self) -> bool:
        """Whether the scan was cancelled."""
        return self._number(0) > 0

    def add(self, worker: int, count: int) -> bool:
        """Count what a worker has sent; whether to carry on."""
        NUMBER.pack_into(self._memory, NUMBER.size * (worker + 1), self._number(worker + 1) + count)
        return not self.cancelled

    @property
    def sent(self) -> int:
        """Packets of all workers."""
        return sum(self._number(worker + 1) for worker in range(self._workers))

    def _number(self, place: int) -> int:
        return int(NUMBER.unpack_from(self._memory, NUMBER.size * place)[0])
