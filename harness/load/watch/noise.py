"""Timing noise of this machine: whether measurements on it can be trusted now.

Three things are measured, for half a second each or less: how late a sleeping thread is woken (by
``clock_nanosleep`` with an absolute time, which is what ``time.sleep`` uses since Python 3.11), how much the
time of the same piece of work varies, and what others use of the processors meanwhile.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.watch import machine
from harness.load.watch.counters import Reading

WAKE_SECONDS = 0.5
WAKE_EVERY_NS = 1_000_000
LOOPS = 400
LOOP_SIZE = 20_000

# Beyond these a run is in doubt; on an idle machine of two cores there is next to nothing of any.
LATE_P99_MS = 2.0
SPREAD = 2.0
STEAL = 0.02
OTHERS = 0.25


@dataclass(frozen=True)
class Noise:
    """``wake_*``: ms late; ``loop_*``: ms for the same work; ``steal`` and ``others``: shares of all cores.

    ``others`` is what everyone but this process used, ``loadavg`` the averages of 1, 5 and 15 minutes.
    ``steal`` and ``others`` are None if there is no ``/proc/stat``.
    """

    wake_p50_ms: float
    wake_p99_ms: float
    loop_p50_ms: float
    loop_p99_ms: float
    steal: float | None
    others: float | None
    loadavg: tuple[float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, with ``noisy``: why results are in doubt, in words; empty: they are not."""
        return asdict(self) | {"loadavg": list(self.loadavg), "noisy": noisy(self)}


def measure(seconds: float = WAKE_SECONDS) -> Noise:
    """Measure now. Takes about a second, of which half is sleep."""
    before, own = _machine(), time.process_time()
    wake = wakes(seconds)
    idle, own = _machine(), time.process_time() - own
    loop = loops(LOOPS)
    steal, others = _shares(before, idle, own)
    return Noise(*_quantiles(wake), *_quantiles(loop), steal, others, os.getloadavg())


def noisy(noise: Noise) -> str:
    """Why results are in doubt, in words; empty: they are not."""
    doubts = []
    if noise.wake_p99_ms > LATE_P99_MS:
        doubts.append(f"1 % of wake-ups are {noise.wake_p99_ms:.1f} ms late or later")
    if noise.loop_p99_ms > SPREAD * noise.loop_p50_ms:
        times = noise.loop_p99_ms / noise.loop_p50_ms
        doubts.append(f"the same work takes {times:.1f} times as long now and then")
    if noise.steal is not None and noise.steal > STEAL:
        doubts.append(f"the hypervisor takes {100 * noise.steal:.0f} % of the cores")
    if noise.others is not None and noise.others > OTHERS:
        doubts.append(f"{100 * noise.others:.0f} % of the cores were in use before there was any load")
    return "; ".join(doubts)


def wakes(seconds: float) -> npt.NDArray[np.float64]:
    """How late each wake-up on a grid of 1 ms is, in ms."""
    late, due = [], time.monotonic_ns()
    for _ in range(max(1, int(seconds * 1e9 / WAKE_EVERY_NS))):
        due += WAKE_EVERY_NS
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
        late.append(time.monotonic_ns() - due)
        due = max(due, time.monotonic_ns() - WAKE_EVERY_NS)  # one long sleep is not counted again and again
    return np.asarray(late, dtype=np.float64) / 1e6


def loops(count: int) -> npt.NDArray[np.float64]:
    """How long the same work takes, in ms, ``count`` times over."""
    work = range(LOOP_SIZE)
    times = [time.perf_counter_ns()]
    for _ in range(count):
        sum(work)
        times.append(time.perf_counter_ns())
    return np.asarray([after - before for before, after in pairwise(times)], dtype=np.float64) / 1e6


def _quantiles(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    median, high = np.quantile(values, [0.5, 0.99])
    return round(float(median), 4), round(float(high), 4)


def _machine() -> Reading | None:
    try:
        return machine.read()
    except (OSError, ValueError):
        return None


def _shares(before: Reading | None, after: Reading | None, own: float) -> tuple[float | None, float | None]:
    """What a hypervisor kept and what others used, of all cores."""
    if before is None or after is None or after.clock <= before.clock:
        return None, None
    span = (after.clock - before.clock) * machine.processors()
    stolen = (after.steal or 0.0) - (before.steal or 0.0)
    others = max(0.0, after.cpu - before.cpu - own)
    return round(stolen / span, 4), round(others / span, 4)
