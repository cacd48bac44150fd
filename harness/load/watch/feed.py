"""Lines of a command that runs until it is stopped, and is restarted if it ends by itself."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from harness.core.errors import WavetankError

AGAIN_SECONDS = 5.0
END_SECONDS = 5.0


class Feed:
    """One command and the thread that reads it. ``close`` ends both.

    ``argv`` returns the command line at each start, and may raise ``WavetankError``: not reachable now.
    ``take`` gets each line with its time of arrival (``time.monotonic``), ``ended`` the time and the reason
    if the command ended by itself. All are called in the thread.
    """

    def __init__(
        self,
        argv: Callable[[], list[str]],
        take: Callable[[float, str], object],
        ended: Callable[[float, str], object],
        *,
        again: float = AGAIN_SECONDS,
    ) -> None:
        self._argv, self._take, self._ended, self._again = argv, take, ended, again
        self._over = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the command, and wait for it."""
        self.request_stop()
        self._thread.join(END_SECONDS)

    def request_stop(self) -> None:
        """Ask the command to end, without waiting: there may be others to stop."""
        with self._starting:
            self._over.set()
            if self._process is not None:
                self._process.terminate()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                why = self._follow(self._argv())
            except (WavetankError, OSError) as error:
                why = str(error).strip().splitlines()[-1]  # of a command: its last message
            if not self._over.is_set():
                self._ended(time.monotonic(), why)
            self._over.wait(self._again)

    def _follow(self, argv: list[str]) -> str:
        """Read to the end; returns how it ended, in words."""
        # Standard error is a file: a connection that ssh leaves in the background would hold a pipe open.
        with tempfile.TemporaryFile("w+") as errors:
            process = self._start(argv, errors.fileno())
            if process is None:
                return ""
            try:
                for line in process.stdout or ():
                    self._take(time.monotonic(), line)
            finally:
                code = _end(process)
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            return f"exit {code}" + (f": {lines[-1]}" if lines else "")

    def _start(self, argv: list[str], errors: int) -> subprocess.Popen[str] | None:
        with self._starting:
            if self._over.is_set():
                return None
            # A session of its own: ctrl-C is for us, and readings are needed until we end.
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            return self._process


def _end(process: subprocess.Popen[str]) -> int:
    if process.stdout is not None:
        process.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        return process.wait(END_SECONDS)
    process.kill()
    return process.wait()
