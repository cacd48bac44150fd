"""Monitoring of a deployment during a run: every node, its databases, the queue, and this machine.

One ssh session per node stays open all the time: a reading costs the node only the reading itself, and this
machine a line to parse. What cannot be observed for a while is a gap, described in words, and never an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import WaitTimeoutError
from harness.core.wait import NotYet, wait_for
from harness.judge0.workers import Workers
from harness.load.result import NodeSeries, QueueSeries
from harness.load.watch import databases, loop, machine
from harness.load.watch.counters import Fault, Track, gaps, series
from harness.load.watch.feed import Feed
from harness.load.watch.readings import Reader
from harness.load.watch.repeat import repeating
from harness.load.watch.workers import Counted, queue_series
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

EVERY_SECONDS = 1.0
MEET_SECONDS = 20.0
SETTLE_SECONDS = 15.0
MACHINE, QUEUE = "machine", "queue"
NOT_AVAILABLE = "not monitored: the cloud does not report what managed databases use"


@dataclass(frozen=True)
class Observed:
    """What was observed of one run; all ``t`` are seconds since it began.

    ``nodes`` are droplets and, in the emulator, databases. ``machine`` is the one that this runs on;
    ``shared``: the nodes share its processors, as in the emulator. ``gaps`` describe what was not observed,
    and when.
    """

    nodes: tuple[NodeSeries, ...]
    queue: QueueSeries | None
    machine: NodeSeries | None
    gaps: tuple[str, ...]
    shared: bool = False


@dataclass
class Watch:
    """All observations so far. Filled by threads; ``collect`` may be called at any time, and again."""

    shared: bool
    nodes: dict[str, Track]
    databases: dict[str, Track]
    machine: Track
    counted: list[Counted] | None
    queue_faults: list[Fault] = field(default_factory=list)
    unwatched: tuple[str, ...] = ()

    def collect(self, began: float, until: float | None = None) -> Observed:
        """What was observed from ``began`` to ``until``, in seconds since 1970 (None: now).

        One watch serves several runs, each with its own ``began``.
        """
        ahead = time.monotonic() - time.time()
        first, last = began + ahead, (time.monotonic() if until is None else until + ahead)
        nodes = [*self.nodes.values(), *self.databases.values()]
        found = [series(track, first, last) for track in nodes]
        return Observed(
            nodes=tuple(each for each in found if each is not None),
            queue=queue_series(tuple(self.counted or ()), first, last),
            machine=series(self.machine, first, last),
            gaps=(*self.unwatched, *self._gaps(first, last)),
            shared=self.shared,
        )

    def _gaps(self, first: float, last: float) -> Iterator[str]:
        for track in (*self.nodes.values(), *self.databases.values(), self.machine):
            times = [mark.at for mark in tuple(track.readings)]
            yield from gaps(track.node, times, tuple(track.faults), first, last)
        if self.counted is not None:
            times = [each.at for each in tuple(self.counted)]
            yield from gaps(QUEUE, times, tuple(self.queue_faults), first, last)


@contextmanager
def watching(
    access: Access,
    deployment: Deployment,
    topology: Topology,
    target: Target,
    *,
    count_workers: Callable[[], Workers] | None = None,
    every: float = EVERY_SECONDS,
) -> Iterator[Watch]:
    """Monitor a deployment for the length of a block, every node about once in ``every`` seconds.

    ``count_workers`` uses no connection of the run's, and has a deadline of its own; its errors are gaps.
    The block begins once every node has a reading or has turned out to be unreachable, after
    ``SETTLE_SECONDS`` at the latest; that raises nothing.
    """
    watch = _fresh(access, deployment, topology, emulated=bool(target.info), queue=count_workers is not None)
    with ExitStack() as stack:
        feeds = [_feed(access, track, every) for track in watch.nodes.values()]
        stack.callback(_end, feeds)
        _enter(stack, every, lambda: watch.machine.readings.append(machine.read()), watch.machine.faults)
        if count_workers is not None:
            _enter(stack, every, partial(_sample_queue, watch, count_workers), watch.queue_faults)
        if watch.databases:
            emulator = stack.enter_context(EmulatorApi(target))
            faults = [track.faults for track in watch.databases.values()]
            _enter(stack, every, partial(databases.take, watch.databases, emulator.ask), *faults)
        _settle(watch)
        yield watch


def _settle(watch: Watch) -> None:
    """Wait until every node has a reading or a fault: its connection may have to be made first."""

    def probe() -> None:
        silent = [name for name, track in watch.nodes.items() if not (track.readings or track.faults)]
        if silent:
            raise NotYet(f"no reading of {', '.join(silent)}")

    with suppress(WaitTimeoutError):  # a gap, then
        wait_for("a first reading of every node", probe, deadline=SETTLE_SECONDS, max_pause=0.1)


def _fresh(
    access: Access, deployment: Deployment, topology: Topology, *, emulated: bool, queue: bool
) -> Watch:
    names = {node.id: name for name, node in deployment.databases.items()}
    watched = [name for name in access.nodes if name in topology.droplets]
    return Watch(
        shared=emulated,
        nodes={name: Track(name, topology.droplets[name].role) for name in watched},
        databases=databases.tracks(names) if emulated else {},
        machine=Track(MACHINE, MACHINE, float(machine.processors()), machine.SOURCE),
        counted=[] if queue else None,
        unwatched=() if emulated or not names else (f"{', '.join(names.values())}: {NOT_AVAILABLE}",),
    )


def _enter(stack: ExitStack, every: float, action: Callable[[], object], *faults: list[Fault]) -> None:
    def failed(at: float, why: str) -> None:
        for each in faults:
            each.append((at, why))

    stack.enter_context(repeating(every, action, failed))


def _sample_queue(watch: Watch, count: Callable[[], Workers]) -> None:
    before = time.monotonic()
    workers = count()
    assert watch.counted is not None
    watch.counted.append(Counted((before + time.monotonic()) / 2, workers))


def _feed(access: Access, track: Track, every: float) -> Feed:
    script, reader = loop.script(every), Reader(track)

    def argv() -> list[str]:
        access.run(track.node, "true", deadline=MEET_SECONDS)  # connects, via the bastion if needed
        return access.argv(track.node, script)

    def ended(at: float, why: str) -> None:
        track.faults.append((at, access.mask(why)))

    return Feed(argv, reader.take, ended)


def _end(feeds: list[Feed]) -> None:
    for feed in feeds:
        feed.request_stop()
    for feed in feeds:
        feed.close()
