"""Calls `box` (box.c) and hears what it says, without a thread: a child's end makes its pidfd readable."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from judge0_worker.cgroups import MS_NODEV, MS_NOSUID, Groups, mount, unmount
from judge0_worker.verdict import Meta, parse_meta

BOX = "/usr/local/bin/box"
# Beyond the wall limit, which `box` itself keeps.
PATIENCE = 30.0
SHELL = "/usr/bin/bash"


class SandboxError(Exception):
    """The sandbox could not be set up."""


@dataclass(frozen=True)
class Limits:
    """Seconds and KB, as in a submission."""

    cpu: float
    wall: float
    memory: int
    stack: int
    processes: int
    file: int
    tmp: int = 65536
    each_memory: bool = False
    each_time: bool = False
    network: bool = False

    def options(self) -> list[str]:
        words = [
            f"--cpu={self.cpu}",
            f"--wall={self.wall}",
            f"--memory={self.memory}",
            f"--stack={self.stack}",
            f"--processes={self.processes}",
            f"--file={self.file}",
            f"--tmp={self.tmp}",
        ]
        switches = (
            (self.each_memory, "--address-space"),
            (self.each_time, "--cpu-each"),
            (self.network, "--network"),
        )
        return words + [word for on, word in switches if on]


async def setup(root: Path) -> None:
    """Build the tree that every run sees, once."""
    root.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        BOX, "setup", str(root), pass_fds=(), stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    _, error = await process.communicate()
    if process.returncode:
        raise SandboxError(
            f"box setup {root} failed: {error.decode().strip()}; the container needs CAP_SYS_ADMIN and no"
            " AppArmor or seccomp profile that forbids mount (see docker-compose.yml)"
        )


@dataclass
class Slot:
    """One place where one submission at a time runs: a directory on a file system of its own, in memory."""

    directory: Path
    root: Path
    groups: Groups
    name: str
    size: int = 131072
    _runs: int = 0

    @property
    def box(self) -> Path:
        """What the program sees as /box."""
        return self.directory / "box"

    def path(self, name: str) -> Path:
        """A file beside the box, out of the program's sight."""
        return self.directory / name

    def clean(self, uid: int) -> None:
        """Empty, and owned by `uid`: whatever ran here before is gone with its file system."""
        self.directory.mkdir(parents=True, exist_ok=True)
        while unmount(self.directory):
            pass
        options = f"mode=700,nr_inodes=16384,size={self.size}k"
        mount("tmpfs", self.directory, "tmpfs", flags=MS_NOSUID | MS_NODEV, options=options)
        self.box.mkdir(mode=0o700)
        os.chown(self.box, uid, uid)

    async def run(self, script: str, limits: Limits, *, uid: int, stdin: Path | None, merge: bool) -> Meta:
        """Run /box/`script` with the shell; standard output and error are left in `stdout` and `stderr`."""
        self._runs += 1
        arguments = [
            BOX,
            "run",
            f"--root={self.root}",
            f"--dir={self.box}",
            f"--uid={uid}",
            f"--name=box-{self.name}-{self._runs}",
            f"--stdin={stdin or '/dev/null'}",
            f"--stdout={self.path('stdout')}",
            f"--stderr={'-' if merge else self.path('stderr')}",
            *limits.options(),
            *self.groups.options(),
            "--",
            SHELL,
            script,
        ]
        meta = self.path("meta")
        await _spawn(arguments, meta, within=limits.wall + PATIENCE)
        return parse_meta(meta.read_text(errors="replace"))


async def _spawn(arguments: Sequence[str], meta: Path, *, within: float) -> None:
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 3, str(meta), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    pid = os.posix_spawn(arguments[0], arguments, {}, file_actions=actions)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    handle = os.pidfd_open(pid)
    loop.add_reader(handle, lambda: ended.done() or ended.set_result(None))
    try:
        await asyncio.wait_for(ended, within)
    finally:
        loop.remove_reader(handle)
        os.close(handle)
        if not ended.done() or ended.cancelled():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
