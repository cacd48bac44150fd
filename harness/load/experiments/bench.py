"""What every experiment works with: a load and a way in, something that watches, and means to scale.

All that touches a deployment comes in as a function, so that experiments can be tried on a simulated one.
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
from harness.load.watch.watching import Seen

OnTick = Callable[[Tick], None]


class Watch(Protocol):
    """Who looks at the nodes while a run goes on."""

    def collect(self, began: float) -> Seen:
        """What was seen since ``began``, Unix time."""


class Generate(Protocol):
    """How a load is put on: :func:`harness.load.generator.generator.generate`, or Locust, or a simulation."""

    def __call__(
        self, order: Order, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
    ) -> Recording:
        """Run ``order`` and return what was recorded."""


class NothingWatched:
    """Who sees nothing."""

    def collect(self, began: float) -> Seen:
        """Nothing."""
        del began
        return Seen((), None, None, ())


def _unwatched() -> AbstractContextManager[Watch]:
    return nullcontext(NothingWatched())


def _quiet(title: str, seconds: float | None) -> AbstractContextManager[OnTick | None]:
    del title, seconds
    return nullcontext(None)


@dataclass(frozen=True)
class Bench:
    """A deployment under load.

    ``slots`` is how many programs one worker task runs at once, or None where nobody tells. ``scale`` makes
    so many worker tasks run and returns once they take work; None: it cannot. ``note`` tells people how it
    goes. ``timeout`` and ``drain`` are those of :class:`Order`, seconds. ``cores`` are those that workers run
    on.
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
