"""Judge0's workers and its queue over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.judge0.workers import Workers
from harness.load.result import QueueSeries, Second


@dataclass(frozen=True)
class Counted:
    """One count; ``at`` is the middle of its time on this machine's monotonic clock."""

    at: float
    workers: Workers


def queue_series(counted: Sequence[Counted], began: float, until: float) -> QueueSeries | None:
    """The queue between two times, ``t`` in seconds since ``began``; None: it was not observed.

    ``waiting`` is empty where the length of the queue is unknown.
    """
    within = [each for each in counted if began <= each.at <= until]
    if not within:
        return None
    waiting = [each.workers.waiting for each in within if each.workers.waiting is not None]
    return QueueSeries(
        t=tuple(round(each.at - began, 3) for each in within),
        waiting=tuple(waiting) if len(waiting) == len(within) else (),
        working=tuple(each.workers.working for each in within),
        workers=tuple(each.workers.total for each in within),
    )


def with_waiting(queue: QueueSeries | None, seconds: Sequence[Second]) -> QueueSeries | None:
    """The queue with its length, where that is unknown: what is under way and is not run by a worker waits.

    That includes what is on its way to Judge0, and what has ended and was not looked at yet.
    """
    if queue is None or queue.waiting:
        return queue
    waiting = [
        max(0, _under_way(seconds, at) - working) for at, working in zip(queue.t, queue.working, strict=True)
    ]
    return replace(queue, waiting=tuple(waiting))


def _under_way(seconds: Sequence[Second], at: float) -> int:
    """How many submissions were under way at the end of the last second before ``at``."""
    return next((each.in_flight for each in reversed(seconds) if each.t + 1 <= at), 0)
