"""The highest rate that meets an objective: the search of ``stats.knee``, run by run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.core.errors import UsageError
from harness.load import schedule
from harness.load.experiments.bench import Bench
from harness.load.experiments.found import found
from harness.load.experiments.measure import Measured, Plan, measure
from harness.load.experiments.overload import saturate
from harness.load.model import Outcome
from harness.load.result import Capacity, ExperimentResult, Interval, Verdict
from harness.load.stats import knee
from harness.load.stats.interval import effective_size
from harness.load.stats.stages import latencies, quantile_of_run

SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
# A closed loop shows the throughput in so many seconds; the limit is rarely far below that.
SCOUT_SECONDS = 6.0
NEAR = 0.95
UNKNOWN = 5.0  # if nothing was served
LONGEST = 8.75
BESIDES = 2.0  # seconds of a run in which nothing is submitted
LEAST_DRAIN, DRAIN_OBJECTIVES = 10.0, 3.0
REFUSED = Outcome.REFUSED.name.lower()


@dataclass(frozen=True)
class Search:
    """``objective``: one of ``p50_ms``, ``p95_ms`` and ``p99_ms``, and ``errors`` (a share) if some may be.

    The search begins at ``first`` a second (None: near the throughput of a short closed loop) and ends at
    ``resolution``, relative, or before a run that would end after ``within`` seconds (None: `LONGEST` times a
    run's). Each run submits for ``seconds``.
    """

    first: float | None = None
    seconds: float = 20.0
    warmup: float = 2.0
    objective: Mapping[str, float] = field(default_factory=lambda: {"p95_ms": 2000.0})
    resolution: float = 0.1
    within: float | None = None

    @property
    def limit(self) -> float:
        """After how many seconds it ends."""
        return self.within or LONGEST * self.seconds


def capacity(bench: Bench, wanted: Search) -> ExperimentResult:
    """Search; the verdict is a pass if some rate meets the objective and one above it fails."""
    begun, clock, made = time.time(), Spent(), list[Measured]()
    metric, search = aim_of(wanted)
    if wanted.first is None:
        made.append(saturate(bench, SCOUT_SECONDS))
        search = near(search, made[0].run.achieved)
        clock.add(made[0])
    bench = replace(bench, drain=drain_of(wanted, bench.drain))
    while not stopped(bench, made) and clock.seconds + wanted.seconds + BESIDES <= wanted.limit:
        rate = knee.next_rate(search) or knee.once_more(search)
        if rate is None:
            break
        made.append(measure(bench, plan(bench, wanted, rate, len(made))))
        clock.add(made[-1])
        if made[-1].run.partial:
            break
        search = search.after(trial_of(made[-1], rate, SHARES[metric], wanted.objective[metric]))
        bench.note(f"{rate:.3g} a second: {knee.so_far(search)}")
    answer = knee.capacity(search)
    return found(
        bench,
        "capacity",
        begun,
        runs=made,
        summary=answer.told + ("" if stopped(bench, made) else _cut_short(search, wanted)),
        verdict=verdict_of(answer),
        objective=wanted.objective,
        doubts=doubts_of(made),
        capacity=answer,
    )


@dataclass
class Spent:
    """Seconds since the search began: by the clock, or by the runs' own times if those are simulated."""

    begun: float = field(default_factory=time.monotonic)
    runs: float = 0.0

    def add(self, made: Measured) -> None:
        """Add a run and its overhead."""
        self.runs += made.recording.seconds + BESIDES

    @property
    def seconds(self) -> float:
        """So far."""
        return max(time.monotonic() - self.begun, self.runs)


def stopped(bench: Bench, made: Sequence[Measured]) -> bool:
    """Whether to stop measuring."""
    return bench.stop.is_set() or bool(made and made[-1].run.partial)


def near(search: knee.Search, served: float) -> knee.Search:
    """The same search from near the throughput at saturation, in steps as wide as its resolution."""
    if served <= 0:
        return search
    aim = replace(search.aim, start=NEAR * served, factor=1 + search.aim.resolution)
    return knee.Search(aim)


def drain_of(wanted: Search, most: float) -> float:
    """How long to wait for what is in flight at a run's end: several times the objective."""
    [limit] = [value for name, value in wanted.objective.items() if name in SHARES]
    return min(most, max(LEAST_DRAIN, DRAIN_OBJECTIVES * limit / 1000))


def _cut_short(search: knee.Search, wanted: Search) -> str:
    rate = knee.next_rate(search) or knee.once_more(search)
    if rate is None:
        return ""
    return (
        f"; ended after {wanted.limit:g} s, not yet known to {wanted.resolution:.0%}: use a longer --within"
    )


def aim_of(wanted: Search) -> tuple[str, knee.Search]:
    """The metric of the objective, and the search at its beginning. Raises ``UsageError``."""
    chosen = [name for name in SHARES if name in wanted.objective]
    if len(chosen) != 1:
        raise UsageError("a search has one objective: give one of --p50, --p95 and --p99")
    [metric] = chosen
    aim = knee.Aim(
        wanted.objective[metric],
        wanted.first or UNKNOWN,
        quantile=metric.removesuffix("_ms"),
        errors=wanted.objective.get("errors", 0.0),
        resolution=wanted.resolution,
    )
    return metric, knee.Search(aim)


def plan(bench: Bench, wanted: Search, rate: float, number: int) -> Plan:
    """The run of that number at ``rate``."""
    arrivals = schedule.even_poisson(rate, wanted.seconds, bench.seed + number)
    return Plan(f"{rate:.3g} a second", arrivals, warmup=wanted.warmup, rate=rate)


def trial_of(measured: Measured, rate: float, share: float, objective_ms: float) -> knee.Trial:
    """A run in the form that the search uses."""
    run, beyond = measured.run, latencies(measured.steady) > objective_ms
    if not len(measured.steady):
        return knee.Trial(rate, rate, 0.0, 0, Interval(float("inf")), doubt="no arrival in the steady part")
    refused = run.errors.get(REFUSED, 0)
    mine = [doubt for doubt in run.doubts if doubt.startswith("the generator") or "connection" in doubt]
    return knee.Trial(
        rate=rate,
        # Random arrivals: the rate in this run, not the rate they were drawn from.
        offered=run.arrivals / max(measured.window_s, 1e-9),
        achieved=run.achieved,
        arrivals=run.arrivals,
        latency=quantile_of_run(measured.steady, share),
        errors=sum(run.errors.values()) - refused,
        refused=refused,
        doubt="; ".join(mine),
        beyond=float(beyond.mean()),
        size=effective_size(beyond),
    )


def verdict_of(answer: Capacity) -> Verdict:
    """No rate met the objective: fail. One did, and none failed above it: inconclusive."""
    if answer.rate.value <= 0:
        return "fail" if answer.over is not None else "inconclusive"
    return "pass" if answer.over is not None else "inconclusive"


def doubts_of(made: list[Measured]) -> list[str]:
    """Runs near the limit are never steady, so only their doubts about the generator count."""
    if not made or not all(each.run.doubts for each in made):
        return []
    return [doubt for each in made for doubt in each.run.doubts]
