"""up, status, down, sweep and run on an emulator without machines: what they leave, say and exit with."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from report_schema import validator
from tests_cli import Outcome, Stage

from harness.core import signals
from harness.core.errors import ResourceError
from harness.core.signals import Stopped
from harness.deploy import DeployResult
from harness.run import report
from harness.run import run as flow
from harness.run import up as up_flow
from harness.run.settings import PROJECT, Choice
from harness.target.target import Target
from harness.topology.model import Topology


def call(stage: Stage, command: str, *arguments: object) -> Outcome:
    """A command on the stage's target."""
    return stage.wavetank(command, "--target=do", f"--state-dir={stage.state_dir}", *arguments)


def up(stage: Stage, *arguments: object) -> Outcome:
    """``wavetank up`` with everything agreed to."""
    return call(stage, "up", "--yes", *arguments)


def status(stage: Stage) -> dict[str, Any]:
    """What ``wavetank status`` says."""
    document: dict[str, Any] = json.loads(call(stage, "status", "-o", "json").out)
    return document


def written(stage: Stage) -> dict[str, Any]:
    """The newest report."""
    document: dict[str, Any] = json.loads((stage.state_dir / "latest" / "report.json").read_text())
    validator().validate(document)
    return document


def fail(*_: object, **__: object) -> DeployResult:
    """A deployer that fails."""
    raise ResourceError("service", "runner@runner", "is not healthy")


def test_up_then_down(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``up`` everything of the topology is there, after ``down`` nothing."""
    first = up(stage)
    assert first.code == 0, first.err
    shown = status(stage)
    assert shown["healthy"]
    assert {each["name"] for each in shown["droplets"]} >= {"client", "runner", "worker-2"}
    monkeypatch.setattr("webbrowser.open", lambda _: False)
    page = call(stage, "report", "--open")
    assert (page.code, "open " + page.out.strip() in page.err) == (3, True), page.err
    other = call(stage, "status", "--run=other")
    assert (other.code, f"existing runs: {shown['run']}" in other.err) == (4, True)
    gone = call(stage, "down", "--yes")
    assert gone.code == 0, gone.err
    assert status(stage) == {"run": None, "runs": []}


def test_second_up_changes_nothing(stage: Stage) -> None:
    """A second ``up`` works on the same run and finds nothing to do."""
    up(stage, "--run=again")
    second = up(stage, "-o", "json")
    document = json.loads(second.out)
    assert (document["run"], document["changes"]) == ("again", [])


def test_the_application_of_an_earlier_up_is_deployed_and_named(stage: Stage, tmp_path: Path) -> None:
    """Whoever does not know of it would think that the topology's own is deployed."""
    deployed, deploy = [], stage.deploy

    def observed(target: Target, topology: Topology, *rest: Any, **options: Any) -> DeployResult:
        deployed.append(topology.app)
        return deploy(target, topology, *rest, **options)

    stage.deploy = observed
    mine = tmp_path / "mine"
    shutil.copytree(PROJECT / "topologies" / "app", mine)
    assert "--app of an earlier" not in up(stage, "--run=mine", f"--app={mine}").err
    again = up(stage)
    assert (again.code, deployed) == (0, [mine, mine]), again.err
    assert f"the application is {mine}, as --app of an earlier `up` of mine said" in again.err


def test_a_topology_without_an_application_of_its_own_needs_app_once(stage: Stage, tmp_path: Path) -> None:
    """The first ``up`` is told where it is; a second one finds it again."""
    mine = tmp_path / "mine"
    shutil.copytree(PROJECT / "topologies" / "app", mine)
    text = (PROJECT / "topologies" / "standard.yaml").read_text()
    topology = tmp_path / "mine.yaml"
    topology.write_text(text.replace("\napp: app\n", "\napp: nowhere\n"))
    assert up(stage, f"--topology={topology}", f"--app={mine}").code == 0
    again = up(stage, f"--topology={topology}", "-o", "json")
    assert (again.code, json.loads(again.out)["changes"]) == (0, []), again.err


def test_dry_run_shows_and_makes_nothing(stage: Stage) -> None:
    """``--dry-run`` names every change with a reason; afterwards there still is nothing."""
    shown = json.loads(up(stage, "--dry-run", "-o", "json").out)
    assert {each["action"] for each in shown["changes"]} == {"create"}
    assert all(each["reason"] for each in shown["changes"])
    assert status(stage)["runs"] == []


def test_dry_run_shows_how_files_of_the_application_change(stage: Stage, tmp_path: Path) -> None:
    """With made-up addresses until the droplets have theirs."""
    text = (PROJECT / "topologies" / "standard.yaml").read_text()
    template = "files:\n      nginx.conf: judge0-lb/nginx.conf.j2\n"
    assert text.count(template) == 1
    topology = tmp_path / "mine.yaml"
    changed = text.replace(template, "upstreams: {nginx.conf: {judge0-server: judge0-server}}\n")
    topology.write_text(changed.replace("\napp: app\n", f"\napp: {PROJECT}/topologies/app\n"))
    dry = up(stage, f"--topology={topology}", "--dry-run")
    assert "-        server judge0-server:2358 max_fails=1 fail_timeout=5s;\n" in dry.out
    assert "+        server 10.0.0.4:2358 max_fails=1 fail_timeout=5s;\n" in dry.out
    assert dry.out.endswith("# not deployed: the addresses in these files are made up\n")
    assert up(stage, f"--topology={topology}").code == 0
    (file,) = json.loads(up(stage, f"--topology={topology}", "--dry-run", "-o", "json").out)["files"]
    assert (file["service"], file["nodes"], file["file"]) == ("judge0-lb", ["judge0-lb"], "nginx.conf")
    addresses = {each["name"]: each["addresses"]["private"] for each in status(stage)["droplets"]}
    for server in ("server-1", "server-2"):
        assert f"+        server {addresses[server]}:2358 max_fails=1 fail_timeout=5s;\n" in file["diff"]


def test_a_failed_up_is_taken_down_and_reported(stage: Stage) -> None:
    """When a step fails, the exit code is 3, the reason is told, and nothing is left but the report."""
    stage.deploy = fail
    done = up(stage)
    assert done.code == 3
    assert "service 'runner@runner': is not healthy" in done.err
    assert status(stage)["runs"] == []
    assert (written(stage)["verdict"], written(stage)["error"]) == (
        "fail",
        "service 'runner@runner': is not healthy",
    )


def test_keep_leaves_a_failure_for_inspection(stage: Stage) -> None:
    """With ``--keep`` what was made stays."""
    stage.deploy = fail
    assert up(stage, "--keep", "--run=kept").code == 3
    assert status(stage)["run"] == "kept"


def test_a_run_that_stood_before_survives_a_failed_up(stage: Stage) -> None:
    """Bringing an existing run up to date may fail, but never takes it down."""
    up(stage, "--run=old")
    stage.deploy = fail
    assert up(stage).code == 3
    assert status(stage)["run"] == "old"


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_cleans_up(stage: Stage, number: int, code: int) -> None:
    """Stopped in the middle, ``up`` takes down what it began and says which signal it was."""

    def interrupt(*_: object, **__: object) -> DeployResult:
        raise Stopped(number)

    stage.deploy = interrupt
    done = up(stage)
    assert done.code == code
    assert "stopped by SIG" in done.err
    assert status(stage)["runs"] == []
    assert written(stage)["verdict"] == "fail"


def test_a_signal_while_the_report_is_written_takes_down(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``up`` itself, which says so at once; not by a reaper after it has ended."""
    told = report.update

    def interrupt(*given: Any, **named: Any) -> dict[str, Any]:
        if "error" not in named:
            raise Stopped(15)
        return told(*given, **named)

    monkeypatch.setattr(report, "update", interrupt)
    done = up(stage, "--run=late")
    assert done.code == 143
    assert "stopped by SIGTERM: deleting run late" in done.err
    assert status(stage)["runs"] == []


def test_a_signal_after_all_is_done_stops_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run stands, and the exit code says so."""
    let_go = up_flow.release

    def interrupt(guard: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        let_go(guard)

    monkeypatch.setattr(up_flow, "release", interrupt)
    with signals.stopped_by_signals():
        done = up(stage, "--run=done")
    assert done.code == 0, done.err
    assert status(stage)["run"] == "done"


@pytest.mark.parametrize(("keep", "stays"), [("always", True), ("on-failure", False), ("never", False)])
def test_run_stopped_at_its_checks_leaves_what_is_to_be_kept(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, keep: str, stays: bool
) -> None:
    """By this command, which says so at once; not by a reaper after it has ended."""

    def interrupt(*_: object, **__: object) -> int:
        raise Stopped(2)

    monkeypatch.setattr(flow, "run_checks", interrupt)
    done = call(stage, "run", "--yes", f"--keep={keep}", "--run=checked")
    assert done.code == 130, done.err
    assert ("stopped by SIGINT: deleting run checked" in done.err) != stays
    assert bool(status(stage)["runs"]) == stays


def test_two_runs_do_not_disturb_each_other(stage: Stage) -> None:
    """Taking one run down leaves the other as it is."""
    up(stage, "--run=one")
    up(stage, "--run=two")
    assert call(stage, "down", "--yes", "--run=one").code == 0
    shown = status(stage)
    assert (shown["run"], shown["runs"], shown["healthy"]) == ("two", ["two"], True)


def test_sweep_finds_runs_by_their_age(stage: Stage) -> None:
    """``sweep`` leaves what is young, names what would go, and takes it away."""
    up(stage, "--run=stale")
    young = call(stage, "sweep", "--older-than=2h")
    dry = call(stage, "sweep", "--older-than=0s", "--dry-run", "-o", "json")
    assert young.out == "nothing to sweep\n"
    assert json.loads(dry.out)["runs"] == ["stale"]
    assert status(stage)["runs"] == ["stale"]
    assert call(stage, "sweep", "--yes", "--older-than=0s").out == "stale\n"
    assert status(stage)["runs"] == []


def test_status_tells_what_is_missing(stage: Stage) -> None:
    """A run of which something is gone is not healthy, and the exit code says so."""
    up(stage, "--run=part")
    other = stage.state_dir / "larger.yaml"
    text = (PROJECT / "topologies/standard.yaml").read_text()
    larger = text.replace("  worker-2:", "  worker-3: {role: judge0-worker}\n  worker-2:", 1)
    other.write_text(larger.replace("app: app", f"app: {PROJECT}/topologies/app"))
    shown = call(stage, "status", f"--topology={other}", "-o", "json")
    assert shown.code == 1, shown.err
    assert json.loads(shown.out)["missing"] == ["worker-3"]


@pytest.mark.parametrize(
    ("keep", "checks", "stays"),
    [
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("on-failure", 2, True),
        ("always", 0, True),
        ("never", 1, False),
    ],
)
def test_run_keeps_what_it_is_asked_to(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, keep: str, checks: int, stays: bool
) -> None:
    """``run`` picks checks, exits with their code, and leaves the deployment up as ``--keep`` says."""

    told = {}

    def play(choice: Choice, **picked: object) -> int:
        told.update(picked)
        report.write(choice.run_dir.report, report.read(choice.run_dir))
        return checks

    monkeypatch.setattr(flow, "run_checks", play)
    done = call(stage, "run", "--yes", f"--keep={keep}", "-k", "isolation", "--no-faults", "-o", "json")
    assert done.code == checks, done.err
    assert told == {"keyword": "isolation", "faults": False}
    assert bool(status(stage)["runs"]) == stays
    timings = json.loads(done.out)["timings"]
    assert {"prepare", "provision", "deploy", "verify", "total"} <= set(timings)
    assert ("down" in timings) != stays
