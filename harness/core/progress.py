"""Progress messages on stderr. Results go to stdout."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class Progress:
    """Reports steps when they end, and records how long each took (``timings``, seconds).

    Safe to use from several threads. ``quiet`` records the timings and prints nothing. Without a ``stream``
    it writes to the current ``sys.stderr``, so that a live view can show its lines above itself.
    """

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._lock = threading.Lock()
        self.timings: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; its name and outcome are printed when it ends."""
        start = time.monotonic()
        mark = "failed"
        try:
            yield
            mark = "ok"
        except KeyboardInterrupt:
            mark = "stopped"
            raise
        finally:
            seconds = time.monotonic() - start
            with self._lock:
                self.timings[name] = round(seconds, 3)
            self.note(f"{name}: {mark} ({seconds:.1f} s)")

    def note(self, text: str) -> None:
        """Print one message."""
        if self._quiet:
            return
        with (
            self._lock,
            suppress(OSError),
        ):  # the terminal may be gone, but the work goes on
            print(text, file=self._stream or sys.stderr, flush=True)
