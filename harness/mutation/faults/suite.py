"""The suite's own checks, run on a deployment while a fault is in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import WavetankError
from harness.run.settings import Choice
from harness.verify.runner import command

SECONDS = 900.0


@dataclass(frozen=True)
class CheckResult:
    """How one check ended: passed, failed, inconclusive or skipped, and why."""

    outcome: str
    reason: str


Outcomes = Mapping[str, CheckResult]


def run_checks(choice: Choice, checks: Iterable[str]) -> Outcomes:
    """Run the checks with one of these in their names, in a process of their own; the report is left alone.

    Raises ``WavetankError`` where they did not run.
    """
    keyword = " or ".join(sorted(set(checks)))
    with tempfile.TemporaryDirectory(prefix="wt-") as directory:
        file = Path(directory) / "outcomes.json"
        argv = [*command(choice, keyword=keyword, faults=False), f"--outcomes={file}", "-q"]
        output = _run(argv)
        if not file.exists():
            raise WavetankError(f"the checks {keyword} did not run:\n{output[-2000:]}")
        rows = json.loads(file.read_text())
    return {each["id"]: CheckResult(each["outcome"], each["reason"]) for each in rows}


def _run(argv: list[str]) -> str:
    """The output of pytest; in a session of its own, so that a signal to us reaches it by us only."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True, start_new_session=True
        )
        try:
            process.wait(SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            finally:
                process.kill()
            raise
        output.seek(0)
        return output.read()


def matching(outcomes: Outcomes, check: str) -> dict[str, CheckResult]:
    """The checks that match a part of their names, or of their file's."""
    part = check.removeprefix("test_")
    return {name: found for name, found in outcomes.items() if part in name}
