"""Locust's processes on this machine: each ends with this process, however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.core.paths import PROJECT
from harness.core.wait import scaled
from harness.load.generator.generator import GeneratorError
from harness.load.locust.channel import Channel

LOCUST_FILE = Path(__file__).with_name("locust_file.py")
PARENT, CONTROL, NAME = "WAVETANK_PARENT", "WAVETANK_CONTROL", "WAVETANK_WORKER"
SECRET = "WAVETANK_LOCUST_SECRET"  # noqa: S105 (a name)
QUIT_SECONDS = 10.0
LOG_LINES = 15
MASTER = "master"


class WorkerProcesses:
    """Locust's processes on this machine, by name, and the channel to the master. Logs: in ``directory``."""

    def __init__(self, channel: Channel, directory: Path) -> None:
        self.channel, self._directory = channel, directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, arguments: Sequence[str], more: Mapping[str, str], *, fds: Sequence[int] = ()
    ) -> None:
        """Start one. ``more`` are variables of its environment."""
        with self._log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                argv(arguments),
                env={**environment(), NAME: name, **more},
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
                start_new_session=True,
            )

    @property
    def names(self) -> set[str]:
        """Of all processes here."""
        return set(self._processes)

    def pid(self, name: str) -> int:
        """Its process id."""
        return self._processes[name].pid

    def dead(self) -> dict[str, str]:
        """The processes that have ended, by name, and how."""
        return {
            name: f"{_how(process.returncode)}{self.log_tail(name)}"
            for name, process in self._processes.items()
            if process.poll() is not None
        }

    def log_tail(self, name: str) -> str:
        """The last lines of its log."""
        lines = self._log(name).read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "".join(f"\n  {line}" for line in lines)

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message from the master. Raises ``GeneratorError`` if the master has ended."""
        found = self.channel.receive(seconds)
        if found is None and self.channel.closed:
            with suppress(subprocess.TimeoutExpired):
                self._processes[MASTER].wait(1.0)
            how = self.dead().get(MASTER, "it closed the connection" + self.log_tail(MASTER))
            raise GeneratorError(f"Locust's master ended: {how}")
        return found

    def quit(self) -> None:
        """Ask the master to end all workers, those on other machines, too, and then itself."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self.channel.send({"kind": "quit"})
            self._processes[MASTER].wait(scaled(QUIT_SECONDS))

    def end(self) -> None:
        """Kill every process and its children."""
        for process in self._processes.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()

    def _log(self, name: str) -> Path:
        return self._directory / f"{name.replace(' ', '-')}.log"


@contextmanager
def worker_processes() -> Iterator[tuple[WorkerProcesses, socket.socket]]:
    """No processes yet, and the master's end of the channel: close that once the master has inherited it."""
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryDirectory(prefix="wavetank-locust-") as directory:
        made = WorkerProcesses(Channel(ours), Path(directory))
        try:
            yield made, theirs
        finally:
            made.end()


def argv(arguments: Sequence[str]) -> list[str]:
    """The command of one of Locust's processes. ``-P``: no module is taken from where it happens to run."""
    return [sys.executable, "-P", "-m", "locust", "-f", str(LOCUST_FILE), "--headless", *arguments]


def environment() -> Mapping[str, str]:
    """Ours, without what would configure Locust otherwise."""
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")}
    return {**kept, "PYTHONPATH": path, PARENT: str(os.getpid())}


def _how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
