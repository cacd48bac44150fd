"""Call something periodically in a thread, for the length of a block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

JOIN_SECONDS = 5.0
REPEATING = "wavetank-repeating"  # the threads' name


@contextmanager
def repeating(
    every: float, action: Callable[[], object], failed: Callable[[float, str], object]
) -> Iterator[None]:
    """Call ``action`` at once and then every ``every`` seconds; what takes longer is not made up for.

    ``failed`` gets the time (monotonic) and the reason if a call raises; the next call is made nevertheless.
    An action that still runs when the block ends is waited for a few seconds, and then left to end by itself.
    """
    over = threading.Event()

    def run() -> None:
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            try:
                action()
            except Exception as error:  # noqa: BLE001 (whatever it is: a watcher must not end the run)
                failed(time.monotonic(), _message(error))
            due = max(due + every, time.monotonic())

    thread = threading.Thread(target=run, name=REPEATING, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(JOIN_SECONDS)


def _message(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
