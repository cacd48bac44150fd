"""The suite's own checks, asked about a deployment while a fault is in it."""

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
class Found:
    """How one check ended: passed, failed, inconclusive or skipped, and why."""

    outcome: str
    reason: str


Outcomes = Mapping[str, Found]


def ask(choice: Choice, checks: Iterable[str]) -> Outcomes:
    """Run the checks with one of these in their names, in a process of their own; the report is left alone.

    Raises ``WavetankError`` where they did not run.
    """
    keyword = " or ".join(sorted(set(checks)))
    with tempfile.TemporaryDirectory(prefix="wt-") as directory:
        file = Path(directory) / "outcomes.json"
        argv = [*command(choice, keyword=keyword, faults=False), f"--outcomes={file}", "-q"]
        said = _run(argv)
        if not file.exists():
            raise WavetankError(f"the checks {keyword} did not run:\n{said[-2000:]}")
        rows = json.loads(file.read_text())
    return {each["id"]: Found(each["outcome"], each["reason"]) for each in rows}


def _run(argv: list[str]) -> str:
    """What pytest says; in a session of its own, so that a signal to us reaches it by us only."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, text=True, start_new_session=True
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
        said.seek(0)
        return said.read()


def of(outcomes: Outcomes, check: str) -> dict[str, Found]:
    """The checks that are meant by a part of their names, or of their file's."""
    part = check.removeprefix("test_")
    return {name: found for name, found in outcomes.items() if part in name}
