"""What happens in the guest: it boots, a command runs, and its results are fetched."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.core.errors import CommandError, EngineError, WaitTimeoutError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.run.rundir import RunDir
from harness.vm import initrd, machine, project
from harness.vm.build import Made
from harness.vm.guest import Guest, make_keys
from harness.vm.machine import Hardware, Running

GUEST_PROJECT = "/opt/wavetank"
RESULTS = ("report.json", "report.html", "junit.xml", "logs")
LOST = 255  # ssh's own exit code

LOGIN_SECONDS = 600.0
ENGINE_SECONDS = 600.0
ASK_SECONDS = 120.0
FETCH_SECONDS = 300.0
LOOK_SECONDS = 30.0

DESCRIBE = """\
printf 'Linux %s, control groups %s, ' "$(uname -r)" "$(stat -fc %T /sys/fs/cgroup)"
docker version --format 'engine {{.Server.Version}}'
"""


@contextmanager
def booted(
    made: Made, scratch: Path, run_dir: RunDir, progress: Progress, *, cpus: int, memory: int
) -> Iterator[tuple[Running, Guest]]:
    """The machine, with an engine that answers, until the block ends. ``memory`` is in MiB.

    Raises ``EngineError`` where it ends by itself, ``WaitTimeoutError`` with its console's last lines.
    """
    keys, first = make_keys(), scratch / "initrd"
    first.touch(0o600)
    first.write_bytes(initrd.make_initrd(made.root, keys.seed()))
    hardware = Hardware(initrd.kernel(made.root), first, made.disks, cpus, memory)
    with machine.started(hardware, run_dir.path, scratch) as running:
        guest = Guest(run_dir.path, keys, running.port)
        progress.note(f"vm: log in with: {shlex.join(guest.argv('bash'))}")
        with progress.step("vm: boot until ssh answers"):
            _await(running, guest, "true", "the guest's sshd", LOGIN_SECONDS)
        with progress.step("vm: boot until its engine answers"):
            _await(running, guest, "docker version", "the guest's engine", ENGINE_SECONDS)
        progress.note(f"vm: {guest.run(DESCRIBE, deadline=ASK_SECONDS).strip()}")
        yield running, guest


def follow(
    running: Running,
    guest: Guest,
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    deadline: float,
) -> int:
    """Run ``command`` there in the project's directory and return its exit code.

    What it says goes to stderr and into ``log``. Raises ``WaitTimeoutError`` after ``deadline`` seconds,
    ``EngineError`` where the machine ended or the connection was lost.
    """
    given = [f"{name}={value}" for name, value in environment.items()]
    with log.open("wb") as sink, log.open("rb") as source:
        process = guest.begin(["env", *given, *command], directory=GUEST_PROJECT, output=sink)

        def probe() -> int:
            ended = process.poll()
            _print(source.read())
            running.check()
            if ended is None:
                raise NotYet(_last_line(log) or running.last_lines(1) or "nothing")
            return ended

        try:
            code = wait_for("the run inside", probe, deadline=deadline, max_pause=0.5)
        finally:
            process.kill()
            process.wait()
    if code == LOST:
        raise EngineError(f"the connection to the guest was lost; it said last:\n{running.last_lines(20)}")
    return code


def fetch_results(guest: Guest, run_dir: RunDir) -> None:
    """Copy what the run of that name wrote into its directory here, if it wrote anything."""
    there = f"{GUEST_PROJECT}/{project.STATE}/runs/{run_dir.run}"
    if guest.run(f"ls -d {shlex.quote(there)} 2>/dev/null || true", deadline=ASK_SECONDS).strip():
        guest.fetch(RESULTS, there, run_dir.path, deadline=FETCH_SECONDS)


def _await(running: Running, guest: Guest, script: str, awaited: str, deadline: float) -> None:
    def probe() -> None:
        running.check()
        try:
            guest.run(script, deadline=LOOK_SECONDS)
        except (CommandError, WaitTimeoutError) as error:
            message = str(error).splitlines()[-1]
            raise NotYet(f"{message}; on its console: {running.last_lines(3)}") from error

    wait_for(awaited, probe, deadline=deadline, first_pause=0.5, max_pause=1.0)


def _print(message: bytes) -> None:
    sys.stderr.write(message.decode(errors="replace"))
    sys.stderr.flush()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else ""
