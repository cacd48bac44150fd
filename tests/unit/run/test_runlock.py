"""One process at a time works on a run; a dead one's reaper is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.progress import Progress
from harness.run import lock
from harness.run.rundir import RunDir
from harness.target import emulator_process

QUIET = Progress(quiet=True)
HOLDER = """
import sys
from pathlib import Path
from harness.run import lock as runlock
from harness.run.rundir import RunDir
lock = runlock.acquire(RunDir(Path(sys.argv[1]), "a"))
if len(sys.argv) > 2:
    import os, subprocess
    heir = subprocess.Popen(["cat"], stdin=0, stdout=subprocess.DEVNULL, pass_fds=(lock,))
print("held", flush=True)
sys.stdin.read() if len(sys.argv) == 2 else os.kill(os.getpid(), 9)
"""
PROJECT = Path(__file__).resolve().parents[3]


def holder(state_dir: Path, *options: str) -> subprocess.Popen[bytes]:
    """A process that holds run "a"; told to, it leaves the lock to a child and dies by kill -9."""
    command = [sys.executable, "-c", HOLDER, str(state_dir), *options]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize("attempt", [lock.acquire, lambda run: lock.wait_until_free(run, QUIET)])
def test_a_run_that_somebody_works_on_is_refused(tmp_path: Path, attempt: Callable[[RunDir], object]) -> None:
    """The message says which process it is, and what to do."""
    run, process = RunDir(tmp_path, "a"), holder(tmp_path)
    assert lock.is_in_use(run)
    with pytest.raises(UsageError, match=rf"run 'a' is locked by process {process.pid}.*--run"):
        attempt(run)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not lock.is_in_use(run)
    with lock.locked(run):
        assert lock.is_in_use(run)


def test_a_dead_makers_heir_is_waited_for(tmp_path: Path) -> None:
    """As long as the lock is in its hands the run is not free; nobody works on it, though."""
    run, process = RunDir(tmp_path, "a"), holder(tmp_path, "leave it to a child")
    process.wait(30)
    assert not lock.is_in_use(run)
    told: list[str] = []

    class Listener(Progress):
        def note(self, text: str) -> None:
            """The heir ends as soon as somebody waits for it."""
            told.append(text)
            with pytest.raises(UsageError):
                lock.acquire(run)
            process.communicate()

    assert lock.wait_until_free(run, Listener())
    assert "is deleting the run" in told[0]
    os.close(lock.acquire(run))


def test_a_run_of_another_machine_is_nobodys(tmp_path: Path) -> None:
    """There is no directory of it, and none is made."""
    run = RunDir(tmp_path, "a")
    assert not lock.wait_until_free(run, QUIET)
    with lock.locked(run):
        assert not run.path.exists()


def test_an_emulator_that_another_process_is_about_to_use_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty or not: what begins there would lose it. Once that has ended, it goes."""
    monkeypatch.setenv("WAVETANK_PLANE", "memory")
    script = (
        "import sys; from pathlib import Path; from harness.target import emulator_process as emulation;"
        "emulation.use(Path(sys.argv[1])); print('used', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    try:
        emulator_process.start(tmp_path, QUIET, auto=True)
        emulator_process.use(tmp_path)
        user = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert user.stdout is not None
        assert user.stdout.readline() == b"used\n"
        assert not emulator_process.stop_unused(tmp_path, lambda: True, QUIET)
        user.communicate()
        assert not emulator_process.stop_unused(tmp_path, lambda: False, QUIET)
        assert emulator_process.stop_unused(tmp_path, lambda: True, QUIET)
        assert emulator_process.status(tmp_path) is None
    finally:
        emulator_process.stop(tmp_path, destroy=True)
