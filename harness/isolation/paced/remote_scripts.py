"""Run the scripts of ``scripts/`` on a node or here and exchange lines with them; they end with ssh."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from harness.access.ssh import REMOTE_FAILURE, Access
from harness.core import process as processes
from harness.core.errors import CommandError, WaitTimeoutError

SCRIPTS = Path(__file__).with_name("scripts")
LOADER = "import sys;i=sys.stdin.buffer;exec(compile(i.read(int(i.readline())),'wavetank','exec'))"
PYTHON = ("python3", "-I", "-c", LOADER)
STALL_SECONDS = 30.0
POLL_SECONDS = 0.5

Message = dict[str, Any]


def on_node(access: Access, node: str) -> list[str]:
    """The command line that takes a script on ``node``."""
    return access.argv(node, PYTHON)


def here() -> list[str]:
    """The command line that takes a script on this machine."""
    return [sys.executable, *PYTHON[1:]]


class RemoteScript:
    """A script that runs, and its output. Closing it ends the script: its standard input ends.

    Raises ``CommandError`` where it ends with an error, ``WaitTimeoutError`` where its output stops or it
    does not end in time, both with ``where`` in them.
    """

    def __init__(
        self,
        argv: Sequence[str],
        script: str,
        job: Message,
        *,
        where: str,
        deadline: float,
        stop: threading.Event,
    ) -> None:
        self.argv, self.where, self._stop = list(argv), where, stop
        self._ends = time.monotonic() + deadline
        self._deadline = deadline
        self._rest = b""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe could fill up)
        self._process = processes.spawn(
            self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        text = (SCRIPTS / script).read_bytes()
        with suppress(BrokenPipeError):  # it has ended: reading tells why
            self._write(b"%d\n%s%s\n" % (len(text), text, json.dumps(job | {"deadline": deadline}).encode()))

    def lines(self) -> Iterator[Message]:
        """Every line it writes, until it ends without an error."""
        while (line := self._line()) is not None:
            yield json.loads(line)
        code = self._process.wait(POLL_SECONDS * 10)
        if code:
            raise CommandError([self.where, "scan"], code, self._error_output(), where=self.where)

    def send(self, text: bytes) -> None:
        """Write to its standard input."""
        with suppress(BrokenPipeError):
            self._write(text)

    def close(self) -> None:
        """End it, whatever its state, and leave nothing open."""
        self._process.kill()
        processes.forget(self._process)
        self._errors.close()

    def __enter__(self) -> RemoteScript:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self) -> bytes | None:
        last_output = time.monotonic()
        while b"\n" not in self._rest:
            data = self._read(last_output)
            if data == b"":
                return None
            if data:
                last_output = time.monotonic()
                self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    def _read(self, last_output: float) -> bytes | None:
        """Bytes, none at its end, None for nothing yet."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], POLL_SECONDS)
        if ready:
            return os.read(self._process.stdout.fileno(), 1 << 18)
        now = time.monotonic()
        if self._stop.is_set():
            raise CommandError([self.where, "scan"], REMOTE_FAILURE, "interrupted", where=self.where)
        if now > self._ends or now - last_output > STALL_SECONDS:
            waited = self._deadline if now > self._ends else STALL_SECONDS
            raise WaitTimeoutError(f"a scan from {self.where}", waited, self._error_output() or "nothing")
        return None

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def _error_output(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:] or "the connection ended"
