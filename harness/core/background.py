"""Work in the background of the main flow, which does not wait for it if it ends early."""

from __future__ import annotations

import threading
from collections.abc import Callable

from harness.core import signals


class Background:
    """Work in a daemon thread; a signal ends its waits."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = signals.bound(work)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until it has finished, and raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 (raised again where it is waited for)
            self._error = error


def start(work: Callable[[], None]) -> Background:
    """Begin ``work`` now; ``finish`` waits for it."""
    return Background(work)
