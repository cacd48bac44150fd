"""Starting pytest on the checks, as ``wavetank verify`` does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.errors import UsageError, WavetankError
from harness.settings import PROJECT, Choice, arguments

CHECKS = PROJECT / "tests" / "verify"
VERDICTS = (0, 1, 2)


def run_checks(choice: Choice, *, keyword: str | None = None) -> int:
    """Run the checks in a process of their own, telling on stderr; 0 pass, 1 fail, 2 inconclusive.

    The plugin writes the report. Raises ``UsageError`` and ``WavetankError`` where nothing could be checked.
    """
    if not CHECKS.is_dir():
        raise UsageError(f"the checks are not here: {CHECKS}; run from a clone of the project")
    done = subprocess.run(command(choice, keyword=keyword), stdout=sys.stderr, check=False)
    if done.returncode == UsageError.exit_code:
        raise UsageError("the checks could not begin; the reason is above")
    if done.returncode not in VERDICTS:
        raise WavetankError(f"the checks ended with exit code {done.returncode}; the reason is above")
    return done.returncode


def command(choice: Choice, *, keyword: str | None = None) -> list[str]:
    """The command line. The token is not on it: pytest takes it from the environment, as we did."""
    picked = ["-k", keyword] if keyword else []
    return [*_pytest(), str(CHECKS), *arguments(choice), *picked]


def _pytest() -> list[str]:
    root: Path = PROJECT
    return [sys.executable, "-m", "pytest", f"--rootdir={root}", "-p", "no:cacheprovider", "--color=no"]
