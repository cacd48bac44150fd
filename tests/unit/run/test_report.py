"""The report: what it holds, what it never holds, and the verdict it comes to."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from harness.core.errors import UsageError
from harness.run import report
from harness.run.report import Check
from harness.run.rundir import RunDir
from harness.target.target import Target
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node

SECRET = "AVNS_very-secret-indeed"
TARGET = Target("local", "https://127.0.0.1:1", "token-of-ours", info={"capabilities": {"ipvs": False}})
PASSED = Check("machines.is_active[client]", "passed", "", 0.25)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """An empty run."""
    made = RunDir(tmp_path, "standard-7f3a")
    made.create()
    return made


def deployment() -> Deployment:
    """One droplet, one database with a password."""
    ends = [
        Connection(host, 25060, "doadmin", SECRET, "defaultdb", f"postgresql://doadmin:{SECRET}@{host}")
        for host in ("db.example.com", "private-db.example.com")
    ]
    return Deployment(
        run="standard-7f3a",
        vpc_id="v",
        vpc_range="10.110.0.0/20",
        nodes={"client": Node("client", 7, "active", "203.0.113.9", "10.110.0.2")},
        databases={"postgres": DatabaseNode("postgres", "u-1", "pg", "online", ends[0], ends[1], "PEM")},
    )


def schema() -> dict[str, object]:
    """What we promise about a report."""
    document: dict[str, object] = json.loads(report.SCHEMA_FILE.read_text())
    return document


def test_a_full_report_keeps_its_promise(run_dir: RunDir) -> None:
    """A report with everything in it is valid by our own schema, and on disk as returned."""
    written = report.update(
        run_dir,
        target=TARGET,
        topology="standard",
        deployment=deployment(),
        timings={"provision": 9.5},
        checks=[PASSED, Check("gates.x", "skipped", "no reason")],
    )
    jsonschema.validate(written, schema())
    assert written == json.loads(run_dir.report.read_text()) == report.read(run_dir)
    assert written["verdict"] == "pass"
    assert written["droplets"][0]["addresses"] == {"public": "203.0.113.9", "private": "10.110.0.2"}


def test_a_report_of_a_failure_keeps_its_promise(run_dir: RunDir) -> None:
    """Where nothing came up there is still a valid report, and it says fail."""
    written = report.update(run_dir, target=TARGET, topology="standard", error="droplet 'client': no boot")
    jsonschema.validate(written, schema())
    assert written["verdict"] == "fail"
    assert "no boot" in written["error"]


def test_the_schema_notices(run_dir: RunDir) -> None:
    """The schema is not so wide that anything passes."""
    written = report.update(run_dir, target=TARGET, topology="standard", checks=[PASSED])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**written, "verdict": "maybe"}, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: value for key, value in written.items() if key != "checks"}, schema())


def test_secrets_stay_out(run_dir: RunDir) -> None:
    """Neither the token nor a password gets into the file, whatever a check or an error quotes."""
    told = Check("nodes.x", "failed", f"mongodb://doadmin:{SECRET}@host and {TARGET.token}")
    report.update(
        run_dir,
        target=TARGET,
        topology="standard",
        deployment=deployment(),
        checks=[told],
        error=f"refused: {SECRET} and a-header's-value",
        secrets=["a-header's-value"],
    )
    text = run_dir.report.read_text()
    assert SECRET not in text
    assert "a-header" not in text
    assert TARGET.token not in text
    assert "mongodb://doadmin:" in text


def test_an_update_keeps_the_rest(run_dir: RunDir) -> None:
    """A later step adds its timing and leaves what others wrote."""
    report.update(run_dir, target=TARGET, topology="standard", deployment=deployment(), timings={"a": 1.0})
    written = report.update(run_dir, target=TARGET, topology="standard", timings={"b": 2.0})
    assert written["timings"] == {"a": 1.0, "b": 2.0}
    assert written["droplets"]


def test_a_fresh_report_forgets(run_dir: RunDir) -> None:
    """A new ``up`` does not inherit the checks of the deployment before it."""
    report.update(run_dir, target=TARGET, topology="standard", checks=[PASSED])
    written = report.update(run_dir, target=TARGET, topology="standard", fresh=True)
    assert written["checks"] == []
    assert written["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    ("outcomes", "verdict", "code"),
    [
        (["passed"], "pass", 0),
        (["passed", "skipped"], "pass", 0),
        (["passed", "failed", "inconclusive"], "fail", 1),
        (["passed", "inconclusive"], "inconclusive", 2),
        (["skipped"], "inconclusive", 2),
        ([], "inconclusive", 2),
    ],
)
def test_verdict(outcomes: list[str], verdict: str, code: int) -> None:
    """A failure outweighs a doubt, a doubt outweighs passes, and checking nothing is a doubt."""
    given = report.verdict([{"outcome": each} for each in outcomes])
    assert (given, report.exit_code(given)) == (verdict, code)


def test_an_error_is_a_failure() -> None:
    """All checks may have passed: an error still means fail."""
    assert report.verdict([{"outcome": "passed"}], "stopped half-way") == "fail"


def test_reading_what_is_not_there_says_so(run_dir: RunDir) -> None:
    """A missing or broken report is a clear error."""
    with pytest.raises(UsageError, match="has no report"):
        report.read(run_dir)
    run_dir.report.write_text("{")
    with pytest.raises(UsageError, match="is not a report"):
        report.read(run_dir)


def test_summary_names_what_went_wrong(run_dir: RunDir) -> None:
    """The short form lists failures and doubts with their reasons, then the verdict."""
    written = report.update(
        run_dir,
        target=TARGET,
        topology="standard",
        checks=[PASSED, Check("gates.rules", "failed", "port 80"), Check("nodes.up", "inconclusive", "lost")],
    )
    lines = report.summary(written).splitlines()
    assert lines[0] == "failed: gates.rules: port 80"
    assert lines[1] == "inconclusive: nodes.up: lost"
    assert lines[-1] == "standard-7f3a on local: fail (1 passed, 1 failed, 1 inconclusive)"


def test_summary_begins_with_what_is_to_be_known_first(run_dir: RunDir) -> None:
    """Notes on the whole run, before what went wrong; a report with them keeps its promise."""
    written = report.update(
        run_dir,
        target=TARGET,
        topology="swarm",
        checks=[Check("gates.rules", "failed", "port 80")],
        sections={"notes": ["what services say to each other is not encrypted"]},
    )
    jsonschema.validate(written, schema())
    lines = report.summary(written).splitlines()
    assert lines[0] == "note: what services say to each other is not encrypted"
    assert lines[1] == "failed: gates.rules: port 80"
