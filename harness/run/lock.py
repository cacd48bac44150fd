"""One process at a time makes, changes or takes away a run of this directory.

The lock is on an open file, so the kernel lets it go when the holder ends, however that comes. A run's reaper
inherits it: between its maker's death and the last thing taken down there is no moment at which the run
looks free.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.core.documents import read_text
from harness.core.errors import TopologyError, UsageError
from harness.core.process import is_running, started_at

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.run.rundir import RunDir

FILE = "lock"
REAPER_SECONDS = 300.0


def take(run_dir: RunDir) -> int:
    """Hold the run until the returned descriptor is closed. Raises ``UsageError`` where it is held."""
    run_dir.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(run_dir.path / FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise _busy(run_dir) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps([os.getpid(), started_at(os.getpid())]).encode(), 0)
    return descriptor


@contextmanager
def held(run_dir: RunDir) -> Iterator[None]:
    """Hold the run for the length of a block. Raises ``UsageError`` where somebody else does.

    One that was not made here, and so has no directory, is nobody's.
    """
    if not run_dir.path.is_dir():
        yield
        return
    descriptor = take(run_dir)
    try:
        yield
    finally:
        os.close(descriptor)


def is_worked_on(run_dir: RunDir) -> bool:
    """Whether a process that lives works on the run; one that only a reaper holds is not worked on."""
    return _is_held(run_dir) and _maker(run_dir) is not None


def await_turn(run_dir: RunDir, progress: Progress) -> bool:
    """Return once nobody holds the run; says whether that had to be waited for.

    A dead maker's reaper is waited for. Raises ``UsageError`` where a process that lives holds the run, and
    ``WaitTimeoutError`` where the reaper does not finish.
    """
    from harness.core.wait import NotYet, wait_for

    if not _is_held(run_dir):
        return False

    def probe() -> None:
        if not _is_held(run_dir):
            return
        if _maker(run_dir) is not None:
            raise _busy(run_dir)
        raise NotYet(f"see {run_dir.path / 'reaper.log'}")

    progress.note(f"run {run_dir.run} died in the middle and is being taken down; waiting for that")
    wait_for(f"run {run_dir.run} to be taken down", probe, deadline=REAPER_SECONDS, max_pause=0.5)
    return True


def _is_held(run_dir: RunDir) -> bool:
    try:
        descriptor = os.open(run_dir.path / FILE, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _maker(run_dir: RunDir) -> int | None:
    """The process that took the lock, if it lives."""
    try:
        pid, born = json.loads(read_text(run_dir.path / FILE))
    except (ValueError, TypeError, TopologyError):  # it has the lock since just now
        return 0
    return pid if is_running(pid, born) else None


def _busy(run_dir: RunDir) -> UsageError:
    pid = _maker(run_dir)
    who = f"process {pid}" if pid else "another process"
    return UsageError(
        f"run {run_dir.run!r} is being worked on by {who}: wait until it is done, or name another with --run"
    )
