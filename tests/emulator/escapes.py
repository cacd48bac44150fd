"""Tries to get out of a machine, as its root; runs where it is tried, and needs nothing but Python and Linux.

In (argument, or standard input): JSON with ``canary`` (a file on the disk of the machine below and its text)
and ``markers`` (last words of command lines of processes elsewhere).
Out: JSON, by attack what it reached, or null.
What could do harm is done so that it does none: a sysctl is written what it holds, a trigger is opened only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

GIVEN = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {  # x86-64, and what every architecture since has
    "x86_64": {
        "init_module": 175,
        "kexec_load": 246,
        "add_key": 248,
        "perf_event_open": 298,
        "open_by_handle_at": 304,
        "bpf": 321,
        "syslog": 103,
        "io_uring_setup": 425,
        "socket": 41,
    },
    "aarch64": {
        "init_module": 105,
        "kexec_load": 104,
        "add_key": 217,
        "perf_event_open": 241,
        "open_by_handle_at": 265,
        "bpf": 280,
        "syslog": 116,
        "io_uring_setup": 425,
        "socket": 198,
    },
}[os.uname().machine]
AF_VSOCK = 40
SYSCTLS = (
    "kernel/core_pattern", "kernel/modprobe", "kernel/panic", "kernel/sysrq", "kernel/printk",
    "kernel/threads-max", "fs/suid_dumpable", "fs/file-max", "vm/overcommit_memory", "vm/swappiness",
)  # fmt: skip


def syscall(name: str, *arguments: object) -> int:
    """A system call by its name; raises ``OSError``."""
    result = LIBC.syscall(NUMBERS[name], *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def disk_by_number() -> str:
    """The root of every file system that shows here, opened by its number past all mounts."""
    path, text = GIVEN["canary"]
    for mounted in dict.fromkeys(
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ):
        for inode in (2, 128, 256):  # ext4, xfs, btrfs
            handle = (ctypes.c_uint32 * 4)(8, 1, inode, 0)
            try:
                below = os.open(mounted, os.O_RDONLY)
                root = syscall("open_by_handle_at", below, handle, os.O_RDONLY)
                with os.fdopen(os.open(path.lstrip("/"), os.O_RDONLY, dir_fd=root)) as file:
                    if file.read() == text:
                        return f"{path} through {mounted}"
            except OSError:
                continue
    raise PermissionError


def procs() -> Iterator[Path]:
    """The proc that is there, and one that is mounted for it."""
    yield Path("/proc")
    fresh = Path("/tmp/proc")
    fresh.mkdir(exist_ok=True)
    if LIBC.mount(b"proc", b"/tmp/proc", b"proc", 0, None) == 0:
        yield fresh


def sysctls() -> str:
    """Settings of the whole machine, each written what it holds."""
    reached = []
    for proc in procs():
        for name in SYSCTLS:
            try:
                file = proc / "sys" / name
                file.write_text(file.read_text())
                reached.append(str(file))
            except OSError:
                continue
    return found(reached)


def triggers() -> str:
    """What pulls a lever of the machine: opened for writing, not written."""
    names = [f"{proc}/sysrq-trigger" for proc in procs()] + [
        "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/fs/cgroup/release_agent", *map(str, Path("/sys/fs/cgroup").glob("*/release_agent")),
    ]  # fmt: skip
    return found([name for name in names if opens(name, os.O_WRONLY)])


def memory() -> str:
    """The machine's memory and its kernel's log."""
    names = [f"{proc}/{name}" for proc in procs() for name in ("kcore", "kmsg")]
    return found([name for name in [*names, "/dev/kmsg", "/dev/mem"] if opens(name, os.O_RDONLY)])


def devices() -> str:
    """Disks and other devices of the machine, made here by their numbers."""
    numbers = {line.split()[2] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    wanted = [(0o060600, *map(int, each.split(":"))) for each in numbers] + [
        (0o020600, 1, 1),
        (0o020600, 1, 11),
    ]
    return found([f"{major}:{minor}" for mode, major, minor in wanted if device(mode, major, minor)])


def device(mode: int, major: int, minor: int) -> bool:
    """Whether a device of that number can be made and read."""
    path = f"/tmp/device-{major}-{minor}"
    try:
        os.mknod(path, mode, os.makedev(major, minor))
        return opens(path, os.O_RDONLY)
    except OSError:
        return False
    finally:
        Path(path).unlink(missing_ok=True)


def opens(path: str, flags: int) -> bool:
    """Whether a file can be opened; Docker hides some behind the null device."""
    try:
        opened = os.open(path, flags | os.O_NONBLOCK)
    except OSError:
        return False
    device = os.fstat(opened).st_rdev
    os.close(opened)
    return device != os.makedev(1, 3)


def found(reached: list[str]) -> str:
    """What was reached; raises ``PermissionError`` where nothing was."""
    if not reached:
        raise PermissionError
    return ", ".join(reached)


def processes() -> str:
    """Processes of the machine below, and of other machines."""
    return found([str(path) for proc in procs() for path in proc.glob("[0-9]*/cmdline") if marked(path)])


def marked(cmdline: Path) -> bool:
    """Whether a process is one of those elsewhere."""
    try:
        words = cmdline.read_text(errors="replace").split("\0")
    except OSError:
        return False
    return bool(set(GIVEN["markers"]) & set(words[-2:-1]))


@contextlib.contextmanager
def hierarchy(names: str) -> Iterator[Path]:
    """Control groups of version 1, mounted anew."""
    place = Path(f"/tmp/cgroup-{names.replace('=', '-')}")
    place.mkdir(exist_ok=True)
    there = bool(names) and LIBC.mount(b"cgroup", str(place).encode(), b"cgroup", 0, names.encode()) == 0
    try:
        yield place
    finally:
        if there:
            LIBC.umount2(str(place).encode(), 2)


def release_agent() -> str:
    """The program that the machine's kernel starts when a group of control groups is empty."""
    reached = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        with hierarchy(line.split(":")[1]) as place:
            reached += [str(file) for file in place.rglob("release_agent") if opens(str(file), os.O_WRONLY)]
    return found(reached)


def kernel_log() -> str:
    """The kernel's log by its system call: 10 asks for its size."""
    return f"{syscall('syslog', 10, None, 0)} bytes"


def kernel_module() -> str:
    """Code for the kernel. What is refused for being no module would have been taken if it were one."""
    try:
        syscall("init_module", b"", 0, b"")
    except OSError as error:
        if isinstance(error, PermissionError):
            raise
    return "init_module"


def kernel_program() -> str:
    """bpf(2): a map of one element, which every program begins with."""
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    return f"descriptor {syscall('bpf', 0, attributes, ctypes.sizeof(attributes))}"


def counters() -> str:
    """perf_event_open(2) over all processes of a processor: context switches, which every machine counts."""
    attributes = (ctypes.c_uint64 * 16)()
    attributes[0], attributes[1] = 1 | 112 << 32, 3
    return f"descriptor {syscall('perf_event_open', attributes, -1, 0, -1, 0)}"


def new_kernel() -> str:
    """kexec_load(2) of nothing, which takes away a kernel that somebody loaded; none did."""
    return str(syscall("kexec_load", 0, 0, None, 0))


def keyring() -> str:
    """A key in a keyring, which knows no namespaces."""
    return str(syscall("add_key", b"user", b"wavetank-escape", b"x", 1, ctypes.c_int(-2)))


def ring() -> str:
    """io_uring_setup(2), through which much of a kernel can be reached that filters do not see."""
    return f"descriptor {syscall('io_uring_setup', 1, (ctypes.c_uint8 * 120)())}"


def hypervisor() -> str:
    """A socket to the hypervisor; the kernel takes the family for an int, whatever is above."""
    families = (AF_VSOCK, AF_VSOCK | 1 << 32, AF_VSOCK | 1 << 63)
    return found([hex(each) for each in families if opened(each)])


def opened(family: int) -> bool:
    """Whether there is a socket of that family."""
    made = LIBC.syscall(
        ctypes.c_long(NUMBERS["socket"]), ctypes.c_ulong(family), ctypes.c_ulong(1), ctypes.c_ulong(0)
    )
    if made >= 0:
        os.close(made)
    return bool(made >= 0)


def freezer() -> str:
    """A control group of version 1 whose processes nothing ends while they are frozen."""
    with hierarchy("freezer") as mounted:
        places = [place for place in (Path("/sys/fs/cgroup/freezer"), mounted) if (place / "tasks").exists()]
        return found([str(place) for place in places if makes_group(place)])


def makes_group(place: Path) -> bool:
    """Whether a group can be made there."""
    try:
        (place / "wavetank-escape").mkdir()
        (place / "wavetank-escape").rmdir()
    except OSError:
        return False
    return True


ATTACKS: tuple[Callable[[], str], ...] = (
    disk_by_number, sysctls, triggers, memory, devices, processes, release_agent, kernel_log, kernel_module,
    kernel_program, counters, new_kernel, keyring, ring, hypervisor, freezer,
)  # fmt: skip


def attempt(attack: Callable[[], str]) -> str | None:
    """What an attack reached; None where it was refused."""
    try:
        return attack()
    except OSError:
        return None


print(json.dumps({attack.__name__: attempt(attack) for attack in ATTACKS}))  # noqa: T201 (its result)
