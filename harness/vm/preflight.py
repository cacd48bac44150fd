"""What this machine must have for a virtual machine, checked before anything is made."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from harness.core.errors import EngineError, UsageError
from harness.core.paths import PROJECT
from harness.vm import cache, machine

PROGRAMS = (machine.PROGRAM, "mmdebstrap", "mke2fs", "unshare", "setpriv", "chroot")
FREE_BYTES = 12 * 2**30
SET_UP = "run `harness/setup.sh --vm`"
CLONE = "the virtual machine is made from a clone of the project, and this is an installation without one"


def require(memory: int) -> None:
    """Raise ``EngineError``, with what is missing, where a machine of ``memory`` MiB cannot be made.

    Raises ``UsageError`` where this is no clone of the project.
    """
    if not (PROJECT / "pyproject.toml").is_file():
        raise UsageError(CLONE)
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise EngineError("the virtual machine is made on Linux on x86-64 only")
    if os.getuid() != 0:
        raise EngineError("the virtual machine's disks can be made by root only: sudo make local-vm")
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise EngineError(f"not installed: {', '.join(missing)}; {SET_UP}")
    available = available_mebibytes(Path("/proc/meminfo").read_text())
    if available < memory:
        raise EngineError(
            f"the machine needs {memory} MiB and {available} MiB are free: free some, or say --memory"
        )
    directory = cache.cache_dir()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES:
        raise EngineError(f"{free >> 30} GiB are free at {directory}, {FREE_BYTES >> 30} are needed")


def available_mebibytes(meminfo: str) -> int:
    """What programs can still have, from the text of ``/proc/meminfo``."""
    return (
        int(next(line for line in meminfo.splitlines() if line.startswith("MemAvailable")).split()[1]) >> 10
    )
