"""Everything that is judged of one report: its checks, the load, its limits, and a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from harness.core.errors import UsageError
from harness.gate.comparison import BaselineFile, compare_with_baseline
from harness.gate.environment import environment_of, topology_sha256
from harness.gate.key import listed, rate_of, same_rate
from harness.gate.limits import has_limits, judge_limits
from harness.gate.model import Gate, Judgement, doubted
from harness.gate.reading import Entry, entries
from harness.load.workload import load_workload
from harness.run import report as reports
from harness.run.report import Outcome
from harness.topology.model import Objectives, Topology
from harness.topology.validation.objectives import is_file

SHOWN = 5
EXPERIMENT = "latency"


@dataclass(frozen=True)
class Criteria:
    """What a report is judged by. ``checks``: its checks count, too."""

    topology: Topology
    objectives: Objectives
    baseline: BaselineFile | None = None
    checks: bool = True


def criteria(topology: Topology, given: BaselineFile | None, *, checks: bool) -> Criteria:
    """The terms of a topology. Raises ``UsageError`` if there is nothing to judge by."""
    objectives = topology.objectives
    if objectives is None:
        raise UsageError(
            f"{topology.file} has no objectives: write the limits under 'objectives:', as docs/gate.md shows"
        )
    if given is None and not has_limits(objectives):
        raise UsageError(
            f"{topology.file}: objectives: they have no limit and there is no --baseline: "
            "add p95_ms, p99_ms, errors or throughput"
        )
    return Criteria(topology, objectives, given, checks)


def judge(report: Mapping[str, Any], given: Criteria, *, where: str) -> Gate:
    """Judge a report with a load. Raises ``UsageError`` if that is not the load of ``objectives``."""
    if report.get("topology") != given.topology.name:
        raise UsageError(
            f"{where} is of topology {report.get('topology')!r}, the objectives are those of "
            f"{given.topology.name!r}: give the right one with --topology"
        )
    entry = wanted(entries(report, where), given.objectives, where)
    checked = (judge_checks(report),) if given.checks else ()
    return _gate(report, given, (*checked, *judge_load(report, entry, given)), notes(entry, given))


def judge_unmeasured(report: Mapping[str, Any], given: Criteria, why: str) -> Gate:
    """Judge a report that has only checks."""
    missing = Judgement("measurement", EXPERIMENT, "inconclusive", f"not measured: {why}")
    return _gate(report, given, (judge_checks(report), missing), ())


def _gate(
    report: Mapping[str, Any], given: Criteria, judgements: tuple[Judgement, ...], notes: tuple[str, ...]
) -> Gate:
    file = str(given.baseline.file) if given.baseline else ""
    run, target = str(report.get("run", "")), str(report.get("target", ""))
    return Gate(run, target, given.topology.name, judgements, file, notes)


def judge_checks(report: Mapping[str, Any]) -> Judgement:
    """All of a report's checks as one judgement."""
    checks, error = report.get("checks") or [], report.get("error")
    counts = {name: sum(each["outcome"] == name for each in checks) for name in get_args(Outcome)}
    text = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing was checked"
    wrong = [
        f"{each['id']}: {each['reason']}" for each in checks if each["outcome"] in ("failed", "inconclusive")
    ]
    more = [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    reasons = [*([str(error)] if error else []), *wrong[:SHOWN], *more]
    return Judgement("checks", "checks", reports.verdict(checks, error), "; ".join([text, *reasons]))


def wanted(found: Sequence[Entry], objectives: Objectives, where: str) -> Entry:
    """The latest load that matches ``objectives``. Raises ``UsageError``."""
    name = workload_name(objectives)
    same = [
        each
        for each in found
        if each.experiment == EXPERIMENT
        and each.workload.name == name
        and same_rate(rate_of(each), objectives.rate)
    ]
    if not same:
        raise UsageError(
            f"{where} has no {EXPERIMENT} of {name!r} at {objectives.rate:g}/s, as objectives name it; "
            f"it has {listed(found)}. `wavetank bench {EXPERIMENT}`, or `wavetank gate` without --from, "
            "makes one"
        )
    return same[-1]


def workload_name(objectives: Objectives) -> str:
    """The workload's name in the report: for a file, the name in it."""
    given = objectives.workload
    return load_workload(Path(given)).name if is_file(given) else given


def judge_load(report: Mapping[str, Any], entry: Entry, given: Criteria) -> tuple[Judgement, ...]:
    """The measurement itself, then its results. The results of a doubtful measurement have no verdict."""
    first = judge_measurement(entry)
    shown = tuple(_shown(report, entry, given))
    if first.verdict != "pass":
        shown = tuple(doubted(each, "the measurement itself is in doubt") for each in shown)
    return (first, *shown)


def _shown(report: Mapping[str, Any], entry: Entry, given: Criteria) -> Iterator[Judgement]:
    yield from judge_limits(entry, given.objectives)
    if given.baseline is not None:
        now = environment_of(report, entry, topology_sha256(given.topology.file))
        yield from compare_with_baseline(given.baseline, entry, now, given.objectives.worse_by)


def judge_measurement(entry: Entry) -> Judgement:
    """Whether the load was as planned: complete, and not limited by the generator.

    A wide interval is no doubt of this kind: limits are compared with intervals.
    """
    doubts = list(dict.fromkeys(_doubts(entry)))
    if doubts:
        return Judgement("measurement", entry.experiment, "inconclusive", "; ".join(doubts))
    arrivals = sum(run.arrivals for run in entry.runs)
    return Judgement(
        "measurement", entry.experiment, "pass", f"{arrivals} arrivals in {len(entry.runs)} runs"
    )


def _doubts(entry: Entry) -> Iterator[str]:
    if not entry.runs:
        yield "there is no run in it"
    for partial in (entry.partial, *(run.partial for run in entry.runs)):
        if partial:
            yield f"partial: {partial}"
    for run in entry.runs:
        yield from run.doubts


def notes(entry: Entry, given: Criteria) -> tuple[str, ...]:
    """Notes: doubts that intervals account for, and a baseline that was saved with --force."""
    of_runs = {doubt for run in entry.runs for doubt in run.doubts}
    found = [doubt for doubt in entry.doubts if doubt not in of_runs]
    if given.baseline and given.baseline.baseline.forced:
        found.append(f"the baseline was saved although it did not pass: {given.baseline.baseline.forced}")
    if not given.checks:
        found.append("checks were skipped")
    return tuple(found)
