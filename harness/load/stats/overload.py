"""Beyond capacity: clear refusals, a bounded latency of accepted submissions, and the time to recover."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.load.model import SECOND, Outcome, Samples
from harness.load.result import Interval, Overload
from harness.load.stats.histogram import quantiles
from harness.load.stats.stages import latencies, quantile, quantile_of_run, steady


@dataclass(frozen=True)
class Phases:
    """The phases of an overload run, in ns of its own time.

    From ``calm`` until ``load`` the rate is below capacity, from ``load`` until ``stop`` it is too high, and
    from
    ``stop`` until ``end`` it is the first rate again.
    """

    calm: int
    load: int
    stop: int
    end: int


def overload(
    samples: Samples,
    phases: Phases,
    *,
    queue_limit: int,
    throughput: float,
    messages: Sequence[str] = (),
    window: float = 1.0,
) -> Overload:
    """Judge one run. Of ``Overload``, ``offered``, ``accepted`` and ``refused`` are rates under the load.

    ``queue_limit`` is how many the deployment lets wait, ``throughput`` how many it ends a second at most,
    ``messages`` the first few texts of refusals. Recovery is judged in windows of ``window`` s. What was
    accepted and did not end well counts as endless. ValueError: fewer than three calm windows.
    """
    before, during = steady(samples, phases.calm, phases.load), steady(samples, phases.load, phases.stop)
    taken = during[during["accepted"] >= 0]
    refused = int(np.count_nonzero(during["outcome"] == Outcome.REFUSED))
    baseline = quantile_of_run(before, 0.95)
    limit = recovered_below(window_medians(before, phases.calm, phases.load, window))
    seconds = (phases.stop - phases.load) / SECOND
    found = Overload(
        offered=len(during) / seconds,
        accepted=len(taken) / seconds,
        refused=refused / seconds,
        refusal=_commonest(messages),
        baseline_p95_ms=baseline.value,
        accepted_p95_ms=quantile(taken, 0.95) if len(taken) else 0.0,
        bound_ms=bound_ms(baseline, queue_limit, throughput),
        recovered_s=recovered(window_medians(samples, phases.stop, phases.end, window), limit, window),
        told="",
    )
    return replace(found, told=summary(found, failed=len(during) - len(taken) - refused))


def summary(found: Overload, *, failed: int = 0) -> str:
    """The finding in words. ``failed`` were neither accepted nor refused, which is the worst result."""
    return "; ".join([*_refusals(found, failed), _latency(found), _recovery(found)])


def is_sound(found: Overload) -> bool:
    """Whether refusals were clear, the latency of accepted submissions was bounded, and it recovered."""
    clear = bool(found.refused and found.refusal)
    bounded = bool(found.accepted) and found.accepted_p95_ms <= found.bound_ms
    return clear and bounded and found.recovered_s is not None


def bound_ms(baseline: Interval, queue_limit: int, throughput: float) -> float:
    """The longest time that an accepted one should take: a full queue before it, and its time in calm.

    Little's law: a queue of ``queue_limit`` emptied at ``throughput`` a second is a wait of their ratio. The
    calm p95 (its upper end, if known) stands for what else may vary.
    """
    alone = baseline.high if baseline.high is not None else baseline.value
    return queue_limit / throughput * 1000 + alone


def window_medians(samples: Samples, from_ns: int, until_ns: int, window: float) -> npt.NDArray[np.float64]:
    """The median latency (ms) of each whole window, by intended start; NaN: nothing was due in it.

    What did not end well is endless, so a window in which most fail is `inf`.
    """
    count = int((until_ns - from_ns) / (window * SECOND))
    edges = from_ns + (np.arange(count + 1) * window * SECOND).astype(np.int64)
    pieces = [latencies(steady(samples, int(a), int(b))) for a, b in pairwise(edges)]
    return np.array([quantiles(np.sort(p), (0.5,))[0] if len(p) else math.nan for p in pieces])


def recovered_below(calm: npt.NDArray[np.float64]) -> float:
    """The limit for a recovered window's median: the upper 99.9 % prediction bound from calm windows.

    Mean + t s sqrt(1 + 1 / n) of their logarithms (Hahn, Meeker: Statistical Intervals, 4.7), so that hardly
    ever one of 30 windows is beyond it by chance. ValueError: fewer than three calm windows ended well.
    """
    known = np.log(np.maximum(calm[np.isfinite(calm)], 1e-3))
    if len(known) < 3:
        raise ValueError("it takes at least three calm windows to decide what has recovered")
    t = float(stats.t.ppf(0.999, len(known) - 1))
    spread = max(float(known.std(ddof=1)), 0.01)
    return math.exp(float(known.mean()) + t * spread * math.sqrt(1 + 1 / len(known)))


def recovered(after: npt.NDArray[np.float64], limit: float, window: float) -> float | None:
    """Seconds from the stop until the windows are within ``limit`` and stay so; None: they never are.

    A window in which nothing was due tells nothing, and does not end what was.
    """
    known = np.flatnonzero(~np.isnan(after))
    beyond = known[after[known] > limit]
    if not len(known) or (len(beyond) and beyond[-1] == known[-1]):
        return None
    return float(beyond[-1] + 1) * window if len(beyond) else 0.0


def _commonest(messages: Sequence[str]) -> str:
    return Counter(messages).most_common(1)[0][0] if messages else ""


def _refusals(found: Overload, failed: int) -> list[str]:
    if not found.refused:
        words = "nothing was refused: the load was not beyond capacity, or nothing limits the queue"
    else:
        reason = f'"{found.refusal}"' if found.refusal else "without a reason"
        words = f"{found.refused / found.offered:.0%} of {found.offered:.1f} a second refused, {reason}"
    return [words, f"{failed} neither accepted nor refused"] if failed else [words]


def _latency(found: Overload) -> str:
    if not found.accepted:
        return "nothing was accepted"
    size = f"{found.accepted_p95_ms:.0f} ms" if math.isfinite(found.accepted_p95_ms) else "endless"
    side = "within" if found.accepted_p95_ms <= found.bound_ms else "beyond"
    return (
        f"p95 of what was accepted {size}, {side} the {found.bound_ms:.0f} ms of a full queue "
        f"({found.baseline_p95_ms:.0f} ms in calm)"
    )


def _recovery(found: Overload) -> str:
    if found.recovered_s is None:
        return "not recovered when the run ended"
    return f"recovered {found.recovered_s:g} s after the load stopped"
