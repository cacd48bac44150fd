"""The test bench of every experiment: workload, route, monitoring, and a function that scales workers.

Everything that touches a deployment is passed in as a function, so that experiments can run on a simulation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.judge0.model import Route
from harness.load.model import Order, Recording, Tick, Workload
from harness.load.watch.kinds import Kinds
from harness.load.watch.watching import Observed

OnTick = Callable[[Tick], None]


class Watch(Protocol):
    """Monitors the nodes during a run."""

    def collect(self, began: float) -> Observed:
        """What was observed since ``began``, Unix time."""


class Generate(Protocol):
    """A load generator: :func:`harness.load.generator.generator.generate`, or Locust, or a simulation."""

    def __call__(
        self, order: Order, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
    ) -> Recording:
        """Run ``order`` and return the recording."""


class NothingWatched:
    """No monitoring."""

    def collect(self, began: float) -> Observed:
        """Nothing."""
        del began
        return Observed((), None, None, ())


def _unwatched() -> AbstractContextManager[Watch]:
    return nullcontext(NothingWatched())


def _quiet(title: str, seconds: float | None) -> AbstractContextManager[OnTick | None]:
    del title, seconds
    return nullcontext(None)


@dataclass(frozen=True)
class Bench:
    """A deployment under load.

    ``slots`` is how many programs one worker task runs at once, or None if unknown. ``scale`` sets the number
    of worker tasks and returns once they accept work; None: not possible. ``note`` prints progress messages.
    ``timeout`` and ``drain`` are those of :class:`Order`, in seconds. ``cores`` is the number of cores that
    workers run on.
    """

    workload: Workload
    route: Route
    generate: Generate
    cores: int
    kinds: Kinds = field(default_factory=Kinds)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    watch: Callable[[], AbstractContextManager[Watch]] = _unwatched
    live: Callable[[str, float | None], AbstractContextManager[OnTick | None]] = _quiet
    stop: threading.Event = field(default_factory=threading.Event)
    scale: Callable[[int], None] | None = None
    workers: int | None = None
    slots: int | None = None
    queue_limit: int | None = None
    note: Callable[[str], None] = lambda _text: None
    connections: int = 256
    timeout: float = 60.0
    drain: float = 60.0
    seed: int = 1
