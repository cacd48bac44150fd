"""The virtual machine: QEMU with an emulated processor, temporary copies of its disks, and no network access.

Its one link to anything is a port on this machine's loopback that leads to its sshd.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import EngineError

PROGRAM = "qemu-system-x86_64"
END_SECONDS = 20.0
# A processor of x86-64-v2, which Debian's packages and manylinux wheels may need and QEMU emulates quickly.
PROCESSOR = "Nehalem"
KERNEL_ARGUMENTS = (
    "root=/dev/vda",
    "rw",
    "console=ttyS0",
    "net.ifnames=0",
    "apparmor=0",  # its profile for containers forbids mount, which a swarm cannot lift for Judge0's workers
    "mitigations=off",
    "nowatchdog",
    "rcupdate.rcu_cpu_stall_suppress=1",
    "random.trust_cpu=on",
    "systemd.show_status=1",
    "quiet",
)


@dataclass(frozen=True)
class Hardware:
    """What a machine is made of: kernel, initrd and raw disk images, processors and memory in MiB."""

    kernel: Path
    initrd: Path
    disks: tuple[Path, ...]
    cpus: int
    memory: int


@dataclass(frozen=True)
class Running:
    """A machine that was started: where its sshd will answer on loopback, and what it writes to."""

    process: subprocess.Popen[bytes]
    port: int
    console: Path

    def check(self) -> None:
        """Raise ``EngineError`` with its last lines if it has ended."""
        if self.process.poll() is not None:
            raise EngineError(
                f"the virtual machine ended (exit {self.process.returncode}):\n{self.last_lines(20)}"
            )

    def last_lines(self, number: int) -> str:
        """The last lines of its console."""
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-number:])


def qemu_argv(hardware: Hardware, port: int, console: Path) -> list[str]:
    """QEMU's command line."""
    drives = [
        f"-drive=file={disk},format=raw,if=virtio,snapshot=on,cache=unsafe,aio=threads"
        for disk in hardware.disks
    ]
    forward = f"hostfwd=tcp:127.0.0.1:{port}-:22"
    return [
        PROGRAM,
        "-nodefaults",
        "-no-user-config",
        "-display", "none",
        "-no-reboot",
        "-machine", "q35,usb=off,vmport=off",
        "-accel", "tcg,thread=multi,tb-size=1024",
        "-cpu", PROCESSOR,
        "-smp", str(hardware.cpus),
        "-m", f"{hardware.memory}M",
        "-kernel", str(hardware.kernel),
        "-initrd", str(hardware.initrd),
        "-append", " ".join(KERNEL_ARGUMENTS),
        *(word for drive in drives for word in drive.split("=", 1)),
        "-nic", f"user,model=virtio-net-pci,restrict=on,{forward}",
        "-device", "virtio-rng-pci",
        "-chardev", f"file,id=console,path={console}",
        "-serial", "chardev:console",
    ]  # fmt: skip


@contextmanager
def started(hardware: Hardware, directory: Path, scratch: Path) -> Iterator[Running]:
    """A machine that runs until the block ends, however it ends, and never longer than this process.

    ``directory`` gets ``console.log`` and ``qemu.log``; what the guest writes to its disks goes into
    ``scratch``, into files that nobody sees and that go with the machine.
    """
    console, port = directory / "console.log", free_port()
    # In a session of its own: a ctrl-C is for us, and we end it. Should we be killed, it is too.
    argv = ["setpriv", "--pdeathsig", "KILL", *qemu_argv(hardware, port, console)]
    with (directory / "qemu.log").open("wb") as log:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(scratch)},
            )
        except FileNotFoundError as error:
            raise EngineError(f"{error.filename} is not installed: run `harness/setup.sh --vm`") from error
    try:
        yield Running(process, port, console)
    finally:
        _end(process)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
