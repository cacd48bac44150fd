"""Calls `box` (box.c) and hears what it says, without a thread: a child's end makes its pidfd readable."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from judge0_worker.cgroups import MS_NODEV, MS_NOSUID, Groups, mount, unmount
from judge0_worker.report import Meta, parse_meta, receive

BOX = "/usr/local/bin/box"
# Beyond the wall limit, which `box` itself keeps.
PATIENCE = 30.0
SHELL = "/usr/bin/bash"
# A control group stays while the kernel takes its last process apart.
TIDY_SECONDS = 1.0
# Where `box` writes its report.
REPORT = 3


class SandboxError(Exception):
    """The sandbox could not be set up."""


@dataclass(frozen=True)
class Limits:
    """Seconds and KB, as in a submission; `total`: memory of all processes where each has its own limit."""

    cpu: float
    wall: float
    memory: int
    stack: int
    processes: int
    file: int
    tmp: int = 65536
    total: int = 0
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
            f"--memory-total={self.total}",
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


@dataclass(frozen=True)
class Outcome:
    """How a run ended and what it wrote; None for a stream with nothing on it."""

    meta: Meta
    stdout: bytes | None
    stderr: bytes | None


@dataclass
class Slot:
    """One place where one submission at a time runs: a directory on a file system of its own, in memory."""

    directory: Path
    root: Path
    groups: Groups
    name: str
    size: int = 131072
    _runs: int = 0
    _left: list[str] = field(default_factory=list)

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
        self.empty()
        options = f"mode=700,nr_inodes=16384,size={self.size}k"
        mount("tmpfs", self.directory, "tmpfs", flags=MS_NOSUID | MS_NODEV, options=options)
        self.box.mkdir(mode=0o700)
        os.chown(self.box, uid, uid)

    def empty(self) -> None:
        """Leave nothing of what ran here: no file, and no control group that its `box` could not remove."""
        while unmount(self.directory):
            pass
        self._tidy()

    def _tidy(self) -> None:
        self._left = [name for name in self._left if not self.groups.remove(name)]
        if self._left:
            asyncio.get_running_loop().call_later(TIDY_SECONDS, self._tidy)

    async def run(
        self, command: Sequence[str], limits: Limits, *, uid: int, stdin: Path | None, merge: bool = False
    ) -> Outcome:
        """Run a command in /box. `merge` sends its standard error where its output goes."""
        self._runs += 1
        name = f"box-{self.name}-{self._runs}"
        with _stream(self.path("stdout")) as stdout, _stream(self.path("stderr")) as stderr:
            arguments = [
                BOX,
                "run",
                f"--root={self.root}",
                f"--dir={self.box}",
                f"--uid={uid}",
                f"--name={name}",
                f"--stdin={stdin or '/dev/null'}",
                f"--stdout={self.path('stdout')}",
                f"--stderr={'-' if merge else self.path('stderr')}",
                *limits.options(),
                *self.groups.options(),
                "--",
                *command,
            ]
            self._left.append(name)
            meta = parse_meta(await _spawn(arguments, within=limits.wall + PATIENCE))
            largest = limits.file * 1024
            return Outcome(meta, _read(stdout, largest), _read(stderr, largest))


@contextlib.contextmanager
def _stream(path: Path) -> Iterator[int]:
    """A new, empty file for a program to write, open for reading here before the program runs."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _read(handle: int, largest: int) -> bytes | None:
    """What a program wrote, however long it made the file: no more than it was allowed to write."""
    parts: list[bytes] = []
    at = 0
    while at < largest and (part := os.pread(handle, min(largest - at, 1 << 20), at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts) or None


async def _spawn(arguments: Sequence[str], *, within: float) -> str:
    """What `box` reports: nobody but `box` has the other end of the pipe."""
    report, its_end = os.pipe2(os.O_CLOEXEC)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, its_end, REPORT),
    ]
    try:
        try:
            pid = os.posix_spawn(arguments[0], arguments, {}, file_actions=actions)
        finally:
            os.close(its_end)
        await _ended(pid, within)
        return receive(report)
    finally:
        os.close(report)


async def _ended(pid: int, within: float) -> None:
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
