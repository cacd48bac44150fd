"""Records the result of each arrival, at 50 ns a value, in memory that other processes may read.

The memory is that of a file descriptor, or private. Each column of ``SAMPLE`` is contiguous, after a header
of counters. Another process that maps the same memory can read the progress, and has the recording even if
the writer is killed.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.judge0.model import NEVER
from harness.load.model import SAMPLE, Outcome, Samples

TEXTS = 3
TEXT_LENGTH = 500
_COUNTERS = ("begun", "accepted", "ended", "errors")
_HEAD = 64
_TIMES = ("intended", "sent", "accepted", "ended", "queued_us", "ran_us", "judged_us")


def size(capacity: int) -> int:
    """Bytes that so many arrivals need."""
    return _HEAD + capacity * (8 * (len(_TIMES) + 1) + 2 + 1 + 1)


class Recorder:
    """Rows for ``capacity`` arrivals. ``fd`` holds :func:`size` bytes, all zero; without one: own memory.

    ``texts`` are the first few messages of each outcome that is not ``OK``, by its name.
    """

    def __init__(self, capacity: int, fd: int = -1) -> None:
        self.capacity = capacity
        self.texts: dict[str, list[str]] = {}
        self._memory = memoryview(mmap.mmap(fd, size(capacity)))
        self._head = self._memory[:_HEAD].cast("q")
        self._at = _HEAD
        self._intended, self._sent, self._accepted, self._ended = (self._column("q") for _ in range(4))
        self._queued, self._ran, self._judged, self._order = (self._column("q") for _ in range(4))
        self._program = self._column("h")
        self._outcome, self._status = self._column("B"), self._column("B")

    def programs(self, chosen: npt.NDArray[np.int16]) -> None:
        """Note which program each arrival is."""
        np.asarray(self._program)[: len(chosen)] = chosen[: self.capacity]

    def begin(self, number: int, intended: int) -> None:
        """An arrival begins. Numbers ascend by one."""
        self._intended[number] = intended
        self._sent[number] = self._accepted[number] = self._ended[number] = NEVER
        self._queued[number] = self._ran[number] = self._judged[number] = NEVER
        self._outcome[number] = Outcome.UNFINISHED
        self._head[0] = number + 1

    def sent(self, number: int, at: int) -> None:
        """Its first byte was given to the kernel, ns."""
        if self._sent[number] == NEVER:
            self._sent[number] = at

    def accepted(self, number: int, at: int) -> None:
        """It was accepted, ns."""
        self._accepted[number] = at
        self._head[1] += 1

    def done(
        self,
        number: int,
        outcome: Outcome,
        at: int,
        *,
        status: int = 0,
        message: str = "",
        queued_us: int = NEVER,
        ran_us: int = NEVER,
        judged_us: int = NEVER,
    ) -> None:
        """It ended, ns. Once for each arrival. ``message`` says why, if it is not ``OK``."""
        head = self._head
        self._order[head[2]] = number
        self._outcome[number], self._status[number] = outcome, status
        if outcome != Outcome.UNFINISHED:
            self._ended[number] = at
        self._queued[number], self._ran[number], self._judged[number] = queued_us, ran_us, judged_us
        head[2] += 1
        if outcome != Outcome.OK:
            head[3] += 1
            self._keep_text(outcome, message)

    def counts(self) -> dict[str, int]:
        """How many have ``begun``, were ``accepted``, ``ended``, and ended in ``errors``."""
        return dict(zip(_COUNTERS, self._head, strict=False))

    @property
    def begun(self) -> int:
        """How many have begun."""
        return self._head[0]

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self._head[2]

    def ended_between(self, first: int, last: int) -> npt.NDArray[np.int64]:
        """Numbers of the arrivals that ended, in order: those ``first`` to ``last`` of them."""
        return np.asarray(self._order)[first:last]

    def column(self, name: str) -> npt.NDArray[Any]:
        """One whole column of ``SAMPLE``, not copied."""
        return np.asarray(self._columns()[name])

    def samples(self) -> Samples:
        """A row for each arrival that has begun. One that has not ended is ``UNFINISHED``."""
        made = np.empty(self.begun, SAMPLE)
        for name, column in self._columns().items():
            made[name] = np.asarray(column)[: len(made)]
        return made

    def messages(self) -> dict[str, tuple[str, ...]]:
        """The first few messages of each outcome that is not ``OK``."""
        return {name: tuple(texts) for name, texts in self.texts.items()}

    def _keep_text(self, outcome: Outcome, message: str) -> None:
        texts = self.texts.setdefault(outcome.name, [])
        if len(texts) < TEXTS and message and message[:TEXT_LENGTH] not in texts:
            texts.append(message[:TEXT_LENGTH])

    def _columns(self) -> dict[str, memoryview]:
        times = (
            self._intended,
            self._sent,
            self._accepted,
            self._ended,
            self._queued,
            self._ran,
            self._judged,
        )
        others = {"program": self._program, "outcome": self._outcome, "status": self._status}
        return {**dict(zip(_TIMES, times, strict=True)), **others}

    def _column(self, kind: str) -> memoryview:
        width = {"q": 8, "h": 2, "B": 1}[kind]
        start, self._at = self._at, self._at + self.capacity * width
        return self._memory[start : self._at].cast(kind)  # type: ignore[call-overload,no-any-return]
