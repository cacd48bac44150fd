"""Whether a process is there, and whether it is the one we mean: numbers are used again.

And what one that outlives us need not know.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from os import sysconf
from pathlib import Path

SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY", re.IGNORECASE
)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment a process may have that runs on: all but tokens, passwords and keys, by name."""
    return {name: value for name, value in environment.items() if not SECRET.search(name)}


def started_at(pid: int) -> float | None:
    """When process ``pid`` began, in seconds since the epoch (to a second or so); None: there is none.

    A process that has ended and was not yet waited for counts as gone.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/stat").exists():
        return _from_proc(stat)
    return _from_ps(pid)


def is_running(pid: int, born: float | None) -> bool:
    """Whether the process that began at ``born`` still runs."""
    seen = started_at(pid)
    return seen is not None and born is not None and abs(seen - born) < 2


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
    told = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    ).stdout.split()
    if len(told) < 6 or told[0].startswith("Z"):
        return None
    began = datetime.strptime(" ".join(told[1:6]), "%a %b %d %H:%M:%S %Y")  # noqa: DTZ007 (ps speaks local time)
    return time.mktime(began.timetuple())
