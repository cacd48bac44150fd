"""The highest rate that meets an objective: the search of ``stats.knee``, run by run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.load import schedule
from harness.load.experiments.bench import Bench
from harness.load.experiments.found import found
from harness.load.experiments.measure import Measured, Plan, measure
from harness.load.model import Outcome
from harness.load.result import Capacity, Found, Interval, Verdict
from harness.load.stats import knee
from harness.load.stats.stages import quantile_of_run

SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
REFUSED = Outcome.REFUSED.name.lower()


@dataclass(frozen=True)
class Search:
    """``objective``: one of ``p50_ms``, ``p95_ms`` and ``p99_ms``, and ``errors`` (a share) if some may be.

    The search begins at ``first`` a second and ends at ``resolution``, relative; each run hands in for
    ``seconds``.
    """

    first: float = 5.0
    seconds: float = 20.0
    warmup: float = 3.0
    objective: Mapping[str, float] = field(default_factory=lambda: {"p95_ms": 2000.0})
    resolution: float = 0.1


def capacity(bench: Bench, wanted: Search) -> Found:
    """Search; the verdict is a pass where some rate holds and one above it fails."""
    begun, made = time.time(), list[Measured]()
    metric, search = aim_of(wanted)
    while not bench.stop.is_set() and (rate := knee.next_rate(search)) is not None:
        made.append(measure(bench, plan(bench, wanted, rate, len(made))))
        if made[-1].run.partial:
            break
        seen = seen_of(made[-1], rate, SHARES[metric])
        search = search.after(seen)
        bench.note(f"{rate:.3g} a second: {knee.why(search.aim, seen)}")
    answer = knee.capacity(search)
    return found(
        bench,
        "capacity",
        begun,
        runs=made,
        told=answer.told,
        verdict=verdict_of(answer),
        objective=wanted.objective,
        doubts=doubts_of(made),
        capacity=answer,
    )


def aim_of(wanted: Search) -> tuple[str, knee.Search]:
    """The latency that decides, and the search at its beginning. Raises ``UsageError``."""
    chosen = [name for name in SHARES if name in wanted.objective]
    if len(chosen) != 1:
        raise UsageError("a search has one objective: give one of --p50, --p95 and --p99")
    [metric] = chosen
    aim = knee.Aim(
        wanted.objective[metric],
        wanted.first,
        quantile=metric.removesuffix("_ms"),
        errors=wanted.objective.get("errors", 0.0),
        resolution=wanted.resolution,
    )
    return metric, knee.Search(aim)


def plan(bench: Bench, wanted: Search, rate: float, number: int) -> Plan:
    """The run of that number at ``rate``."""
    arrivals = schedule.poisson(rate, wanted.seconds, bench.seed + number)
    return Plan(f"{rate:.3g} a second", arrivals, warmup=wanted.warmup, rate=rate)


def seen_of(measured: Measured, rate: float, share: float) -> knee.Seen:
    """A run as the search takes it."""
    run = measured.run
    if not len(measured.steady):
        return knee.Seen(rate, rate, 0.0, 0, Interval(float("inf")), doubt="no arrival in the steady part")
    refused = run.errors.get(REFUSED, 0)
    mine = [doubt for doubt in run.doubts if doubt.startswith("the generator") or "connection" in doubt]
    return knee.Seen(
        rate=rate,
        # Random arrivals: what was due in this run, not the rate they were drawn from.
        offered=run.arrivals / max(measured.window_s, 1e-9),
        achieved=run.achieved,
        arrivals=run.arrivals,
        latency=quantile_of_run(measured.steady, share),
        errors=sum(run.errors.values()) - refused,
        refused=refused,
        doubt="; ".join(mine),
    )


def verdict_of(answer: Capacity) -> Verdict:
    """None held: it fails. One held, and none failed above it: nobody knows the end."""
    if answer.rate.value <= 0:
        return "fail" if answer.over is not None else "inconclusive"
    return "pass" if answer.over is not None else "inconclusive"


def doubts_of(made: list[Measured]) -> list[str]:
    """Runs near the limit are unsteady by nature, so of their doubts only the generator's count."""
    if not made or not all(each.run.doubts for each in made):
        return []
    return [doubt for each in made for doubt in each.run.doubts]
