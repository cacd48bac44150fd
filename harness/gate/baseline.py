"""Baselines: the results of a report, saved for later comparisons in a small file for the repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.gate.environment import environment_of
from harness.gate.key import key_of, workload_sha256
from harness.gate.reading import BASELINE, Baseline, Entry, Environment, entries
from harness.gate.words import METRICS, interval, title
from harness.load.stats.interval import t_interval
from harness.run.report import write

ENOUGH = 2  # repetitions: a single one says nothing about the noise


def make(report: Mapping[str, Any], *, where: str, topology: str, forced: str = "") -> dict[str, Any]:
    """The baseline of a report, as JSON. ``topology`` is the hash of its topology's content.

    ``forced`` is the reason for saving partial, inconclusive or failed results; without it they are refused.
    Raises ``UsageError``, also for a report without load results.
    """
    found = [each for each in _latest(entries(report, where)) if each.samples]
    if not found:
        raise UsageError(f"{where} has no load result to save: measure one with `wavetank bench latency`")
    wrong = list(_wrong(report, found))
    if wrong and not forced:
        reasons = "\n  ".join(wrong)
        raise UsageError(
            f"{where} is not a good baseline:\n  {reasons}\n"
            "  remedy: measure again, or save it anyway with --force 'REASON'"
        )
    return {
        "schema": BASELINE,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": str(report.get("run", "")),
        "environment": _environment(report, found, topology, where).model_dump(),
        "experiments": [_kept(each) for each in found],
        "forced": forced if wrong else "",
    }


def save(file: Path, document: Mapping[str, Any]) -> None:
    """Write a baseline in one step. Raises ``UsageError`` if it cannot be written."""
    try:
        write(file, document)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


def show(baseline: Baseline) -> str:
    """A baseline in a few lines for people."""
    at = baseline.environment
    lines = [
        f"saved {baseline.saved} of run {baseline.run} ({at.topology} on {at.target})",
        f"kernel {at.kernel or 'unknown'}, {at.cores or 'unknown number of'} cores",
    ]
    if baseline.forced:
        lines.append(f"saved although it did not pass: {baseline.forced}")
    for each in baseline.experiments:
        lines.append(f"{key_of(each)}: {each.verdict}")
        lines += [f"  {line}" for line in _figures(each.samples)]
    return "\n".join(lines)


def _figures(samples: Mapping[str, Sequence[float | None]]) -> Iterator[str]:
    for metric in METRICS:
        known = [value for value in samples.get(metric, ()) if value is not None]
        if known:
            yield f"{title(metric)}: {interval(metric, t_interval(known))}, {len(known)} repetitions"


def _latest(found: Sequence[Entry]) -> list[Entry]:
    """The last of each key."""
    return [
        each
        for index, each in enumerate(found)
        if not any(key_of(later).matches(key_of(each)) for later in found[index + 1 :])
    ]


def _wrong(report: Mapping[str, Any], found: Sequence[Entry]) -> Iterator[str]:
    if report.get("verdict") == "fail":
        yield "the run's checks failed"
    for each in found:
        for why in _why_not(each):
            yield f"{key_of(each)}: {why}"


def _why_not(entry: Entry) -> Iterator[str]:
    partial = entry.partial or next((run.partial for run in entry.runs if run.partial), "")
    if partial:
        yield f"it is partial: {partial}"
    if entry.verdict != "pass":
        yield f"its verdict is {entry.verdict}: {'; '.join(entry.doubts) or entry.told}"
    fewest = min(len(values) for values in entry.samples.values())
    if fewest < ENOUGH:
        yield f"{fewest} repetitions say nothing about the noise; it takes {ENOUGH}, better 5 or more"


def _environment(report: Mapping[str, Any], found: Sequence[Entry], topology: str, where: str) -> Environment:
    """Where all of it was measured. Raises ``UsageError`` if that is not one environment."""
    all_of_them = [environment_of(report, each, topology) for each in found]
    if any(each != all_of_them[0] for each in all_of_them):
        raise UsageError(f"{where} has loads of several environments: measure all of them in one")
    return all_of_them[0]


def _kept(entry: Entry) -> dict[str, Any]:
    key = key_of(entry)
    return {
        **entry.model_dump(
            include={
                "experiment",
                "verdict",
                "told",
                "began",
                "workload",
                "route",
                "samples",
                "doubts",
                "partial",
            }
        ),
        "workload_sha256": workload_sha256(entry.workload),
        "rate": key.rate,
        "histograms": [run.stages["total"].hdr for run in entry.runs if "total" in run.stages],
    }
