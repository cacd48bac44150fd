"""A deployment that is only a queue: so many slots, a service time, a limit. It takes no time to load it."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from harness.judge0.model import NEVER, Address, Program, Route
from harness.load.experiments.bench import Bench, OnTick
from harness.load.model import SAMPLE, SECOND, Order, Outcome, Recording, Workload

WORKLOAD = Workload("hello", (Program("hello", "python", "print('hello')", stdout="hello"),))
ROUTE = Route("judge0", "poll", Address("tcp", "127.0.0.1", 1), "it is a simulation")


@dataclass
class Queue:
    """``workers`` of ``slots`` each take ``service`` seconds (exponential), on ``cores`` at most.

    ``limit`` is how many may wait; beyond it arrivals are refused. ``wrong`` is the share answered wrong.
    ``stopped_at_once``: a run that is stopped ends before the first arrival.
    """

    workers: int = 2
    slots: int = 1
    service: float = 0.1
    limit: int = 100_000
    cores: int = 64
    wrong: float = 0.0
    seed: int = 1
    stopped_at_once: bool = False
    scaled: list[int] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)

    def scale(self, workers: int) -> None:
        """Have so many workers from now on."""
        self.workers = workers
        self.scaled.append(workers)

    def generate(
        self, order: Order, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
    ) -> Recording:
        """Every arrival through the queue, first come, first served."""
        del on_tick
        self.orders.append(order)
        rng = np.random.default_rng(self.seed + len(self.orders))
        rows = self._closed(order, rng) if order.loop == "closed" else self._open(order, rng)
        cut = stop is not None and stop.is_set() and self.stopped_at_once
        samples = np.array([] if cut else rows, dtype=SAMPLE)
        seconds = max((float(samples["ended"].max()) if len(samples) else 0.0) / SECOND, 0.001)
        stopped = "stopped" if stop and stop.is_set() else ""
        return Recording(
            samples, time.time(), seconds, 0.0, 1, partial=stopped, messages={"REFUSED": ("queue is full",)}
        )

    def _servers(self) -> list[int]:
        return [0] * min(self.workers * self.slots, self.cores)

    def _open(self, order: Order, rng: np.random.Generator) -> list[tuple[int, ...]]:
        free, waiting, rows = self._servers(), list[int](), list[tuple[int, ...]]()
        for due in map(int, order.arrivals):
            while waiting and waiting[0] <= due:
                heapq.heappop(waiting)
            begin = max(due, free[0])
            if begin > due and len(waiting) >= self.limit:
                rows.append(_row(due, Outcome.REFUSED, due + SECOND // 1000))
                continue
            end = begin + int(rng.exponential(self.service) * SECOND)
            heapq.heapreplace(free, end)
            heapq.heappush(waiting, begin)
            rows.append(_row(due, self._outcome(rng), end, begin))
        return rows

    def _closed(self, order: Order, rng: np.random.Generator) -> list[tuple[int, ...]]:
        free, rows = self._servers(), list[tuple[int, ...]]()
        ready = [0] * order.clients
        while ready[0] < order.seconds * SECOND:
            due = ready[0]
            begin = max(due, free[0])
            end = begin + int(rng.exponential(self.service) * SECOND)
            heapq.heapreplace(free, end)
            heapq.heapreplace(ready, end)
            rows.append(_row(due, self._outcome(rng), end, begin))
        return rows

    def _outcome(self, rng: np.random.Generator) -> Outcome:
        return Outcome.WRONG if self.wrong and rng.random() < self.wrong else Outcome.OK


def _row(due: int, outcome: Outcome, end: int, begin: int = NEVER) -> tuple[int, ...]:
    refused = outcome is Outcome.REFUSED
    waited = NEVER if begin == NEVER else (begin - due) // 1000
    ran = NEVER if begin == NEVER else (end - begin) // 1000
    status = 0 if refused else 3
    accepted = NEVER if refused else due + 1000
    return (
        0,
        outcome,
        status,
        due,
        due + 1000,
        accepted,
        end,
        waited,
        ran,
        NEVER if refused else waited + ran,
    )


def bench(queue: Queue, note: Callable[[str], None] = lambda _text: None) -> Bench:
    """The queue as experiments take it."""
    return Bench(
        workload=WORKLOAD,
        route=ROUTE,
        generate=queue.generate,
        cores=queue.cores,
        scale=queue.scale,
        workers=queue.workers,
        slots=queue.slots,
        note=note,
    )
