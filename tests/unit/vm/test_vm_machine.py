"""The machine: no way out but one port on loopback, disks that stay as they are, and an end that comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.core.errors import EngineError
from harness.core.process import is_running, started_at
from harness.core.wait import NotYet, wait_for
from harness.vm import machine
from harness.vm.machine import Hardware, Running, free_port, qemu_argv, started

HARDWARE = Hardware(
    Path("vmlinuz"), Path("initrd"), (Path("root.ext4"), Path("data.ext4")), cpus=2, memory=4096
)


def test_its_one_link_is_a_port_on_loopback() -> None:
    """User networking that is restricted, forwarded from 127.0.0.1 only."""
    argv = qemu_argv(HARDWARE, 2222, Path("console.log"))
    nics = [argv[at + 1] for at, word in enumerate(argv) if word in ("-nic", "-netdev", "-net")]
    assert nics == ["user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22"]


def test_what_is_kept_is_never_written_to() -> None:
    """Each disk is a throw-away copy."""
    argv = qemu_argv(HARDWARE, 2222, Path("console.log"))
    drives = [argv[at + 1] for at, word in enumerate(argv) if word == "-drive"]
    assert [drive.split(",")[0] for drive in drives] == ["file=root.ext4", "file=data.ext4"]
    assert all("snapshot=on" in drive.split(",") for drive in drives)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in QEMU's place, which says its number and sleeps."""
    said = tmp_path / "pid"
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho $$ > {said}.new; mv {said}.new {said}; exec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setattr(machine, "PROGRAM", str(program))
    return said


def test_it_ends_with_the_block_whatever_happens_in_it(stand_in: Path, tmp_path: Path) -> None:
    """Also on an error, and on ctrl-C."""

    def interrupted() -> None:
        with started(HARDWARE, tmp_path, tmp_path) as running:
            assert running.process.pid == _said(stand_in)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started_at(_said(stand_in)) is None


def test_it_ends_with_us_when_we_are_killed(stand_in: Path, tmp_path: Path) -> None:
    """Nobody is left to end it then."""
    script = f"""
from pathlib import Path
from harness.vm import machine
machine.PROGRAM = {machine.PROGRAM!r}
hardware = machine.Hardware(Path("k"), Path("i"), (), 1, 1)
with machine.started(hardware, Path({str(tmp_path)!r}), Path({str(tmp_path)!r})):
    input()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as owner:
        pid = _said(stand_in)
        born = started_at(pid)
        owner.send_signal(signal.SIGKILL)
        owner.wait()

        def gone() -> None:
            if is_running(pid, born):
                raise NotYet(f"process {pid} is there")

        wait_for("it to end", gone, deadline=20)


def test_one_that_ended_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    """Blank lines are not words."""
    console = tmp_path / "console.log"
    console.write_text("booting\n\nkernel panic\r\n \n")
    process = subprocess.Popen(["false"])
    process.wait()
    running = Running(process, 1, console)
    with pytest.raises(EngineError, match=r"ended \(exit 1\):\nbooting\nkernel panic"):
        running.check()


def test_a_free_port_can_be_listened_on() -> None:
    """It is one of loopback's."""
    assert 1024 < free_port() < 65536


def _said(file: Path) -> int:
    def probe() -> int:
        if not file.exists():
            raise NotYet("it said nothing")
        return int(file.read_text())

    return wait_for("its number", probe, deadline=20)
