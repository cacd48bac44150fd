"""Far beyond capacity: clear refusals, a bounded latency of accepted submissions, and the recovery."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.core.errors import ResourceError, UsageError
from harness.load import schedule
from harness.load.experiments.bench import Bench
from harness.load.experiments.found import found
from harness.load.experiments.latency import NONE
from harness.load.experiments.measure import Measured, Plan, measure
from harness.load.experiments.scaling import CLIENTS_A_SLOT, SLOTS
from harness.load.model import SECOND, Outcome
from harness.load.result import ExperimentResult, Overload, Verdict
from harness.load.stats.overload import Phases
from harness.load.stats.overload import overload as judge_overload
from harness.load.stats.stages import rates

CALM = 0.3  # of the throughput at saturation
BEYOND = 2.0
VARIES = 1.5  # service times vary, and the limit is racy: some more submissions wait than it allows
LEAST_CALM_SECONDS = 10.0
REFUSED = Outcome.REFUSED.name.lower()
# Beyond capacity these are refusals by the deployment, or the end of our run; all else is an error.
ALLOWED = (REFUSED, Outcome.UNFINISHED.name.lower())


@dataclass(frozen=True)
class Overloading:
    """``rate`` beyond capacity, or None for twice the throughput; for ``seconds`` at least.

    ``bound_ms`` is the limit for p95 of the accepted submissions; None: what the queue's limit implies.
    """

    rate: float | None = None
    seconds: float = 20.0
    bound_ms: float | None = None


@dataclass(frozen=True)
class _Rates:
    """Arrivals a second: the throughput at saturation, a calm rate, and one beyond capacity."""

    served: float
    calm: float
    beyond: float


def overload(bench: Bench, wanted: Overloading) -> ExperimentResult:
    """Saturate to learn the throughput; then one run: calm, beyond capacity, calm again.

    Raises ``UsageError`` for a rate that is not beyond capacity, or a Judge0 without a queue limit.
    """
    if bench.queue_limit is None:
        raise UsageError(
            "Judge0 reports no limit of its queue (max_queue_size), so there is nothing to compare with"
        )
    begun = time.time()
    first = saturate(bench, wanted.seconds / 2)
    if first.run.partial:
        return _found(bench, begun, [first], wanted, "nothing was measured beyond capacity")
    wished = rates_of(first, wanted)
    plan, phases = plan_of(bench, wished, wanted)
    run = measure(bench, plan)
    if run.run.partial:
        return _found(bench, begun, [first, run], wanted, "its recovery was not observed")
    measured = judge_overload(
        run.recording.samples,
        phases,
        queue_limit=bench.queue_limit,
        throughput=served_of(run, phases) / VARIES,
        messages=run.run.said.get(REFUSED, ()),
    )
    if wanted.bound_ms is not None:
        measured = replace(measured, bound_ms=wanted.bound_ms)
    return _found(bench, begun, [first, run], wanted, measured.told, measured)


def saturate(bench: Bench, seconds: float) -> Measured:
    """A closed loop with more clients than slots, to learn the throughput."""
    clients = CLIENTS_A_SLOT * (bench.workers or 1) * (bench.slots or SLOTS)
    return measure(bench, Plan("saturated", NONE, clients, seconds, warmup=seconds / 5))


def rates_of(first: Measured, wanted: Overloading) -> _Rates:
    """The rates of the run. Raises ``ResourceError`` if nothing was served, and ``UsageError``."""
    served = first.run.achieved
    if served <= 0:
        raise ResourceError("load target", "Judge0", f"served nothing of a closed loop: {first.run.said}")
    beyond = BEYOND * served if wanted.rate is None else wanted.rate
    if beyond <= served:
        raise UsageError(f"--rate {beyond:g} is not beyond capacity: {served:.3g} a second are served")
    return _Rates(served, CALM * served, beyond)


def served_of(run: Measured, phases: Phases) -> float:
    """The throughput during the overload: that is how fast a full queue moves then."""
    return max(rates(run.recording.samples, phases.load, phases.stop).achieved, 0.01)


def plan_of(bench: Bench, wished: _Rates, wanted: Overloading) -> tuple[Plan, Phases]:
    """A run long enough for the queue to fill and to stay full as long again, and to empty afterwards."""
    assert bench.queue_limit is not None
    filled = bench.queue_limit / (wished.beyond - wished.served)
    emptied = bench.queue_limit / (wished.served - wished.calm)
    calm = max(wanted.seconds, LEAST_CALM_SECONDS)
    load = math.ceil(max(wanted.seconds, 2 * filled))
    after = math.ceil(calm + 2 * emptied)
    steps = [(wished.calm, calm), (wished.beyond, load), (wished.calm, after)]
    arrivals = schedule.steps(steps)
    ends = [int(seconds * SECOND) for seconds in (calm, calm + load, calm + load + after)]
    plan = Plan("calm, beyond capacity, calm", arrivals, warmup=2.0, rate=wished.beyond)
    return plan, Phases(2 * SECOND, ends[0], ends[1], ends[2])


def problems(measured: Overload, run: Measured) -> Iterator[str]:
    """What is wrong, in words."""
    errors = {name: count for name, count in run.run.errors.items() if name not in ALLOWED}
    if errors:
        yield f"not all was refused or ended well: {', '.join(f'{n} {name}' for name, n in errors.items())}"
    if measured.refused and not measured.refusal:
        yield "refusals have no message"
    if measured.accepted_p95_ms > measured.bound_ms:
        p95, bound = measured.accepted_p95_ms, measured.bound_ms
        yield f"p95 of what was accepted is {p95:.0f} ms, the bound {bound:.0f} ms"
    if measured.recovered_s is None:
        yield "it did not recover in time"


def _found(  # noqa: PLR0917 (measured: None if it ended early)
    bench: Bench,
    begun: float,
    made: list[Measured],
    wanted: Overloading,
    text: str,
    measured: Overload | None = None,
) -> ExperimentResult:
    wrong = list(problems(measured, made[-1])) if measured else []
    verdict: Verdict = "fail" if wrong else "pass" if measured else "inconclusive"
    doubts = [] if measured is None or measured.refused else ["nothing was refused: the queue did not fill"]
    return found(
        bench,
        "overload",
        begun,
        runs=made,
        summary="; ".join((text, *wrong)),
        verdict=verdict,
        objective={"bound_ms": wanted.bound_ms} if wanted.bound_ms else {},
        doubts=doubts,
        overload=measured,
    )
