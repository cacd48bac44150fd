"""Records each check's outcome: passed, failed or inconclusive; and writes the report at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import pytest

from harness.core import signals
from harness.core.errors import InconclusiveError
from harness.core.masking import mask
from harness.run import report
from harness.run.report import Check, Outcome
from harness.verify.stash import LEFT_OUT, OTHER_KIND, SECTIONS, SESSION

REASON_LENGTH = 1000
UNENDED = "it was stopped before it ended"
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
GRAVITY: tuple[Outcome, ...] = ("passed", "skipped", "inconclusive", "failed")

assert set(GRAVITY) == set(get_args(Outcome))


class Recorder:
    """Registered for a run with ``--target`` only."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        config.stash[SECTIONS] = {"notes": []}
        self.checks: dict[str, Check] = {}
        self._doubts: dict[str, str] = {}
        self._started = time.monotonic()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record an inconclusive outcome where the check raised one, and mask passwords.

        A signal waits until it is done: in the wrappers of other plugins it becomes an internal error.
        """
        with signals.deferred():
            made = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, InconclusiveError):
            self._doubts[item.nodeid] = str(call.excinfo.value)
        if made.failed:
            made.longrepr = self._masked(str(made.longrepr))
            made.sections = [(title, self._masked(text)) for title, text in made.sections]
        made.user_properties.append(("reason", self._reason(made, call)))
        return made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Merge set-up, call and tear-down into one check; the worst of the three counts.

        A check that was set up is in doubt until its call has ended: it may be stopped before.
        """
        check = Check(
            check_id(report.nodeid),
            self._outcome(report),
            _property(report, "reason"),
            report.duration,
            self._masked(_property(report, "evidence")),
        )
        if report.when == "setup" and report.passed:
            check = replace(check, outcome="inconclusive", reason=UNENDED)
        before = self.checks.get(report.nodeid)
        if before is not None and before.reason == UNENDED:
            before = replace(before, outcome="passed", reason="")
        self.checks[report.nodeid] = check if before is None else merged(before, check)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show an inconclusive outcome as such."""
        if report.failed and report.nodeid in self._doubts:
            return "inconclusive", "?", "INCONCLUSIVE"
        return None

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Deselected checks are in the report, too: as skipped. Those that do not apply are not."""
        for item in items:
            if OTHER_KIND in item.stash:
                continue
            reason = item.stash.get(LEFT_OUT, "deselected")
            self.checks[item.nodeid] = Check(check_id(item.nodeid), "skipped", reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
        """Write the report and turn its verdict into the exit code; not for a mere list of checks."""
        checked = self.config.stash.get(SESSION, None)
        if checked is None or self.config.option.collectonly:
            return
        outcomes: Path | None = self.config.getoption("--outcomes", None)
        if outcomes is not None:
            outcomes.write_text(json.dumps([asdict(each) for each in self.checks.values()]))
            return
        found = self.config.stash[SECTIONS]
        if checked.choice.place:
            found["existing"] = checked.choice.place.tag
        written = report.update(
            checked.choice.run_dir,
            target=checked.target,
            topology=checked.topology.name,
            deployment=checked.deployment,
            timings={"verify": round(time.monotonic() - self._started, 3)},
            checks=self.checks.values(),
            fresh=checked.choice.place is not None,
            sections={"intent": report.intent(checked.topology), **found},
            secrets=checked.secrets,
            error=None if exitstatus in ENDED else f"the checks did not end: pytest's exit code {exitstatus}",
        )
        if exitstatus in ENDED:
            session.exitstatus = report.exit_code(written["verdict"])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """List inconclusive checks and say where the report is."""
        for nodeid, reason in self._doubts.items():
            terminalreporter.write_line(f"INCONCLUSIVE {check_id(nodeid)}: {reason}")
        session = self.config.stash.get(SESSION, None)
        if session is not None:
            terminalreporter.write_line(f"report: {session.choice.run_dir.report}")

    def _outcome(self, report: pytest.TestReport) -> Outcome:
        if report.failed and report.nodeid in self._doubts:
            return "inconclusive"
        return report.outcome

    def _reason(self, made: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
        if call.excinfo is None or made.passed:
            return ""
        text = str(call.excinfo.value) or call.excinfo.typename
        return self._masked(text.removeprefix("Skipped: "))[:REASON_LENGTH]

    def _masked(self, text: str) -> str:
        session = self.config.stash.get(SESSION, None)
        if session is None:
            return text
        return mask(text, [*session.secrets, session.target.token])


def check_id(nodeid: str) -> str:
    """``checks/test_machines.py::test_is_active[client]`` is reported as ``machines.is_active[client]``."""
    file, _, name = nodeid.partition("::")
    return f"{Path(file).stem.removeprefix('test_')}.{name.removeprefix('test_')}"


def merged(before: Check, after: Check) -> Check:
    """Two phases of one check as one."""
    worst = max(before, after, key=lambda check: GRAVITY.index(check.outcome))
    seconds, evidence = before.seconds + after.seconds, after.evidence or before.evidence
    return Check(worst.id, worst.outcome, worst.reason, seconds, evidence)


def _property(report: pytest.TestReport, name: str) -> str:
    """The last property with this name."""
    return next((str(value) for key, value in reversed(report.user_properties) if key == name), "")
