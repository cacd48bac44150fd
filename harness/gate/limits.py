"""Compare a measurement with the topology's ``objectives``.

A limit is met if the whole confidence interval meets it, and missed if none of it does. If the limit is
inside the interval, the result is inconclusive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from scipy import stats

from harness.gate.model import Judgement
from harness.gate.reading import Entry, Number
from harness.gate.words import amount, interval, title
from harness.load.result import Interval
from harness.load.stats.words import no_interval
from harness.run.report import Verdict
from harness.topology.model import Objectives

LATENCIES = ("p95_ms", "p99_ms")
CONFIDENCE = 0.95


def has_limits(objectives: Objectives) -> bool:
    """Whether there is any limit."""
    given = (objectives.p95_ms, objectives.p99_ms, objectives.errors, objectives.throughput)
    return any(each is not None for each in given)


def judge_limits(entry: Entry, objectives: Objectives) -> Iterator[Judgement]:
    """A judgement for each limit."""
    if objectives.throughput is not None:
        yield throughput(entry, objectives.throughput)
    for metric in LATENCIES:
        limit = getattr(objectives, metric)
        if limit is not None:
            yield latency(entry, metric, limit)
    if objectives.errors is not None:
        yield errors(entry, objectives.errors)


def latency(entry: Entry, metric: str, limit: float) -> Judgement:
    """A quantile of the total latency, with an upper limit. A missing answer counts as endless."""
    estimate = entry.latency.get(metric)
    if estimate is None:
        return _unmeasured(metric, limit)
    now = estimate.interval()
    repeated = entry.samples.get(metric, [])
    verdict = at_most(now, limit) if math.isfinite(now.value) else _endless(repeated, limit)
    return _judgement(entry, metric, verdict, limit, now, f"at most {amount(metric, limit)}")


def throughput(entry: Entry, limit: float) -> Judgement:
    """Correct results a second, with a lower limit."""
    metric = "throughput"
    if entry.throughput is None or entry.throughput.value is None:
        return _unmeasured(metric, limit)
    now = entry.throughput.interval()
    return _judgement(entry, metric, at_least(now, limit), limit, now, f"at least {amount(metric, limit)}")


def errors(entry: Entry, limit: float) -> Judgement:
    """The share of errors. Zero errors meet any limit, and the text shows of how many arrivals."""
    arrivals = sum(run.arrivals for run in entry.runs)
    if not arrivals:
        return _unmeasured("error_share", limit)
    wrong = min(sum(sum(run.errors.values()) for run in entry.runs), arrivals)
    now = share(wrong, arrivals)
    verdict: Verdict = "pass" if wrong == 0 else at_most(now, limit)
    wanted = f"at most {amount('errors', limit)}" if limit else "none"
    return _judgement(entry, "error_share", verdict, limit, now, f"{wrong} of {arrivals}; {wanted}")


def share(part: int, whole: int) -> Interval:
    """A share with its exact interval (Clopper and Pearson 1934), if arrivals are independent."""
    found = stats.binomtest(part, whole).proportion_ci(CONFIDENCE, method="exact")
    return Interval(part / whole, float(found.low), float(found.high), CONFIDENCE)


def at_most(now: Interval, limit: float) -> Verdict:
    """Whether a value is at most ``limit``, as far as its interval tells."""
    if now.low is None or now.high is None:
        return "inconclusive"
    return "pass" if now.high <= limit else "fail" if now.low > limit else "inconclusive"


def at_least(now: Interval, limit: float) -> Verdict:
    """Whether a value is at least ``limit``, as far as its interval tells."""
    if now.low is None or now.high is None:
        return "inconclusive"
    return "pass" if now.low >= limit else "fail" if now.high < limit else "inconclusive"


def _endless(repeated: Sequence[Number], limit: float) -> Verdict:
    """A mean that is endless: missed if no repetition met the limit."""
    over = [value is None or value > limit for value in repeated]
    return "fail" if over and all(over) else "inconclusive"


def _judgement(  # noqa: PLR0917 (the metric's figures)
    entry: Entry, metric: str, verdict: Verdict, limit: float, now: Interval, wanted: str
) -> Judgement:
    text = f"{title(metric)}: {interval(metric, now)}; {wanted}"
    if verdict == "inconclusive":
        text += f"; {no_interval(len(entry.runs)) if now.low is None else 'the limit is inside the interval'}"
    return Judgement("objective", metric, verdict, text, limit=limit, now=now)


def _unmeasured(metric: str, limit: float) -> Judgement:
    text = f"{title(metric)}: was not measured"
    return Judgement("objective", metric, "inconclusive", text, limit=limit)
