"""What the gate and the baseline refuse, and what they say that would be right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gate_desk import Desk, Wavetank
from gate_samples import SAME, found, report, run, standard, write

from harness.gate import run as flow
from harness.topology.model import Objectives

# What is written where a baseline should be, and what is said of it.
NOT_BASELINES = {
    "no JSON": ("hello", "is not a baseline: Expecting value"),
    "cut off": ('{"schema": "wavetank/baseline/v1", "saved": "20', "is not a baseline: Unterminated string"),
    "a list": ("[]", "it is not a JSON object"),
    "a report": (json.dumps(report()), "its schema is 'wavetank/report/v1', not 'wavetank/baseline/v1'"),
    "of a later version": ('{"schema": "wavetank/baseline/v2"}', "its schema is 'wavetank/baseline/v2'"),
    "hollow": ('{"schema": "wavetank/baseline/v1"}', "experiments: Field required"),
}


@pytest.mark.parametrize("case", NOT_BASELINES.values(), ids=NOT_BASELINES.keys())
@pytest.mark.parametrize("command", [("gate", "--baseline"), ("baseline", "show")])
def test_what_is_no_baseline_is_refused(
    wavetank: Wavetank, tmp_path: Path, command: tuple[str, ...], case: tuple[str, str]
) -> None:
    """Before anything is run, with the file and what is wrong with it."""
    text, problem = case
    file = tmp_path / "baseline.json"
    file.write_text(text)
    done = wavetank(*command, file)
    assert done.code == 4
    assert str(file) in done.err
    assert problem in done.err
    assert done.out == ""


def test_a_baseline_that_is_not_there_is_refused(wavetank: Wavetank, tmp_path: Path) -> None:
    """With how to make one."""
    done = wavetank("gate", f"--baseline={tmp_path / 'none.json'}")
    assert done.code == 4
    assert "none.json: cannot be read: No such file" in done.err
    assert "`wavetank baseline save` writes one" in done.err


def test_a_wrong_field_of_a_baseline_is_named(desk: Desk) -> None:
    """Each, by its path."""
    broken = json.loads(desk.baseline.read_text())
    broken["experiments"][0]["samples"]["p95_ms"][2] = "fast"
    del broken["environment"]["target"]
    write(desk.baseline, broken)
    done = desk.gate(report(found()))
    assert done.code == 4
    assert f"{desk.baseline}: experiments[0].samples.p95_ms[2]: " in done.err
    assert f"{desk.baseline}: environment.target: Field required" in done.err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": "wavetank/report/v9"}, "is not a report: its schema is 'wavetank/report/v9'"),
        ({"load": {}}, "load: should be a list"),
        ({"load": [{"experiment": "latency"}]}, "load[0]: verdict: Field required"),
        ({"topology": "swarm"}, "is of topology 'swarm', the objectives are those of 'standard'"),
        ({"topology": "mine"}, "give its file with --topology: unknown topology 'mine'"),
        ({"load": []}, "has no latency of 'hello' at 4/s, as objectives name it; it has none"),
    ],
)
def test_a_report_that_cannot_be_judged_is_refused(desk: Desk, change: dict[str, Any], problem: str) -> None:
    """With what it lacks."""
    done = desk.alone(report(found(), **change))
    assert done.code == 4
    assert problem in done.err
    assert "report.json" in done.err


@pytest.mark.parametrize(
    "other", [{"experiment": "soak"}, {"objective": {"rate": 9.0}}, {"workload": {"name": "mix"}}]
)
def test_a_report_with_other_loads_says_which(desk: Desk, other: dict[str, Any]) -> None:
    """So that a typo in the objectives is seen at once."""
    done = desk.alone(report(found(**other)))
    assert done.code == 4
    assert "at 4/s, as objectives name it; it has " in done.err


def test_a_topology_without_objectives_has_no_gate(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where they go."""
    monkeypatch.setattr(flow, "load", lambda _file: standard(None))
    done = desk.alone(report(found()))
    assert done.code == 4
    assert "standard.yaml has no objectives: write the limits under 'objectives:'" in done.err


def test_without_limits_there_must_be_a_baseline(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing would be judged; with one, that is enough."""
    monkeypatch.setattr(flow, "load", lambda _file: standard(Objectives("hello", 4.0)))
    done = desk.alone(report(found()))
    assert done.code == 4
    assert "they have no limit and there is no --baseline" in done.err
    assert desk.gate(report(found(SAME))).code == 0


def test_accepting_without_a_baseline_is_refused(desk: Desk) -> None:
    """There is nothing to accept."""
    done = desk.alone(report(found()), "--accept-environment")
    assert done.code == 4
    assert "give it with --baseline" in done.err


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_a_result_that_cannot_be_written_is_an_error(desk: Desk, option: str) -> None:
    """Not a silent pass."""
    done = desk.alone(report(found()), f"{option}={desk.directory / 'none' / 'file'}")
    assert done.code == 4
    assert "cannot be written: No such file" in done.err


# What is wrong with a report, and what is said of it.
NO_GOOD = {
    "partial": (report(found(partial="stopped by SIGINT")), "it is partial: stopped by SIGINT"),
    "a partial run": (report(found(runs=(run(0, partial="server died"),))), "it is partial: server died"),
    "inconclusive": (report(found(verdict="inconclusive", doubts=("noisy",))), "is inconclusive: noisy"),
    "failed": (report(found(verdict="fail", told="p95 too slow")), "its verdict is fail: p95 too slow"),
    "failed checks": (report(found(), verdict="fail"), "the run's checks failed"),
    "one repetition": (report(found((800.0,))), "1 repetitions say nothing about the noise"),
}


@pytest.mark.parametrize("case", NO_GOOD.values(), ids=NO_GOOD.keys())
def test_no_good_result_becomes_a_baseline(desk: Desk, case: tuple[dict[str, Any], str]) -> None:
    """Unless somebody says why, which is kept and told again."""
    made, problem = case
    refused = desk.save(made)
    assert refused.code == 4
    assert problem in refused.err
    assert "--force 'REASON'" in refused.err
    assert not (desk.directory / "other.json").exists()
    assert desk.save(made, "--force=nothing better yet").code == 0
    file = desk.directory / "other.json"
    assert json.loads(file.read_text())["forced"] == "nothing better yet"
    judged = desk.alone(report(found(SAME)), f"--baseline={file}")
    assert "the baseline was saved although it did not pass: nothing better yet" in judged.document["notes"]


def test_force_without_a_reason_forces_nothing(desk: Desk) -> None:
    """Blanks are no reason."""
    assert desk.save(report(found(partial="cut")), "--force= ").code == 4


def test_a_report_without_a_load_makes_no_baseline(desk: Desk) -> None:
    """Not even by force."""
    done = desk.save(report(), "--force=why not")
    assert done.code == 4
    assert "has no load result to save" in done.err


def test_loads_of_several_environments_make_no_baseline(desk: Desk) -> None:
    """A baseline has one."""
    elsewhere = found(experiment="soak", environment={"cores": 64})
    done = desk.save(report(found(), elsewhere))
    assert done.code == 4
    assert "several environments" in done.err
