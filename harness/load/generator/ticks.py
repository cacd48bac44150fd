"""The progress of a run, read from the recorder's memory by another process than its writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from harness.judge0.model import NEVER
from harness.load.model import SECOND, Order, Tick
from harness.load.recorder import Recorder

WINDOW = 4  # ticks whose arrivals make the quantiles: a second


def ticker(order: Order, record: Recorder, origin: int) -> Callable[[int], Tick]:
    """Gives the tick for a time (``time.monotonic_ns``). ``origin`` is that of the run's start."""
    marks: deque[tuple[int, int]] = deque([(0, 0)], maxlen=WINDOW + 1)

    def tick(clock: int) -> Tick:
        now = clock - origin
        counts = record.counts()
        marks.append((counts["begun"], counts["ended"]))
        begun, ended = marks[0]
        finished = record.ended_between(ended, counts["ended"])
        latency = record.column("ended")[finished] - record.column("intended")[finished]
        sent, intended = (record.column(name)[begun : counts["begun"]] for name in ("sent", "intended"))
        late = (sent - intended)[sent != NEVER]
        p50, p99 = quantiles_ms(latency, 0.5, 0.99)
        return Tick(
            at=now / SECOND,
            due=_due(order, now) if order.loop == "open" else counts["begun"],
            begun=counts["begun"],
            accepted=counts["accepted"],
            ended=counts["ended"],
            errors=counts["errors"],
            in_flight=counts["begun"] - counts["ended"],
            p50=p50,
            p99=p99,
            late_p99=quantiles_ms(late, 0.99)[0],
        )

    return tick


def quantiles_ms(values: npt.NDArray[np.int64], *wanted: float) -> tuple[float, ...]:
    """Quantiles of ns in ms; NaN of nothing."""
    if not len(values):
        return (float("nan"),) * len(wanted)
    return tuple(float(each) / 1e6 for each in np.quantile(values, wanted))


def _due(order: Order, now: int) -> int:
    return int(np.searchsorted(order.arrivals, now, side="right"))
