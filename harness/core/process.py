"""Processes: run one to its end, or end it with ours; and whether a given process still exists.

What is run here has a session of its own, so that ctrl-C in a terminal does not reach it: a command that dies
of it would look like one that failed. It is ended explicitly. One that outlives us does not get our secrets.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from os import sysconf
from pathlib import Path
from typing import IO, Any

from harness.core import signals
from harness.core.wait import scaled

END_SECONDS = 1.0
PS_SECONDS = 10.0
_live: set[subprocess.Popen[bytes]] = set()


def run(
    argv: Sequence[str], *, seconds: float, text: bytes | None = None, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, with ``text`` on its standard input, and return its output.

    ``options`` are Popen's; by default the input is empty and both outputs are captured. Raises
    ``subprocess.TimeoutExpired`` after ``seconds``, multiplied by the timeout scale (:func:`scaled`). The
    command is ended then, and when this process is stopped.
    """
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = spawn(argv, **given | ({"stdin": subprocess.PIPE} if text is not None else {}))
    try:
        out, errors = communicate(process, text, seconds)
    finally:
        end(process)
    return subprocess.CompletedProcess(argv, process.returncode, out, errors)


def spawn(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own. The caller ends it with :func:`end`."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        with signals.deferred():  # a running process that is in no list would be left behind
            started.append(subprocess.Popen(argv, start_new_session=True, **options))
            _live.add(started[0])
    except BaseException:
        for each in started:
            end(each)
        raise
    return started[0]


def communicate(process: subprocess.Popen[bytes], text: bytes | None, seconds: float) -> tuple[bytes, bytes]:
    """As the method of that name, but ended by a signal in every thread; ``seconds`` as for :func:`run`."""
    over = time.monotonic() + scaled(seconds)
    if text is not None:
        _feed(process, text)
    while True:
        try:
            out, errors = process.communicate(timeout=signals.SLICE_SECONDS)
        except subprocess.TimeoutExpired:
            signals.check()
            if time.monotonic() >= over:
                raise
        else:
            return out or b"", errors or b""


def _feed(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Write to its standard input in a thread: ``communicate``, called again, writes nothing more."""
    pipe, process.stdin = process.stdin, None
    assert pipe is not None

    def write(pipe: IO[bytes] = pipe) -> None:
        with suppress(OSError), pipe:  # it may end without having read
            pipe.write(text)

    threading.Thread(target=write, name="feed", daemon=True).start()


def end(process: subprocess.Popen[bytes]) -> None:
    """End what :func:`spawn` started, if it is running: SIGTERM, then SIGKILL, to all of its session."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        _signal_group(process, signal.SIGKILL)
    forget(process)


def forget(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has been ended, and close its pipes."""
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):
            if pipe:
                pipe.close()
    _live.discard(process)


def end_all() -> None:
    """End whatever :func:`spawn` started and nobody ended, as in threads that nobody waits for."""
    for process in tuple(_live):
        _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY", re.IGNORECASE
)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that outlives us: without tokens, passwords and keys, by name."""
    return {name: value for name, value in environment.items() if not SECRET.search(name)}


def started_at(pid: int) -> float | None:
    """When process ``pid`` began, in seconds since the epoch (to about a second); None: there is none.

    A process that has ended and was not yet waited for counts as ended.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/stat").exists():
        return _from_proc(stat)
    return _from_ps(pid)


def is_running(pid: int, born: float | None) -> bool:
    """Whether the process that began at ``born`` is still running."""
    began = started_at(pid)
    return began is not None and born is not None and abs(began - born) < 2


def _from_proc(stat: Path) -> float | None:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    return _boot_time() + int(fields[19]) / sysconf("SC_CLK_TCK")


@cache
def _boot_time() -> float:
    lines = Path("/proc/stat").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("btime")).split()[1])


def _from_ps(pid: int) -> float | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    fields = run(command, seconds=PS_SECONDS, env={"LC_ALL": "C"}).stdout.decode().split()
    if len(fields) < 6 or fields[0].startswith("Z"):
        return None
    began = datetime.strptime(" ".join(fields[1:6]), "%a %b %d %H:%M:%S %Y")  # noqa: DTZ007 (ps speaks local time)
    return time.mktime(began.timetuple())
