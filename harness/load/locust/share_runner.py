"""A worker's share, from its arrivals to its samples. Only in Locust's processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import numpy as np
from gevent.event import Event

from harness.judge0.model import NEVER, Program
from harness.load.generator.generator import capacity_of
from harness.load.generator.process import AHEAD
from harness.load.locust.gevent_transport import GeventTransport
from harness.load.locust.shares import Share, chosen, packed
from harness.load.model import SECOND, Outcome
from harness.load.protocol.opening import open_protocol
from harness.load.recorder import Recorder

# So many overdue arrivals begin before answers get their turn.
TURN = 16
SHOWN = 1000
# Called for each arrival that ended: its program, its latency (ms), and what was wrong with it.
OnEnd = Callable[[Program, float, str], None]


class ReportingRecorder(Recorder):
    """A recorder that also reports the end of each arrival, and wakes whoever waits for that."""

    def __init__(self, share: Share, on_end: OnEnd) -> None:
        super().__init__(capacity_of(share.order))
        self.moved = Event()
        self._programs, self._chosen, self._report_end = share.order.workload.programs, chosen(share), on_end

    def done(self, number: int, outcome: Outcome, at: int, *, message: str = "", **more: int) -> None:
        """It ended."""
        super().done(number, outcome, at, message=message, **more)
        latency = (at - int(self.column("intended")[number])) / 1e6 if at != NEVER else 0.0
        program = self._programs[int(self._chosen[number])]
        self._report_end(program, latency, "" if outcome is Outcome.OK else message or outcome.name)
        self.moved.set()


class ShareRunner:
    """Prepares one share, then runs it once. ``stop`` ends it early."""

    def __init__(self, share: Share, on_end: OnEnd) -> None:
        self._share, order = share, share.order
        self.failure = ""
        self._stopped = Event()
        self._record = ReportingRecorder(share, on_end)
        self._record.programs(chosen(share))
        self._engine = GeventTransport(
            order.route.address, connections=order.connections, timeout=order.timeout, failed=self._fail
        )
        self._engine.connect(min(order.connections, order.clients if order.loop == "closed" else AHEAD))
        self._protocol = open_protocol(
            order.route, order.workload, chosen(share), self._record, self._engine, timeout=order.timeout
        )
        self._reported = 0, 0

    def stop(self) -> None:
        """End the run that is going on."""
        self._stopped.set()
        self._record.moved.set()

    def run(self, origin: int) -> dict[str, Any]:
        """Run it from ``origin`` (ns, ``time.monotonic_ns``); what a :class:`Part` holds, as JSON."""
        engine, order = self._engine, self._share.order
        engine.origin = origin
        self._until(0)
        before = time.process_time()
        whole = (self._open if order.loop == "open" else self._closed)() and self._drain()
        seconds, cpu = engine.now() / SECOND, time.process_time() - before
        self._protocol.finish()
        engine.close()
        return {
            "samples": packed(self._record.samples()),
            "seconds": max(seconds, 0.0),
            "cpu_seconds": cpu,
            "peak_connections": engine.peak_connections,
            "starved": engine.starved,
            "partial": "" if whole else f"stopped after {max(seconds, 0.0):.1f} s",
            "messages": self._record.messages(),
        }

    def progress(self) -> dict[str, Any]:
        """Counts, and latencies and latenesses (ns) since the last call: some of them if there are many."""
        record, (begun, ended) = self._record, self._reported
        counts = record.counts()
        self._reported = counts["begun"], counts["ended"]
        finished = record.ended_between(ended, counts["ended"])
        latency = (record.column("ended") - record.column("intended"))[finished]
        sent, intended = (record.column(name)[begun : counts["begun"]] for name in ("sent", "intended"))
        late = (sent - intended)[sent != NEVER]
        return {**counts, "latency": some(latency), "late": some(late)}

    def _begin(self, number: int, intended: int) -> None:
        self._record.begin(number, intended)
        self._protocol.begin(number, intended)

    def _open(self) -> bool:
        """Each arrival when it is due, whatever became of those before."""
        for number, due in enumerate(self._share.order.arrivals.tolist()):
            if due > self._engine.now():
                self._until(due)
            elif number % TURN == 0:
                gevent.sleep(0)
            if self._stopped.is_set():
                return False
            self._engine.arrive(self._begin, number, due)
        return True

    def _closed(self) -> bool:
        """So many at once, and another for each that ended."""
        order, engine, record = self._share.order, self._engine, self._record
        length, number = round(order.seconds * SECOND), 0
        while engine.now() < length and number < record.capacity and not self._stopped.is_set():
            record.moved.clear()
            while number - record.ended < order.clients and number < record.capacity:
                engine.arrive(self._begin, number, engine.now())
                number += 1
            record.moved.wait(max(length - engine.now(), 0) / SECOND)
        return not self._stopped.is_set()

    def _drain(self) -> bool:
        """Wait for what is in flight."""
        order, record = self._share.order, self._record
        arrivals = order.arrivals
        last = order.seconds * SECOND if order.loop == "closed" else int(arrivals[-1]) if len(arrivals) else 0
        end = last + round(order.drain * SECOND)
        while record.ended < record.begun and self._engine.now() < end and not self._stopped.is_set():
            record.moved.clear()
            record.moved.wait(max(end - self._engine.now(), 0) / SECOND)
        return not self._stopped.is_set()

    def _until(self, due: int) -> None:
        self._stopped.wait(max(due - self._engine.now(), 0) / SECOND)

    def _fail(self, text: str) -> None:
        self.failure = self.failure or text
        self.stop()


def some(values: np.ndarray[Any, Any]) -> list[int]:
    """All of few values, or about ``SHOWN`` of many."""
    found: list[int] = values[:: max(len(values) // SHOWN, 1)].tolist()
    return found
