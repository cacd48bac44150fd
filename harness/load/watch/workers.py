"""Judge0's ``GET /workers`` as a queue.

It answers a list with an entry for each queue: ``{"queue", "size", "available", "idle", "working", "paused",
"failed"}``. ``size`` is how many submissions wait, ``available`` how many workers there are, idle or not.
The list is empty if no worker was ever there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.load.result import QueueSeries


@dataclass(frozen=True)
class Queued:
    """One answer; ``at`` is the middle of asking and answer on this machine's monotonic clock."""

    at: float
    waiting: int
    working: int
    workers: int


def queued(at: float, answer: Any) -> Queued:
    """Read an answer, all queues together. Raises ``ValueError`` for one of another form."""
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise ValueError(f"/workers answered {answer!r:.120}, and not a list of queues")
    try:
        waiting, working, workers = (
            sum(int(each[name]) for each in answer) for name in ("size", "working", "available")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"/workers answered {answer!r:.120}: no number under {error}") from error
    return Queued(at, waiting, working, workers)


def queue_series(observed: Sequence[Queued], began: float, until: float) -> QueueSeries | None:
    """The queue between two times, ``t`` in seconds since ``began``; None: it was not observed."""
    within = [each for each in observed if began <= each.at <= until]
    if not within:
        return None
    return QueueSeries(
        t=tuple(round(each.at - began, 3) for each in within),
        waiting=tuple(each.waiting for each in within),
        working=tuple(each.working for each in within),
        workers=tuple(each.workers for each in within),
    )
