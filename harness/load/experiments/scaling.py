"""Throughput by number of workers: saturate each, fit a model, and predict the effect of one more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.core.errors import UsageError
from harness.load.experiments.bench import Bench
from harness.load.experiments.found import errors_of, found
from harness.load.experiments.latency import NONE
from harness.load.experiments.measure import Measured, Plan, measure
from harness.load.experiments.repeat import Repeated, Repetition, repeat
from harness.load.result import ExperimentResult, Scaling, Verdict
from harness.load.stats.scaling import scaling as fitted

CLIENTS_A_SLOT = 2
SLOTS = 4  # of a worker task, if unknown


@dataclass(frozen=True)
class Scale:
    """``workers`` are the numbers of worker tasks to try, each for ``seconds`` a run."""

    workers: tuple[int, ...] = (1, 2, 4, 8)
    seconds: float = 20.0
    warmup: float = 3.0
    repetition: Repetition = field(default_factory=lambda: Repetition(most=5, metric="throughput"))


def scaling(bench: Bench, wanted: Scale) -> ExperimentResult:
    """Measure at each number of workers, in a closed loop that keeps all of them busy; then restore theirs.

    Raises ``UsageError`` if workers cannot be scaled.
    """
    if bench.scale is None:
        raise UsageError("workers cannot be scaled here: the service that runs the programs is unknown")
    begun, made = time.time(), dict[int, Repeated]()
    try:
        for workers in wanted.workers:
            if bench.stop.is_set():
                break
            bench.scale(workers)
            made[workers] = saturated(bench, wanted, workers)
    finally:
        if bench.workers is not None:
            bench.scale(bench.workers)
    runs = [each for repeated in made.values() for each in repeated.runs]
    measured = {workers: each.samples["throughput"] for workers, each in made.items() if _served(each)}
    curve = fitted(measured, cores=bench.cores, cpu_bound=cpu_bound(runs)) if measured else None
    return found(
        bench,
        "scaling",
        begun,
        runs=runs,
        summary=_summary(curve),
        verdict=_verdict(runs),
        objective={"workers": list(wanted.workers)},
        doubts=[doubt for each in made.values() for doubt in each.doubts],
        scaling=curve,
    )


def saturated(bench: Bench, wanted: Scale, workers: int) -> Repeated:
    """Throughput with more clients than can be served: twice as many as there are slots."""
    clients = CLIENTS_A_SLOT * workers * (bench.slots or SLOTS)

    def once(number: int) -> Measured:
        label = f"{workers} worker{'s' if workers > 1 else ''}, run {number + 1}"
        plan = Plan(label, NONE, clients, wanted.seconds, wanted.warmup, workers)
        return measure(bench, plan)

    return repeat(bench, once, wanted.repetition)


def cpu_bound(runs: Sequence[Measured]) -> bool:
    """Whether more workers need more cores. They do, unless slots were observed to run out first."""
    limits = [each.run.bottleneck.get("what", "unknown") for each in runs]
    return not limits or any(what != "worker slots" for what in limits)


def _served(repeated: Repeated) -> bool:
    return bool(repeated.samples) and all(value > 0 for value in repeated.samples["throughput"])


def _summary(curve: Scaling | None) -> str:
    """The measured points first, then the finding."""
    if curve is None:
        return "nothing was served"
    points = ", ".join(f"{workers}: {value.value:.3g}" for workers, value in curve.points)
    return f"a second, by workers: {points}; {curve.told}"


def _verdict(runs: Sequence[Measured]) -> Verdict:
    wrong, of = errors_of(each.run for each in runs)
    return "fail" if wrong else "pass" if of else "inconclusive"
