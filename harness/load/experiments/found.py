"""From runs to the entry in the report: the parts that all experiments share, and the verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from harness.load.experiments.bench import Bench
from harness.load.experiments.measure import Measured
from harness.load.experiments.repeat import Repeated
from harness.load.result import (
    Capacity,
    Experiment,
    ExperimentResult,
    Interval,
    Overload,
    Run,
    Scaling,
    Verdict,
)
from harness.load.stats.words import no_interval

LATENCIES = ("p50_ms", "p95_ms", "p99_ms")
STOPPED = "stopped before it was done"
Objective = Mapping[str, float]


def found(
    bench: Bench,
    experiment: Experiment,
    begun: float,
    *,
    runs: Sequence[Measured],
    summary: str,
    verdict: Verdict,
    objective: Mapping[str, Any],
    repeated: Repeated | None = None,
    doubts: Iterable[str] = (),
    scaling: Scaling | None = None,
    capacity: Capacity | None = None,
    overload: Overload | None = None,
) -> ExperimentResult:
    """The entry of an experiment that began at ``begun`` (Unix time), with its workload and environment.

    A partial or doubtful one is at best inconclusive; a failure stays a failure.
    """
    partial = runs[-1].run.partial if runs else STOPPED
    partial = partial or (STOPPED if bench.stop.is_set() else "")
    known = LATENCIES if repeated and repeated.samples else ()
    doubts = tuple(dict.fromkeys((*(repeated.doubts if repeated else ()), *doubts)))
    if verdict == "pass" and (partial or doubts):
        verdict = "inconclusive"
    return ExperimentResult(
        experiment=experiment,
        verdict=verdict,
        told=f"{summary} (partial: {partial})" if partial else summary,
        began=datetime.fromtimestamp(begun, UTC).isoformat(timespec="seconds"),
        seconds=round(time.time() - begun, 1),
        workload=workload_of(bench),
        route=route_of(bench),
        objective=dict(objective),
        environment=dict(bench.environment),
        throughput=repeated.interval("throughput") if repeated and known else None,
        latency={name: repeated.interval(name) for name in LATENCIES}
        if repeated and repeated.samples
        else {},
        samples=dict(repeated.samples) if repeated else {},
        runs=tuple(each.run for each in runs),
        scaling=scaling,
        capacity=capacity,
        overload=overload,
        doubts=doubts,
        partial=partial,
    )


def workload_of(bench: Bench) -> dict[str, Any]:
    """The workload as the report has it, with all its content."""
    return {
        "name": bench.workload.name,
        "seed": bench.workload.seed,
        "programs": [asdict(each) for each in bench.workload.programs],
    }


def route_of(bench: Bench) -> dict[str, Any]:
    """The route as the report has it; no address, and no token."""
    route = bench.route
    document = {
        "door": route.entry_point,
        "way": route.mode,
        "why": route.why,
        "facing": dict(bench.capabilities),
    }
    return {**document, "poll_seconds": route.poll_seconds} if route.mode in ("poll", "batch") else document


def judge(repeated: Repeated, objective: Objective) -> tuple[Verdict, tuple[str, ...]]:
    """Whether the runs meet the objective, and for each limit why not or why that is undecided.

    ``objective`` may have ``p50_ms``, ``p95_ms``, ``p99_ms`` (at most), ``throughput`` (at least) and
    ``errors`` (a share, at most; default: 0). A limit inside an interval is undecided.
    """
    if not repeated.samples:
        return "inconclusive", ()
    limits = {"errors": 0.0, **objective}
    each = [_judge_one(repeated, metric, limit) for metric, limit in limits.items()]
    return worst(verdict for verdict, _ in each), tuple(why for _, why in each if why)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """A failure outweighs a doubt."""
    given = set(verdicts)
    return "fail" if "fail" in given else "inconclusive" if "inconclusive" in given else "pass"


def held(value: Interval, limit: float, *, least: bool = False) -> bool | None:
    """Whether a value is at most (or at ``least``) the limit.

    None if the limit is inside its interval, or if there is no interval yet: a single value does not show the
    spread. An infinite value is beyond any limit.
    """
    if value.low is None or value.high is None:
        return None if math.isfinite(value.value) else least
    low, high = value.low, value.high
    if least:
        return True if low >= limit else False if high < limit else None
    return True if high <= limit else False if low > limit else None


def ms(value: float) -> str:
    """Milliseconds as text."""
    if not math.isfinite(value):
        return "endless"
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.3g} ms"


def errors_of(runs: Iterable[Run]) -> tuple[int, int]:
    """The number of errors, and of arrivals."""
    pairs = [(sum(run.errors.values()), run.arrivals) for run in runs]
    return sum(wrong for wrong, _ in pairs), sum(count for _, count in pairs)


def _judge_one(repeated: Repeated, metric: str, limit: float) -> tuple[Verdict, str]:
    if metric == "errors":
        wrong, of = errors_of(each.run for each in repeated.runs)
        if wrong > limit * of:
            return "fail", f"{wrong} of {of} failed, the limit is a share of {limit:g}"
        return "pass", ""
    value = repeated.interval(metric)
    answer = held(value, limit, least=metric == "throughput")
    if answer is True:
        return "pass", ""
    if value.low is None:
        why = no_interval(len(repeated.runs))
        return "fail" if answer is False else "inconclusive", (
            f"{metric} is {value.value:.4g}, the limit is {limit:g}; {why}"
        )
    shown = f"{metric} is {value.value:.4g} ({value.low:.4g} to {value.high:.4g}), the limit is {limit:g}"
    return ("fail", shown) if answer is False else ("inconclusive", f"{shown}: inside the interval")
