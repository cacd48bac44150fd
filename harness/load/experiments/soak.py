"""The same load for a long time: do latency, errors, memory or the queue grow?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy import stats

from harness.load import schedule
from harness.load.experiments.bench import Bench
from harness.load.experiments.found import found, judge, ms
from harness.load.experiments.measure import Measured, Plan, measure
from harness.load.experiments.repeat import Repeated, metrics_of
from harness.load.result import ExperimentResult, NodeSeries
from harness.load.stats.stages import latencies

WINDOWS = 12
LEAST_WINDOWS = 8
CREEP = 0.1  # of the start's value over the whole run: less does not matter
MEMORY_CREEP_MB = 32.0
ALPHA = 0.01


@dataclass(frozen=True)
class Soak:
    """``rate`` arrivals a second, Poisson, for ``seconds``."""

    rate: float = 5.0
    seconds: float = 1800.0
    warmup: float = 10.0
    objective: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trend:
    """The trend of a series: Theil and Sen's slope over the whole run, and Kendall's test that it is 0."""

    start: float
    change: float
    p_value: float


def soak(bench: Bench, wanted: Soak) -> ExperimentResult:
    """One long run, judged by the objective and by what grows in it."""
    begun = time.time()
    arrivals = schedule.poisson(wanted.rate, wanted.seconds, bench.seed)
    measured = measure(bench, Plan("soak", arrivals, warmup=wanted.warmup, rate=wanted.rate))
    once = Repeated((measured,), {k: (v,) for k, v in metrics_of(measured).items()}, measured.run.doubts)
    verdict, why = judge(once, wanted.objective)
    decided = _long_enough(measured)
    creeping = list(creeps(measured)) if decided else []
    text = f"{measured.run.achieved:.3g} a second for {measured.run.seconds:.0f} s"
    text += f": p95 {ms(once.samples['p95_ms'][0])}" if once.samples else ", and nothing steady was measured"
    return found(
        bench,
        "soak",
        begun,
        runs=(measured,),
        summary="; ".join((text, *why, *(creeping or ["nothing crept"] * decided))),
        verdict="fail" if creeping else verdict,
        objective={"rate": wanted.rate, **wanted.objective},
        repeated=once,
        doubts=() if decided else ("too short to decide whether anything grows",),
    )


def creeps(measured: Measured) -> Iterator[str]:
    """What grew over the steady part, in words: significantly, and by enough to matter."""
    median = trend(_medians(measured))
    if median and _grows(median, CREEP * median.start):
        yield f"latency crept up: the median by {ms(median.change)} from {ms(median.start)}"
    for node in measured.run.nodes:
        used = trend(_windows(_steady(node, measured.run.warmup_s)))
        if used and _grows(used, max(MEMORY_CREEP_MB, CREEP * used.start)):
            yield f"memory of {node.node} crept up by {used.change:.0f} MB from {used.start:.0f} MB"


def trend(values: Sequence[float]) -> Trend | None:
    """The trend of values at equal distances; None if there are too few.

    Theil 1950, Sen 1968; Kendall's tau against the order (Mann 1945).
    """
    if len(values) < LEAST_WINDOWS or len(set(values)) == 1:
        return None
    order = np.arange(len(values))
    slope, intercept, _, _ = stats.theilslopes(values, order)
    p_value = float(stats.kendalltau(order, values).pvalue)
    return Trend(float(intercept), float(slope) * (len(values) - 1), p_value)


def _grows(found_: Trend, least: float) -> bool:
    return found_.change > least and found_.p_value < ALPHA


def _medians(measured: Measured) -> list[float]:
    """The median latency of equal stretches of the steady part, without those that are not finite."""
    steady = measured.steady
    values, when = latencies(steady), steady["intended"]
    if not len(values):
        return []
    edges = np.linspace(when[0], when[-1] + 1, WINDOWS + 1)
    each = [values[(when >= low) & (when < high)] for low, high in pairwise(edges)]
    medians = [float(np.median(part)) for part in each if len(part)]
    return [value for value in medians if np.isfinite(value)]


def _steady(node: NodeSeries, warmup: float) -> list[float]:
    return [used for at, used in zip(node.t, node.memory_mb, strict=True) if at >= warmup]


def _windows(values: Sequence[float]) -> list[float]:
    """The medians of equal parts; nothing for a short series."""
    if len(values) < 2 * WINDOWS:
        return []
    return [float(np.median(part)) for part in np.array_split(np.asarray(values), WINDOWS)]


def _long_enough(measured: Measured) -> bool:
    return len(_medians(measured)) >= LEAST_WINDOWS and measured.run.seconds >= 60
