"""Repeat a run until its figures are precise enough, or report that they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.load.experiments.bench import Bench
from harness.load.experiments.measure import Measured
from harness.load.result import Interval
from harness.load.stats.histogram import quantiles
from harness.load.stats.interval import narrow, t_interval
from harness.load.stats.stages import latencies, quantile_of_run
from harness.load.stats.words import no_interval

QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


@dataclass(frozen=True)
class Repetition:
    """When to stop repeating a run: once the interval of ``metric`` is within ``precision`` of its value.

    ``precision`` is relative: 0.1 asks for plus or minus 10 %. After ``most`` runs it stops in any case.
    """

    least: int = 3
    most: int = 10
    precision: float = 0.1
    metric: str = "p95_ms"


@dataclass(frozen=True)
class Repeated:
    """All runs, and for each metric its value in each of them."""

    runs: tuple[Measured, ...]
    samples: dict[str, tuple[float, ...]]
    doubts: tuple[str, ...]

    def interval(self, metric: str) -> Interval:
        """The mean over the runs with Student's interval; of a single run, a quantile's own interval."""
        if len(self.runs) == 1 and metric in QUANTILES and len(self.runs[0].steady):
            return quantile_of_run(self.runs[0].steady, QUANTILES[metric])
        mean = t_interval(self.samples[metric])
        return mean if mean.low is None else replace(mean, low=max(mean.low, 0.0))  # none of them is below 0

    @property
    def partial(self) -> str:
        """Why the last run ended early, or empty."""
        return self.runs[-1].run.partial if self.runs else "ended before the first run"


def repeat(bench: Bench, once: Callable[[int], Measured], repetition: Repetition) -> Repeated:
    """Call ``once(number)``, from 0 on, as often as it takes."""
    made: list[Measured] = []
    while len(made) < repetition.most:
        made.append(once(len(made)))
        if bench.stop.is_set() or made[-1].run.partial:
            break
        if len(made) >= max(repetition.least, 2) and narrow(
            t_interval(_values(made)[repetition.metric]), repetition.precision
        ):
            break
        bench.note(progress_of(made, repetition))
    samples = _values(made)
    return Repeated(tuple(made), samples, tuple(_doubts(made, samples, repetition)))


def progress_of(made: Sequence[Measured], repetition: Repetition) -> str:
    """The width of the interval so far, as text."""
    values = _values(made)[repetition.metric]
    interval = t_interval(values)
    spread = "" if interval.low is None else f" ± {interval.value - interval.low:.3g}"
    return f"run {len(made)} of at most {repetition.most}: {repetition.metric} {interval.value:.4g}{spread}"


def metrics_of(measured: Measured) -> dict[str, float]:
    """One value for each metric: ``throughput``, quantiles of the total latency in ms, the share of errors.

    What never ended counts as infinite, so that losing the slowest cannot make a run look fast. Empty if
    nothing was due in the steady part, because the run was stopped before.
    """
    steady = measured.steady
    if not len(steady):
        return {}
    total = np.sort(latencies(steady))
    wrong = sum(measured.run.errors.values())
    return {
        "throughput": measured.run.achieved,
        **dict(zip(QUANTILES, quantiles(total, tuple(QUANTILES.values())), strict=True)),
        "error_share": wrong / len(steady),
    }


def _values(made: Sequence[Measured]) -> dict[str, tuple[float, ...]]:
    each = [metrics for measured in made if (metrics := metrics_of(measured))]
    return {name: tuple(one[name] for one in each) for name in each[0]} if each else {}


def _doubts(
    made: Sequence[Measured], samples: dict[str, tuple[float, ...]], repetition: Repetition
) -> list[str]:
    doubts = [doubt for measured in made for doubt in measured.run.doubts]
    if samples and not narrow(t_interval(samples[repetition.metric]), repetition.precision):
        so_far = no_interval(1) if len(made) == 1 else f"after {len(made)} runs"
        doubts.append(
            f"{so_far}, {repetition.metric} is not known to ±{repetition.precision:.0%}: "
            "use more --repetitions, or longer --seconds"
        )
    return list(dict.fromkeys(doubts))
