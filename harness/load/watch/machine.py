"""CPU and memory of this machine from Linux: ``/proc/stat`` and ``/proc/meminfo``, see proc(5).

psutil would do, but it is not a dependency, and two lines of two files are all that is needed.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from harness.load.watch.counters import Reading

STAT, MEMINFO = Path("/proc/stat"), Path("/proc/meminfo")
SOURCE = "/proc/stat"
IDLE, IOWAIT, STEAL, COLUMNS = 3, 4, 7, 8  # columns; what follows is in `user` and `nice` already


def ticks_per_second() -> int:
    """The unit of this machine's CPU times."""
    return os.sysconf("SC_CLK_TCK")


def processors() -> int:
    """How many processors there are for whoever runs here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_times(line: str, hz: float) -> tuple[float, float]:
    """CPU seconds used and stolen, from ``cpu  USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL ...``.

    Raises ``ValueError`` for another line.
    """
    name, *fields = line.split()
    if name != "cpu" or len(fields) < COLUMNS:
        raise ValueError(f"{line!r} is not the first line of /proc/stat")
    columns = [int(each) for each in fields[:COLUMNS]]
    used = sum(columns) - columns[IDLE] - columns[IOWAIT] - columns[STEAL]
    return used / hz, columns[STEAL] / hz


def memory(text: str) -> tuple[int, int]:
    """Bytes that there are, and that are used (what cannot be had without swapping), from ``meminfo``."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return total, total - available


def read() -> Reading:
    """This machine now. Raises ``OSError`` if there is no ``/proc``."""
    with STAT.open() as file:
        line = file.readline()
    now = time.monotonic()
    used, stolen = cpu_times(line, ticks_per_second())
    return Reading(now, now, used, memory(MEMINFO.read_text())[1], steal=stolen)
