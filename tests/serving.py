"""A server process, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.wait import NotYet, wait_for

READY, ENDED = 30.0, 10.0


@dataclass(frozen=True)
class Served:
    """A running server: its process, and what its endpoint file says."""

    process: subprocess.Popen[bytes]
    state: Path
    https: str
    http: str
    token: str
    ca_file: str

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(ENDED)


def start(state: Path, *, plane: str = "memory", environment: Mapping[str, str] | None = None) -> Served:
    """Start a server and wait until its endpoint file tells of it."""
    argv = [sys.executable, "-m", "emulator", "serve", "--plane", plane, "--state", str(state)]
    process = subprocess.Popen(argv, env={**os.environ, **(environment or {})})
    file = state / "endpoint.json"

    def probe() -> Served:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}")
        if not file.exists():
            raise NotYet(f"no {file}")
        endpoint = json.loads(file.read_text())
        if endpoint["pid"] != process.pid:
            raise NotYet("the endpoint file of the server before")
        keys = ("https", "http", "token", "ca_file")
        return Served(process, state, **{key: endpoint[key] for key in keys})

    return wait_for("the emulator to be ready", probe, deadline=READY)


@contextmanager
def served(state: Path, **environment: str) -> Iterator[Served]:
    """A server for the length of a block; ended in good order."""
    server = start(state, environment=environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
        server.process.wait(ENDED)
