"""The reaper: deletes a run if the process that creates it dies, for whatever reason.

``guard`` starts a separate process that holds one end of a pipe. When the parent has finished with the run,
or wants to keep it, it sends a message through the pipe. If the pipe closes without a message, the parent is
dead (also by kill -9), and the reaper deletes the run through the API; it restarts the emulator if that died,
too. A pipe, unlike a process id, is never reused by another process, and it works on every system.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from harness.core.paths import PROJECT
from harness.core.process import without_secrets
from harness.run import lock as runlock

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.run.rundir import RunDir
    from harness.target.target import Target

RELEASE = b"released"
LOG = "reaper.log"
REAP_SECONDS = 900.0
STOP_SECONDS = 30


@dataclass
class Guard:
    """The reaper of one run, and the lock on the run; as a context manager it is released at the end."""

    process: subprocess.Popen[bytes] | None
    lock: int | None = None

    def release(self) -> None:
        """Release lock and reaper: the run is finished, or is to be kept. A second call does nothing."""
        process, self.process = self.process, None
        if process is not None:
            self._dismiss(process)
        lock, self.lock = self.lock, None
        if lock is not None:
            os.close(lock)

    def _dismiss(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.communicate(RELEASE, timeout=STOP_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            process.kill()
            process.communicate()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def guard(target: Target, run_dir: RunDir, *, keep: bool = False) -> Guard:
    """Lock the run of ``run_dir`` and start a reaper for it; with ``keep`` there is no reaper.

    It has a session of its own, so that ctrl-C and a closed terminal do not reach it. Its log is
    ``reaper.log`` in the run's directory. Raises ``UsageError`` if another process works on the run.
    """
    lock = runlock.acquire(run_dir)
    if keep:
        return Guard(None, lock)
    command = [sys.executable, "-m", "harness.run.reaper", *_options(target, run_dir)]
    with (run_dir.path / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=without_secrets(os.environ),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),  # locked until the run is deleted, whichever process dies
        )
    guarded = Guard(process, lock)
    try:
        _send_token(process, target.token)
    except BaseException:
        guarded.release()
        raise
    return guarded


def _send_token(process: subprocess.Popen[bytes], token: str) -> None:
    """Send the token through the pipe, because command lines are visible to others."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it ended at once; its log says why, and the run continues without it
        process.stdin.write(token.encode() + b"\n")
        process.stdin.flush()


def _options(target: Target, run_dir: RunDir) -> list[str]:
    facts = {
        "name": target.name,
        "endpoint": target.endpoint,
        "ca_file": str(target.ca_file) if target.ca_file else None,
        "operators": target.operators,
    }
    return [
        "--run",
        run_dir.run,
        "--state-dir",
        str(run_dir.state_dir.resolve()),
        "--target",
        json.dumps(facts),
    ]


def main(arguments: Sequence[str]) -> int:
    """Wait for the parent's message or its end; returns the exit code: 0 released or reaped, 3 not reaped."""
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the parent ends us
    token, _, message = sys.stdin.buffer.read().partition(b"\n")
    if message == RELEASE or not token:  # a parent that died before it sent the token has created nothing
        return 0
    return _reap(options, token.decode())


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m harness.run.reaper")
    parser.add_argument("--run", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--target", type=json.loads, required=True)
    return parser.parse_args(arguments)


def _reap(options: argparse.Namespace, token: str) -> int:
    from harness.core.errors import (
        WavetankError,  # imported only now: a waiting reaper should use little memory
    )
    from harness.core.progress import Progress
    from harness.core.wait import NotYet, wait_for

    progress = Progress()
    progress.note(f"the process that created run {options.run} has died; deleting the run")

    def attempt() -> None:
        try:
            _take_down(options, token, progress)
        except WavetankError as error:
            progress.note(f"not yet: {error}")
            raise NotYet(str(error)) from error

    try:
        wait_for(f"run {options.run} to be gone", attempt, deadline=REAP_SECONDS, first_pause=1, max_pause=30)
    except WavetankError as error:
        progress.note(f"gave up: {error}")
        return error.exit_code
    progress.note(f"run {options.run} is deleted")
    return 0


def _take_down(options: argparse.Namespace, token: str, progress: Progress) -> None:
    from harness import provision

    target = _target(options, token, progress)
    provision.destroy(target, options.run, progress=progress)
    if target.name == "local":
        _stop_if_empty(target, options.state_dir, progress)


def _target(options: argparse.Namespace, token: str, progress: Progress) -> Target:
    from harness.target.target import Target, resolve_target

    facts = options.target
    if facts["name"] == "local":
        return resolve_target("local", state_dir=options.state_dir, progress=progress)
    ca_file = Path(facts["ca_file"]) if facts["ca_file"] else None
    return Target(facts["name"], facts["endpoint"], token, ca_file, None, tuple(facts["operators"]))


def _stop_if_empty(target: Target, state_dir: Path, progress: Progress) -> None:
    """Stop an emulator that a command started, once it is empty."""
    from harness import provision
    from harness.target import emulator_process

    emulator_process.stop_unused(state_dir, lambda: provision.is_empty(target), progress)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
