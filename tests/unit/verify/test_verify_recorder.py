"""The third outcome, the exit code and the report of a run of checks, seen from outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.core.paths import cache_dir
from harness.run.report import Check
from harness.verify.recorder import check_id, merged

pytest_plugins = ["pytester"]

PASSES = "def test_fine(): pass\n"
FAILS = "def test_wrong(): assert 'AVNS_secret' == 'other'\n"
DOUBTS = """
from harness.core.errors import InconclusiveError
def test_doubtful(): raise InconclusiveError("two clocks disagree")
"""
SKIPS = "import pytest\ndef test_left_out(): pytest.skip('no such thing here')\n"

# Its argument is shown while pytest writes its report: the signal comes in the middle of that.
STOPPED = """
import pytest, signal
class Told:
    def __repr__(self):
        signal.raise_signal(signal.SIGINT)
        return "told"
@pytest.fixture
def told(): return Told()
def test_stopped(told): raise ValueError("wrong")
def test_never(): pass
"""

# A deployment that needs no API: what the plugin would find is put in its place.
CONFTEST = """
import pytest
from pathlib import Path
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT, Choice, Settings
from harness.target.target import Target
from harness.topology import load
from harness.verify.recorder import Recorder
from harness.run.session import Session
from harness.verify.stash import SESSION

STANDARD = PROJECT / "topologies/standard.yaml"

def end(host):
    return Connection(host, 1, "doadmin", "AVNS_secret", "defaultdb", "uri")

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    run_dir = RunDir(Path("state"), "unit-1")
    run_dir.create()
    node = Node("client", 1, "active", None, "10.0.0.2")
    database = DatabaseNode("pg", "u", "pg", "online", end("a"), end("b"), "PEM")
    deployment = Deployment("unit-1", "v", "10.0.0.0/20", {"client": node}, {"pg": database})
    choice = Choice("local", "standard", None, run_dir, Settings())
    target = Target("local", "https://x", "token")
    config.stash[SESSION] = Session(choice, target, load(STANDARD), deployment, None)
    config.option.xmlpath = str(run_dir.junit)
    config.pluginmanager.register(Recorder(config), "wavetank-recorder")
"""


CACHE = cache_dir().parent


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of its own has another home, and what reads compose files is in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))


def run(pytester: pytest.Pytester, *sources: str, arguments: tuple[str, ...] = ()) -> pytest.RunResult:
    """Run these checks as a session of their own."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_sample="\n".join(sources))
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def report_of(pytester: pytest.Pytester) -> dict[str, Any]:
    """What the session wrote."""
    document: dict[str, Any] = json.loads((pytester.path / "state/runs/unit-1/report.json").read_text())
    return document


def outcomes(pytester: pytest.Pytester) -> dict[str, str]:
    """What the report says of each check."""
    return {check["id"]: check["outcome"] for check in report_of(pytester)["checks"]}


@pytest.mark.parametrize(
    ("sources", "code", "verdict"),
    [
        ((PASSES,), 0, "pass"),
        ((PASSES, SKIPS), 0, "pass"),
        ((PASSES, DOUBTS), 2, "inconclusive"),
        ((PASSES, DOUBTS, FAILS), 1, "fail"),
        ((SKIPS,), 2, "inconclusive"),
        (("",), 2, "inconclusive"),
    ],
    ids=["passes", "skip", "doubt", "failure", "only-skips", "nothing"],
)
def test_exit_code_is_the_verdict(
    sources: tuple[str, ...], code: int, verdict: str, pytester: pytest.Pytester
) -> None:
    """A failure is 1, a doubt 2, and a run in which nothing was checked does not pass."""
    done = run(pytester, *sources)
    assert done.ret == code
    assert report_of(pytester)["verdict"] == verdict


def test_a_signal_in_the_middle_of_a_report_stops_after_it(pytester: pytest.Pytester) -> None:
    """A plugin of the old kind turns an exception in there into an error of pytest's own."""
    stopped = "from harness.core import signals\nsignals.install()\n"
    pytester.makeconftest(CONFTEST + stopped)
    pytester.makepyfile(test_sample=STOPPED)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")
    assert "INTERNALERROR" not in done.stdout.str() + done.stderr.str()
    assert "stopped by SIGINT" in done.stdout.str()
    assert outcomes(pytester) == {"sample.stopped": "inconclusive"}
    assert report_of(pytester)["verdict"] == "fail"


def test_every_outcome_is_reported(pytester: pytest.Pytester) -> None:
    """All four outcomes are in the report with their reasons, and a doubt is shown as such."""
    done = run(pytester, PASSES, FAILS, DOUBTS, SKIPS)
    assert outcomes(pytester) == {
        "sample.fine": "passed",
        "sample.wrong": "failed",
        "sample.doubtful": "inconclusive",
        "sample.left_out": "skipped",
    }
    reasons = {check["id"]: check["reason"] for check in report_of(pytester)["checks"]}
    assert reasons["sample.doubtful"] == "two clocks disagree"
    assert reasons["sample.left_out"] == "no such thing here"
    assert "INCONCLUSIVE sample.doubtful: two clocks disagree" in done.stdout.str()


def test_passwords_are_nowhere(pytester: pytest.Pytester) -> None:
    """A password that a failed check quotes is in no output: terminal, report, its page or junit.xml."""
    done = run(pytester, FAILS)
    texts = [file.read_text() for file in (pytester.path / "state/runs/unit-1").iterdir()]
    assert len(texts) == 3
    assert [text for text in (done.stdout.str(), *texts) if "AVNS_secret" in text] == []


def test_what_was_left_out_is_in_the_report(pytester: pytest.Pytester) -> None:
    """Checks that -k left out are skipped, not forgotten."""
    run(pytester, PASSES, FAILS, arguments=("-k", "fine"))
    assert outcomes(pytester) == {"sample.fine": "passed", "sample.wrong": "skipped"}


def test_ids_are_readable() -> None:
    """A check is called by its file, its name and its parameter."""
    nodeid = "harness/checks/test_machines.py::test_is_active[server-1]"
    assert check_id(nodeid) == "machines.is_active[server-1]"


def test_the_worst_phase_counts() -> None:
    """A check that passed and whose tear-down failed has failed."""
    both = merged(Check("a", "passed", "", 1.0), Check("a", "failed", "left a file", 0.5))
    assert both == Check("a", "failed", "left a file", 1.5)
    assert merged(Check("a", "skipped", "why", 0.0), Check("a", "passed", "", 0.0)).outcome == "skipped"


# What users' checks of before have, beside a fixture whose name is that of one of ours.
OF_USERS = """
pytest_plugins = ["harness.verify.fixtures"]
"""
CHECKS_OF_USERS = """
import pytest
from harness.run.session import Session

@pytest.fixture
def session(): return "a database's"

def test_their_own(session, topology, deployment, target, access):
    assert session == "a database's"
    assert (topology.name, deployment.run, target.name) == ("standard", "unit-1", "local")

def test_by_the_former_name(setup): assert isinstance(setup, Session)
"""


def test_checks_of_users_have_fixtures_by_former_names_and_names_of_their_own(
    pytester: pytest.Pytester,
) -> None:
    """``setup`` was the documented name; ``session`` is a common one for something else."""
    pytester.makeconftest(CONFTEST + OF_USERS)
    pytester.makepyfile(test_sample=CHECKS_OF_USERS)
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert done.ret == 0, done.stdout.str()
