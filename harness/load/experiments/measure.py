"""One run: submit, monitor, and summarise the result without the warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from harness.load.experiments.bench import Bench
from harness.load.model import SECOND, Order, Outcome, Recording, Samples, Times
from harness.load.result import Run
from harness.load.stats import stages as stats
from harness.load.stats.warmup import Warmup, warmup
from harness.load.watch.bottleneck import Facts, bottleneck
from harness.load.watch.watching import Observed
from harness.load.watch.workers import with_waiting

# The generator must not be what is measured: neither a late start nor a queue of its own.
LATE_MS = 5.0
LATE_SHARE = 0.1
STARVED_SHARE = 0.01


@dataclass(frozen=True)
class Plan:
    """One run: ``arrivals`` (open loop), or ``clients`` for ``seconds`` (closed loop).

    ``warmup`` is the minimum that is left out at the beginning, in seconds. ``rate`` is the rate of the
    arrivals, or None if the schedule has no single rate. ``workers`` is their number in a scaling experiment.
    """

    label: str
    arrivals: Times
    clients: int = 0
    seconds: float = 0.0
    warmup: float = 2.0
    workers: int | None = None
    rate: float | None = None

    @property
    def length(self) -> float:
        """How long it submits, in seconds."""
        if self.clients:
            return self.seconds
        return float(self.arrivals[-1]) / SECOND if len(self.arrivals) else 0.0


@dataclass(frozen=True)
class Measured:
    """A run as it is in the report, the samples of its steady part (``window_s`` long), and the recording."""

    run: Run
    steady: Samples
    recording: Recording
    window_s: float = 0.0


@dataclass(frozen=True)
class _Window:
    """The steady part, ns since the run's start."""

    start: int
    end: int

    @property
    def seconds(self) -> tuple[float, float]:
        return self.start / SECOND, self.end / SECOND


def measure(bench: Bench, plan: Plan) -> Measured:
    """Run one load and return the result.

    Raises ``ResourceError`` if the target refuses at once. A run that was stopped is marked as partial.
    """
    order = _order(bench, plan)
    with bench.watch() as watch, bench.live(plan.label, plan.length) as on_tick:
        recording = bench.generate(order, on_tick=on_tick, stop=bench.stop)
        observed = watch.collect(recording.began)
    return _measured(bench, plan, recording, observed)


def _order(bench: Bench, plan: Plan) -> Order:
    return Order(
        route=bench.route,
        workload=bench.workload,
        arrivals=plan.arrivals,
        loop="closed" if plan.clients else "open",
        clients=plan.clients,
        seconds=plan.seconds,
        connections=max(bench.connections, plan.clients),
        timeout=bench.timeout,
        drain=bench.drain,
    )


def _measured(bench: Bench, plan: Plan, recording: Recording, observed: Observed) -> Measured:
    length = max(min(plan.length, recording.seconds), 1e-3)
    settled = warmup(recording.samples, length, minimum=min(plan.warmup, length / 2))
    window = _Window(int(settled.seconds * SECOND), int(length * SECOND))
    steady = stats.steady(recording.samples, window.start, window.end)
    rates = stats.rates(recording.samples, window.start, window.end)
    errors, late = stats.errors(steady), stats.lateness_ms(steady)
    series = stats.series(recording.samples, recording.seconds)
    queue = with_waiting(observed.queue, series)
    facts = Facts(
        window=window.seconds,
        offered=rates.offered,  # not the plan's: a short Poisson schedule may have far more or fewer
        achieved=rates.achieved,
        arrivals=len(steady),
        errors=errors,
        messages=recording.messages,
        nodes=observed.nodes,
        queue=queue,
        machine=observed.machine,
        shared=observed.shared,
        gaps=observed.gaps,
        kinds=bench.kinds,
        generator_cores=recording.cpu_seconds / max(recording.seconds, 1e-3),
        late_p99_ms=late,
        starved=recording.starved,
        loop="closed" if plan.clients else "open",
        queue_limit=bench.queue_limit,
    )
    run = Run(
        label=plan.label,
        began=datetime.fromtimestamp(recording.began, UTC).isoformat(timespec="milliseconds"),
        seconds=round(recording.seconds, 3),
        warmup_s=round(settled.seconds, 3),
        offered=plan.rate or rates.offered,
        achieved=rates.achieved,
        workers=plan.workers,
        arrivals=len(steady),
        errors=errors,
        late_p99_ms=late,
        stages=stats.stages(steady),
        series=series,
        nodes=(*observed.nodes, *((observed.machine,) if observed.machine else ())),
        queue=queue,
        bottleneck=bottleneck(facts),
        doubts=tuple(_doubts(plan, recording, steady, late, settled)),
        partial=recording.partial,
        said={name.lower(): tuple(texts) for name, texts in recording.messages.items()},
    )
    return Measured(run, steady, recording, max(window.end - window.start, 0) / SECOND)


def _doubts(plan: Plan, recording: Recording, steady: Samples, late: float, settled: Warmup) -> list[str]:
    doubts = [] if plan.clients else generator_doubts(recording, steady, late)
    if not len(steady):
        doubts.append("no arrival was in the steady part: the run was too short")
    if not settled.steady and settled.telling:
        doubts.append(settled.told)
    return doubts


def generator_doubts(recording: Recording, steady: Samples, late: float) -> list[str]:
    """Why the generator, not the deployment, may have been measured. ``late``: its p99 lateness in ms."""
    if recording.starved > STARVED_SHARE * max(len(recording.samples), 1):
        return [
            f"{recording.starved} requests waited for a free connection, all {recording.peak_connections} "
            "were in use: use more --connections"
        ]
    ok = steady[steady["outcome"] == Outcome.OK]
    slow = float(np.quantile(ok["ended"] - ok["intended"], 0.95)) / 1e6 if len(ok) else 0.0
    if late > max(LATE_MS, LATE_SHARE * slow):
        return [f"the generator was late itself: 1 in 100 arrivals began {late:.1f} ms or more after due"]
    return []
