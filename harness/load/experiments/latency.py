"""Latency at a fixed rate, with a confidence interval, and whether it meets an objective."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.load import schedule
from harness.load.experiments.bench import Bench
from harness.load.experiments.found import found, judge, ms
from harness.load.experiments.measure import Plan, measure
from harness.load.experiments.repeat import Repeated, Repetition, repeat
from harness.load.model import Times
from harness.load.result import ExperimentResult

NONE: Times = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Latency:
    """``rate`` arrivals a second, Poisson, for ``seconds`` a run; or the given ``arrivals`` in each run.

    ``clients``: a closed loop of so many instead. ``objective`` has limits by metric, as
    :func:`harness.load.experiments.found.judge` takes them.
    """

    rate: float = 10.0
    seconds: float = 30.0
    warmup: float = 3.0
    arrivals: Times | None = None
    clients: int = 0
    objective: Mapping[str, float] = field(default_factory=dict)
    repetition: Repetition = field(default_factory=Repetition)


def latency(bench: Bench, wanted: Latency) -> ExperimentResult:
    """Measure until the interval is narrow enough, and judge by the objective."""
    begun = time.time()
    made = repeat(bench, lambda number: measure(bench, plan(bench, wanted, number)), wanted.repetition)
    verdict, why = judge(made, wanted.objective)
    asked = {} if wanted.clients or wanted.arrivals is not None else {"rate": wanted.rate}
    return found(
        bench,
        "latency",
        begun,
        runs=made.runs,
        summary="; ".join((_summary(made, wanted), *why)),
        verdict=verdict,
        objective={**asked, **wanted.objective},
        repeated=made,
    )


def plan(bench: Bench, wanted: Latency, number: int) -> Plan:
    """The run with this number: the same rate, other arrivals, unless they are given."""
    label = f"run {number + 1}"
    if wanted.clients:
        return Plan(label, NONE, clients=wanted.clients, seconds=wanted.seconds, warmup=wanted.warmup)
    if wanted.arrivals is not None:
        return Plan(label, wanted.arrivals, warmup=wanted.warmup)
    arrivals = schedule.poisson(wanted.rate, wanted.seconds, bench.seed + number)
    return Plan(label, arrivals, warmup=wanted.warmup, rate=wanted.rate)


def _summary(made: Repeated, wanted: Latency) -> str:
    if not made.samples:
        return "nothing was measured"
    p50, p95, p99 = (made.interval(name) for name in ("p50_ms", "p95_ms", "p99_ms"))
    loop = f"{wanted.clients} clients in a closed loop, " if wanted.clients else ""
    rate = made.interval("throughput").value
    runs = f"{len(made.runs)} run{'s' if len(made.runs) > 1 else ''}"
    return (
        f"{loop}{rate:.3g} a second: p50 {ms(p50.value)}, p95 {ms(p95.value)}, p99 {ms(p99.value)} ({runs})"
    )
