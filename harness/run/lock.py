"""A lock, so that only one process at a time creates, changes or deletes a run of this directory.

The lock is on an open file, so the kernel releases it when the holder ends for any reason. A run's reaper
inherits it: from the death of the process that created the run until the last resource is deleted, the run
never looks free.
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


def acquire(run_dir: RunDir) -> int:
    """Lock the run until the returned descriptor is closed. Raises ``UsageError`` if it is locked."""
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
def locked(run_dir: RunDir) -> Iterator[None]:
    """Lock the run for the length of a block. Raises ``UsageError`` if another process has the lock.

    A run that was not created here has no directory, and is not locked.
    """
    if not run_dir.path.is_dir():
        yield
        return
    descriptor = acquire(run_dir)
    try:
        yield
    finally:
        os.close(descriptor)


def is_in_use(run_dir: RunDir) -> bool:
    """Whether a living process works on the run; one that only a reaper holds does not count."""
    return _is_locked(run_dir) and _owner(run_dir) is not None


def wait_until_free(run_dir: RunDir, progress: Progress) -> bool:
    """Return once the run is not locked; says whether it had to wait.

    Waits for the reaper of a dead process. Raises ``UsageError`` if a living process has the lock, and
    ``WaitTimeoutError`` if the reaper does not finish.
    """
    from harness.core.wait import NotYet, wait_for

    if not _is_locked(run_dir):
        return False

    def probe() -> None:
        if not _is_locked(run_dir):
            return
        if _owner(run_dir) is not None:
            raise _busy(run_dir)
        raise NotYet(f"see {run_dir.path / 'reaper.log'}")

    progress.note(
        f"the process of run {run_dir.run} died, and its reaper is deleting the run; waiting for that"
    )
    wait_for(f"run {run_dir.run} to be deleted", probe, deadline=REAPER_SECONDS, max_pause=0.5)
    return True


def _is_locked(run_dir: RunDir) -> bool:
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


def _owner(run_dir: RunDir) -> int | None:
    """The process that took the lock, if it lives."""
    try:
        pid, born = json.loads(read_text(run_dir.path / FILE))
    except (ValueError, TypeError, TopologyError):  # it took the lock just now
        return 0
    return pid if is_running(pid, born) else None


def _busy(run_dir: RunDir) -> UsageError:
    pid = _owner(run_dir)
    who = f"process {pid}" if pid else "another process"
    return UsageError(
        f"run {run_dir.run!r} is locked by {who}: wait until it has ended, or choose another run with --run"
    )
