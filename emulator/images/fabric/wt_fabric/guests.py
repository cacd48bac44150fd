"""Droplets seen from the machine below: their first processes, whose network namespaces are the droplets'.

A droplet's container runs runc, and runc the droplet, in namespaces of its own; the engine knows only
the container.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from wt_fabric.command import FabricError

PAUSE = 0.02
PROC = Path("/proc")


def first_process(pid: int, seconds: float = 0) -> int | None:
    """The first process of the droplet that the container's process ``pid`` runs.

    None: there is none yet, not within ``seconds`` either. Raises ``FabricError`` where the container ends.
    """
    end = time.monotonic() + seconds
    while True:
        found = next((child for child in _children(pid) if _is_first(child)), None)
        if found is not None:
            return found
        if not (PROC / str(pid)).exists():
            raise FabricError(f"process {pid} is gone: the machine stopped while it was started")
        if time.monotonic() >= end:
            return None
        time.sleep(PAUSE)


def _children(pid: int) -> Iterator[int]:
    try:
        for path in (PROC / str(pid) / "task").iterdir():
            yield from map(int, (path / "children").read_text().split())
    except OSError:  # it ended meanwhile, or the kernel lists no children (CONFIG_PROC_CHILDREN)
        everybody = (int(path.name) for path in PROC.glob("[0-9]*"))
        yield from (each for each in everybody if _status(each, "PPid") == [pid])


def _is_first(pid: int) -> bool:
    """Whether it is number 1 of a process namespace of its own: runc's helpers are not."""
    numbers = _status(pid, "NSpid")
    return len(numbers) > 1 and numbers[-1] == 1


def _status(pid: int, field: str) -> list[int]:
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return []
    values = (line.split()[1:] for line in lines if line.startswith(f"{field}:"))
    return [int(word) for word in next(values, [])]
