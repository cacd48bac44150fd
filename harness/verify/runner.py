"""Starting pytest on the checks, as ``wavetank verify`` does."""

from __future__ import annotations

import signal
import subprocess
import sys

from harness.core import signals
from harness.core.errors import UsageError, WavetankError
from harness.core.paths import CHECKS, PROJECT
from harness.core.wait import scaled
from harness.run.settings import Choice, arguments

VERDICTS = (0, 1, 2)


# Interrupted checks first power nodes on again.
ENDING_SECONDS = 150.0


def run_checks(choice: Choice, *, keyword: str | None = None, faults: bool | None = None) -> int:
    """Run the checks in a process of their own, which prints to stderr; 0 pass, 1 fail, 2 inconclusive.

    ``faults``: whether to disturb what runs, as by taking power; None: on target ``local`` only.
    The plugin writes the report. Raises ``UsageError`` and ``WavetankError`` where nothing could be checked.
    """
    code = _run(command(choice, keyword=keyword, faults=faults))
    if code == UsageError.exit_code:
        raise UsageError("the checks could not begin; the reason is above")
    if code not in VERDICTS:
        raise WavetankError(f"the checks ended with exit code {code}; the reason is above")
    return code


def _run(argv: list[str]) -> int:
    """Run pytest in a session of its own, so that a signal reaches it once: passed on by us."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        with signals.deferred(), signals.blocked():
            started.append(subprocess.Popen(argv, stdout=sys.stderr, start_new_session=True))
        return started[0].wait()
    except BaseException as error:
        for process in started:
            signals.write_stderr(f"{error}: the checks put back what they changed; once more ends at once")
            _ended(process)
        raise


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(scaled(ENDING_SECONDS))
    except subprocess.TimeoutExpired:
        signals.write_stderr("the checks did not end: nobody waits for them any longer")
    finally:
        process.kill()
        process.wait()


def command(choice: Choice, *, keyword: str | None = None, faults: bool | None = None) -> list[str]:
    """The command line. The token is not on it: pytest takes it from the environment, as we did."""
    picked = ["-k", keyword] if keyword else []
    asked = [] if faults is None else ["--faults" if faults else "--no-faults"]
    return [*_pytest(), str(CHECKS), *arguments(choice), *picked, *asked]


def _pytest() -> list[str]:
    """With our settings, and without the current directory on Python's path: it may have a ``harness``."""
    return [
        sys.executable,
        "-P",
        "-m",
        "harness.verify",
        f"--config-file={CHECKS / 'checks.ini'}",
        f"--rootdir={PROJECT}",
        "-p",
        "no:cacheprovider",
        "--color=no",
    ]
