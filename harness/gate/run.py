"""The whole of ``wavetank gate``: check, measure, judge, report; or only judge an existing report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.core.errors import UsageError
from harness.core.progress import Progress
from harness.gate.comparison import BaselineFile
from harness.gate.document import document
from harness.gate.environment import TOPOLOGY, topology_sha256
from harness.gate.judge import Criteria, criteria, judge, judge_unmeasured
from harness.gate.model import Gate
from harness.gate.reading import read_report
from harness.load.result import ExperimentResult
from harness.run import report as reports
from harness.run import settings
from harness.run.settings import Choice
from harness.target.target import Target
from harness.topology import load
from harness.topology.model import Objectives

FAILED = 1


class Measure(Protocol):
    """Runs the load: ``harness.load.experiments.measure_for_gate``."""

    def __call__(
        self, choice: Choice, objectives: Objectives, *, repetitions: int, progress: Progress
    ) -> ExperimentResult:
        """Measure the latency that ``objectives`` name."""


class RunChecks(Protocol):
    """Runs the checks: :func:`harness.verify.runner.run_checks`."""

    def __call__(self, choice: Choice) -> int:
        """0 pass, 1 fail, 2 inconclusive; the report is written."""


@dataclass(frozen=True)
class GateSteps:
    """How a deployment is checked and measured; ``check`` None: it is not checked."""

    measure: Measure
    check: RunChecks | None
    repetitions: int
    progress: Progress


def run(choice: Choice, given: BaselineFile | None, steps: GateSteps) -> Gate:
    """Check a deployment, run the load, judge both, and add the result to the run's report.

    A deployment that failed its checks is not measured: its figures would mean nothing.
    Raises ``UsageError`` before anything is run if there is nothing to judge by, or no deployment.
    """
    held = criteria(settings.load_topology(choice), given, checks=steps.check is not None)
    target = settings.resolve_existing(choice, steps.progress)
    code = _checked(choice, steps)
    if code == FAILED:
        report = reports.read(choice.run_dir)
        judged = judge_unmeasured(report, held, "the checks failed")
    else:
        report = _measured(choice, held, steps, target)
        judged = judge(report, held, where=str(choice.run_dir.report))
    _add(choice, held, target, {"gate": document(judged)})
    return judged


def from_report(file: Path, topology: str | None, given: BaselineFile | None, *, checks: bool) -> Gate:
    """Judge a report without running anything; the report stays as it is.

    ``topology`` is a name or a file; default: the one that the report names.
    """
    report = read_report(file)
    held = criteria(load(topology_of(report, topology, file)), given, checks=checks)
    return judge(report, held, where=str(file))


def topology_of(report: dict[str, Any], given: str | None, where: Path) -> Path:
    """The file of a report's topology. Raises ``UsageError`` if it is unknown here and none is given."""
    try:
        return settings.topology_file(given or str(report.get("topology")))
    except UsageError as error:
        if given:
            raise
        raise UsageError(
            f"{where} has a topology that is not here; give its file with --topology: {error}"
        ) from error


def _checked(choice: Choice, steps: GateSteps) -> int:
    if steps.check is None:
        return 0
    with steps.progress.step("verify"):
        return steps.check(choice)


def _measured(choice: Choice, held: Criteria, steps: GateSteps, target: Target) -> dict[str, Any]:
    """Measure, and add the entry to the report's ``load``."""
    with steps.progress.step("load"):
        found = steps.measure(choice, held.objectives, repetitions=steps.repetitions, progress=steps.progress)
    entry = found.document()
    entry["environment"] = {**entry["environment"], TOPOLOGY: topology_sha256(held.topology.file)}
    before = reports.read(choice.run_dir).get("load", []) if choice.run_dir.report.exists() else []
    others = [each for each in before if not _is_same(each, entry)]
    return _add(choice, held, target, {"load": [*others, entry]})


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two entries are of one measurement: it may have been added already."""
    return all(one.get(key) == other.get(key) for key in ("experiment", "began"))


def _add(choice: Choice, held: Criteria, target: Target, sections: dict[str, Any]) -> dict[str, Any]:
    """Add sections to the run's report; the rest stays."""
    before = reports.read(choice.run_dir) if choice.run_dir.report.exists() else {}
    return reports.update(
        choice.run_dir,
        target=target,
        topology=held.topology.name,
        sections=sections,
        error=before.get("error"),
    )
