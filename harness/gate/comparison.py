"""Compare a measurement with a baseline, by the test in ``harness.load.stats.compare``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, Protocol

from harness.gate.environment import differences
from harness.gate.key import key_of, listed
from harness.gate.model import Judgement, doubted
from harness.gate.reading import Baseline, Entry, Environment, Experiment, Number, Stored, read_baseline
from harness.gate.words import METRICS, title
from harness.load.stats.compare import Comparison
from harness.load.stats.compare import compare as by_ranks
from harness.run.report import Verdict

Bad = Literal["higher", "lower"]

# At a given rate, throughput is just what arrives. Slower or failing submissions show in latency and errors.
COMPARED = tuple(metric for metric in METRICS if metric != "throughput")
NEEDED = {"p50_ms": 2, "p95_ms": 20, "p99_ms": 100}

VERDICTS: Mapping[str, Verdict] = {
    "better": "pass",
    "same": "pass",
    "worse": "fail",
    "undecided": "inconclusive",
}


class Compare(Protocol):
    """How two sets of repetitions are compared: :func:`harness.load.stats.compare.compare`."""

    def __call__(
        self,
        baseline: Mapping[str, Sequence[float]],
        fresh: Mapping[str, Sequence[float]],
        *,
        worse_is: Mapping[str, Bad],
        relevant: float = 0.1,
    ) -> tuple[Comparison, ...]:
        """A comparison for each metric of ``worse_is``."""


@dataclass(frozen=True)
class BaselineFile:
    """A baseline to compare with. ``accept``: results of another environment count, too."""

    file: Path
    baseline: Baseline
    accept: bool = False


def read_baseline_file(file: Path, *, accept: bool = False) -> BaselineFile:
    """The baseline in a file. Raises ``UsageError`` if it is not one."""
    return BaselineFile(file, read_baseline(file), accept)


def compare_with_baseline(
    given: BaselineFile, entry: Entry, now: Environment, relevant: float, compare: Compare = by_ranks
) -> tuple[Judgement, ...]:
    """Whether the two are comparable, and a judgement for each metric that both have."""
    stored = _same(given.baseline, entry)
    if stored is None:
        text = f"the baseline has no {key_of(entry)}; it has {listed(given.baseline.experiments)}"
        return (Judgement("baseline", "comparable", "inconclusive", text),)
    differing = differences(given.baseline.environment, now, stored, entry)
    first = _comparable(differing, too_few(entry), accept=given.accept)
    judged = _metrics(stored, entry, relevant, compare)
    if first.verdict != "pass":
        judged = tuple(doubted(each, "the two are not comparable") for each in judged)
    return (first, *judged)


def _same(baseline: Baseline, entry: Entry) -> Stored | None:
    """The latest of the baseline's experiments that is the same as this one."""
    wanted = key_of(entry)
    found = [each for each in baseline.experiments if key_of(each).matches(wanted)]
    return found[-1] if found else None


def _comparable(differing: Sequence[str], left_out: Mapping[str, int], *, accept: bool) -> Judgement:
    reasons = [
        f"{title(name)} is not: it needs {needed} arrivals in each run" for name, needed in left_out.items()
    ]
    if not differing:
        return _first("pass", ["measured in the same environment", *reasons])
    if accept:
        return _first("pass", [f"accepted although it differs: {'; '.join(differing)}", *reasons])
    return _first("inconclusive", [*differing, "save a new baseline here, or use --accept-environment"])


def _first(verdict: Verdict, reasons: Sequence[str]) -> Judgement:
    return Judgement("baseline", "comparable", verdict, "; ".join(reasons))


def _metrics(stored: Stored, entry: Entry, relevant: float, compare: Compare) -> tuple[Judgement, ...]:
    left_out = too_few(entry)
    old, new = (
        {metric: found for metric, found in values(side).items() if metric not in left_out}
        for side in (stored, entry)
    )
    worse_is: dict[str, Bad] = {metric: "higher" for metric in COMPARED if metric in old and metric in new}
    found = compare(old, new, worse_is=worse_is, relevant=relevant) if worse_is else ()
    judged = {
        each.metric: _judgement(each, relevant, relative=median(old[each.metric]) > 0) for each in found
    }
    missing = [metric for metric in COMPARED if (metric in old) != (metric in new)]
    judged |= {
        metric: _one_sided(metric, "the baseline" if metric in new else "this run") for metric in missing
    }
    if not judged:
        return (Judgement("baseline", "samples", "inconclusive", "there is no metric to compare"),)
    return tuple(judged[metric] for metric in COMPARED if metric in judged)


def too_few(entry: Entry) -> dict[str, int]:
    """Quantiles that no repetition can estimate, and the arrivals they need: one beyond the quantile.

    With fewer it is just the slowest of all, which is noise.
    """
    fewest = min((run.arrivals for run in entry.runs), default=0)
    return {metric: needed for metric, needed in NEEDED.items() if fewest < needed}


def values(experiment: Experiment) -> dict[str, tuple[float, ...]]:
    """Each metric's value in each repetition; a missing value counts as the worst possible."""
    return {
        metric: tuple(_worst_if_missing(metric, each) for each in experiment.samples[metric])
        for metric in COMPARED
        if experiment.samples.get(metric)
    }


def _worst_if_missing(metric: str, value: Number) -> float:
    if value is not None:
        return value
    return math.inf if metric.endswith("_ms") else 1.0


def _judgement(found: Comparison, relevant: float, *, relative: bool) -> Judgement:
    harmless = found.verdict == "undecided" and _is_harmless(found, relevant if relative else 0.0)
    text = f"{found.told}; in any case it is not worse by {relevant:.0%}" if harmless else found.told
    return Judgement(
        "baseline",
        found.metric,
        "pass" if harmless else VERDICTS[found.verdict],
        text.replace(found.metric, title(found.metric), 1),
        baseline=found.baseline,
        now=found.fresh,
        change=found.shift,
        relative=relative,
        p_value=found.p_value,
    )


def _is_harmless(found: Comparison, bound: float) -> bool:
    """Whether the shift's whole interval is better or the same, with respect to what matters.

    That is all that a gate asks; which of the two it is may stay open.
    """
    return found.shift.high is not None and found.shift.high <= bound


def _one_sided(metric: str, where: str) -> Judgement:
    return Judgement("baseline", metric, "inconclusive", f"{title(metric)}: {where} does not have it")
