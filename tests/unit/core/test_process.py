"""Whether a process is there, and the one that is meant."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from harness.core.process import _from_ps, is_running, started_at


def test_a_running_process_has_a_start() -> None:
    """About when it was started, told alike by both ways to ask."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        born = started_at(process.pid)
        assert born is not None
        assert abs(born - time.time()) < 60
        assert is_running(process.pid, born)
        assert not is_running(process.pid, born - 100)
        assert process.stdin is not None
        process.stdin.close()


def test_one_that_ended_is_gone_even_before_it_was_waited_for() -> None:
    """A zombie runs nothing."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert started_at(process.pid) is None
    process.wait()
    assert started_at(process.pid) is None


def test_ps_tells_the_same_where_there_is_no_proc() -> None:
    """As on macOS."""
    told, seen = _from_ps(os.getpid()), started_at(os.getpid())
    assert told is not None
    assert seen is not None
    assert abs(told - seen) < 3
    assert _from_ps(2**22 - 1) is None
