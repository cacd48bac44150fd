"""Where runs get control groups of their own: v1 and v2, inside a container that may make mounts."""

import contextlib
import ctypes
import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("judge0.cgroups")

_libc = ctypes.CDLL(None, use_errno=True)
MS_NOSUID, MS_NODEV, MNT_DETACH = 2, 4, 2


def mount(source: str, target: Path, kind: str, *, flags: int = 0, options: str = "") -> None:
    """mount(2); raises OSError."""
    if _libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def unmount(target: Path) -> bool:
    """Detach what is mounted at `target`; False where nothing was."""
    return _libc.umount2(str(target).encode(), MNT_DETACH) == 0


@dataclass(frozen=True)
class Groups:
    """Directories under which `box` makes a group for each run; None where there is no such controller."""

    memory: Path | None = None
    cpu: Path | None = None
    unified: Path | None = None

    def options(self) -> list[str]:
        """The arguments that tell `box`."""
        if self.unified:
            return ["--cgroup2", str(self.unified)]
        found = [("--memory-cgroup", self.memory), ("--cpu-cgroup", self.cpu)]
        return [word for option, path in found if path for word in (option, str(path))]

    def remove(self, name: str) -> bool:
        """Remove what a `box` has left; False while one of its processes is not quite gone."""
        groups = [base / name for base in (self.memory, self.cpu, self.unified) if base]
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()
        return not any(group.exists() for group in groups)


def find(directory: Path) -> Groups:
    """Mount what is needed below `directory`. Without control groups, limits hold for each process only."""
    text = Path("/proc/self/cgroup").read_text()
    try:
        if Path("/sys/fs/cgroup/cgroup.controllers").exists():
            return Groups(unified=_unified(directory / "cgroup2"))
        return Groups(memory=_first(text, "memory", directory), cpu=_first(text, "cpuacct", directory))
    except OSError as error:
        log.warning(
            "no control groups (%s): memory and time are limited for each process, not for all", error
        )
        return Groups()


def _unified(point: Path) -> Path:
    point.mkdir(parents=True, exist_ok=True)
    mount("cgroup2", point, "cgroup2")
    # Processes may live only in leaves once a controller is on: this worker moves into one.
    leaf = point / "worker"
    leaf.mkdir(exist_ok=True)
    for pid in (point / "cgroup.procs").read_text().split():
        (leaf / "cgroup.procs").write_text(pid)
    (point / "cgroup.subtree_control").write_text("+memory +cpu")
    return point


def _first(text: str, controller: str, directory: Path) -> Path:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            point = directory / controller
            point.mkdir(parents=True, exist_ok=True)
            mount("cgroup", point, "cgroup", options=controllers)
            base = point / path.lstrip("/")
            if not base.is_dir() or not os.access(base, os.W_OK):
                raise OSError(f"{base} is not there or not writable")
            return base
    raise OSError(f"no {controller} controller in /proc/self/cgroup")
