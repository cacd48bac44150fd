"""The gate as a whole over a deployment that is played: checks, load, judgement and report, in that order."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gate_samples import PASSED, SAME, SLOWER, STANDARD, found, report, standard, write

from harness.core.errors import UsageError, WavetankError
from harness.core.progress import Progress
from harness.gate.baseline import make
from harness.gate.comparison import BaselineFile, read_baseline_file
from harness.gate.environment import topology_sha256
from harness.gate.model import Gate
from harness.gate.run import GateSteps, run
from harness.load.result import ExperimentResult
from harness.run import report as reports
from harness.run import settings
from harness.run.rundir import RunDir
from harness.run.settings import Choice, Settings
from harness.target.target import Target
from harness.topology.model import Objectives

TARGET = Target("local", "https://127.0.0.1:1", "token-of-ours", info={})


@dataclass
class Played:
    """A deployment: what its checks and its load will come to, and what was asked of it."""

    choice: Choice
    outcome: str = "passed"
    code: int = 0
    load: ExperimentResult = field(default_factory=lambda: found(SAME))
    asked: list[str] = field(default_factory=list)

    def check(self, choice: Choice) -> int:
        """Write a report with one check."""
        self.asked.append("checks")
        check = reports.Check("gates.x", self.outcome, "no answer")  # type: ignore[arg-type]
        reports.update(choice.run_dir, target=TARGET, topology="standard", checks=[check])
        return self.code

    def measure(
        self, choice: Choice, objectives: Objectives, *, repetitions: int, progress: Progress
    ) -> ExperimentResult:
        """Come to what was prepared."""
        self.asked.append(f"{objectives.workload} at {objectives.rate:g}, {repetitions} times")
        return self.load

    def gate(self, given: BaselineFile | None = None, *, verify: bool = True) -> Gate:
        """Run it."""
        steps = GateSteps(self.measure, self.check if verify else None, 5, Progress(quiet=True))
        return run(self.choice, given, steps)

    @property
    def report(self) -> dict[str, Any]:
        """What is on disk afterwards."""
        return reports.read(self.choice.run_dir)


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """A run that is up, as far as anybody asks."""
    monkeypatch.setattr(settings, "load_topology", lambda _choice: standard())
    monkeypatch.setattr(settings, "resolve_existing", lambda *_: TARGET)
    run_dir = RunDir(tmp_path, "standard-7f3a")
    run_dir.create()
    return Played(Choice("local", str(STANDARD), None, run_dir, Settings(state_dir=tmp_path)))


def kept(tmp_path: Path) -> BaselineFile:
    """A baseline of the steady load."""
    document = make(report(found()), where="r", topology=topology_sha256(STANDARD))
    return read_baseline_file(write(tmp_path / "baseline.json", document))


def test_checks_come_before_the_load_and_both_are_judged(played: Played, tmp_path: Path) -> None:
    """Each asked once, and the result is in the report beside the load it is of."""
    gate = played.gate(kept(tmp_path))
    assert played.asked == ["checks", "hello at 4, 5 times"]
    assert gate.verdict == "pass"
    assert {each.kind for each in gate.judgements} == {"checks", "measurement", "objective", "baseline"}
    assert played.report["gate"]["verdict"] == "pass"
    assert len(played.report["load"]) == 1
    assert played.report["checks"][0]["outcome"] == "passed"


def test_the_load_remembers_which_topology_it_was_of(played: Played) -> None:
    """So that a baseline saved later is of what was measured, whatever the file says by then."""
    played.gate()
    (entry,) = played.report["load"]
    assert entry["environment"]["topology_sha256"] == topology_sha256(STANDARD)


def test_a_worse_load_fails(played: Played, tmp_path: Path) -> None:
    """And the run's own verdict, which is its checks', stays."""
    played.load = found(SLOWER)
    assert played.gate(kept(tmp_path)).verdict == "fail"
    assert played.report["gate"]["verdict"] == "fail"
    assert played.report["verdict"] == "pass"


def test_what_failed_its_checks_is_not_measured(played: Played) -> None:
    """The reason is in the result."""
    played.outcome, played.code = "failed", 1
    gate = played.gate()
    assert played.asked == ["checks"]
    assert gate.verdict == "fail"
    assert [each.told for each in gate.judgements][1] == "not measured: the checks failed"
    assert "load" not in played.report


def test_what_is_in_doubt_is_measured_all_the_same(played: Played) -> None:
    """A doubt about a check is none about the load."""
    played.outcome, played.code = "inconclusive", 2
    assert played.gate().verdict == "inconclusive"
    assert len(played.report["load"]) == 1


def test_without_checks_only_the_load_is_judged(played: Played) -> None:
    """A run that was never checked has no report yet; then there is one."""
    gate = played.gate(verify=False)
    assert gate.verdict == "pass"
    assert {each.kind for each in gate.judgements} == {"measurement", "objective"}
    assert "checks were skipped" in gate.notes


def test_what_the_report_said_before_stays(played: Played) -> None:
    """Earlier loads, other sections, and an error."""
    before = report(
        found(experiment="soak", began="2026-01-01T00:00:00+00:00"),
        notes=["a note"],
        error="the network changed",
        checks=[PASSED],
    )
    played.choice.run_dir.report.write_text(json.dumps(before))
    played.gate(verify=False)
    assert [each["experiment"] for each in played.report["load"]] == ["soak", "latency"]
    assert played.report["notes"] == ["a note"]
    assert played.report["error"] == "the network changed"


def test_a_load_that_is_in_the_report_already_is_there_once(played: Played) -> None:
    """Whoever measures may have added it, without the topology's hash."""

    def measure(choice: Choice, objectives: Objectives, **_: object) -> ExperimentResult:
        reports.update(
            choice.run_dir, target=TARGET, topology="standard", sections={"load": [played.load.document()]}
        )
        return played.load

    run(played.choice, None, GateSteps(measure, None, 5, Progress(quiet=True)))
    (entry,) = played.report["load"]
    assert entry["environment"]["topology_sha256"]


def test_nothing_is_run_where_nothing_could_be_judged(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes of checks are not spent on a missing section."""
    monkeypatch.setattr(settings, "load_topology", lambda _choice: standard(None))
    with pytest.raises(UsageError, match="has no objectives"):
        played.gate()
    assert played.asked == []


def test_a_load_that_cannot_be_put_on_ends_it(played: Played) -> None:
    """With the reason, and without a verdict that nobody came to."""

    def refuse(*_: object, **__: object) -> ExperimentResult:
        raise WavetankError("the front door refuses connections")

    steps = GateSteps(refuse, played.check, 5, Progress(quiet=True))
    with pytest.raises(WavetankError, match="refuses connections"):
        run(played.choice, None, steps)
    assert "gate" not in played.report
