"""What the generator's own process does: :mod:`harness.load.generator.generator` starts it."""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Protocol

from harness.core import signals
from harness.core.errors import ResourceError, UsageError, WavetankError
from harness.judge0.model import Route
from harness.load.engine import Engine
from harness.load.model import SECOND, Order, Workload
from harness.load.protocol.opening import open_protocol
from harness.load.recorder import Recorder
from harness.load.workload import Chosen, choose

# Opened before the clock starts: the first arrivals must not pay for connecting, and a refusing target is
# found early.
AHEAD = 16


class SubmissionProtocol(Protocol):
    """As :class:`harness.load.protocol.opening.SubmissionProtocol`."""

    def begin(self, number: int, intended: int) -> None:
        """The arrival is due."""

    def finish(self) -> None:
        """The run ends."""


class OpenProtocol(Protocol):
    """As :func:`harness.load.protocol.opening.open_protocol`."""

    def __call__(
        self,
        route: Route,
        workload: Workload,
        chosen: Chosen,
        record: Recorder,
        engine: Engine,
        *,
        timeout: float,
    ) -> SubmissionProtocol:
        """The submission protocol for a route."""


@dataclass(frozen=True)
class Begun:
    """The run has begun: Unix time, and the same by ``time.monotonic_ns``."""

    at: float
    origin: int


@dataclass(frozen=True)
class Ended:
    """The run has ended; as in :class:`Recording`."""

    seconds: float
    cpu_seconds: float
    peak_connections: int
    starved: int
    partial: str
    messages: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Refused:
    """It could not begin: the arguments of the error, which itself cannot be pickled."""

    usage: str = ""
    resource: tuple[str, str, str] = ("", "", "")

    @property
    def error(self) -> WavetankError:
        """As it was raised."""
        return UsageError(self.usage) if self.usage else ResourceError(*self.resource)


@dataclass(frozen=True)
class Crashed:
    """It failed."""

    traceback: str


@dataclass(frozen=True)
class Given:
    """What the process is started with: ``fd`` is the recorder's memory as the process ``parent`` has it."""

    order: Order
    capacity: int
    fd: int
    parent: int
    open_protocol: OpenProtocol | None


def run(given: Given, pipe: Connection) -> None:
    """The process, from its start to its end."""
    tie_to(given.parent)
    try:
        _raise_descriptors()
        fd = os.open(f"/proc/{given.parent}/fd/{given.fd}", os.O_RDWR | os.O_CLOEXEC)
        record = Recorder(given.capacity, fd)
        pipe.send(_load(given.order, record, pipe, given.open_protocol or open_protocol))
    except UsageError as error:
        pipe.send(Refused(usage=str(error)))
    except ResourceError as error:
        pipe.send(Refused(resource=(error.kind, error.name, error.problem)))
    except BaseException:  # noqa: BLE001 (whatever it is, it is reported)
        pipe.send(Crashed(traceback.format_exc()))
    os._exit(0)  # threads that are connecting hold nothing worth waiting for


def tie_to(parent: int) -> None:
    """End with the parent, whatever ends it, and ignore signals that are meant for the parent."""
    for each in signals.SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signals.die_with_parent(parent, signal.SIGKILL)


def _raise_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _load(order: Order, record: Recorder, pipe: Connection, opener: OpenProtocol) -> Ended:
    chosen = choose(order.workload, record.capacity)
    record.programs(chosen)
    engine = Engine(order.route.address, connections=order.connections, timeout=order.timeout)
    engine.connect(min(order.connections, order.clients if order.loop == "closed" else AHEAD))
    protocol = opener(order.route, order.workload, chosen, record, engine, timeout=order.timeout)
    engine.on_readable(pipe.fileno(), engine.stop)
    gc.collect()
    gc.freeze()  # existing objects are never collected
    engine.restart_clock()
    pipe.send(Begun(time.time(), engine.origin))
    before = time.process_time()
    whole = _run(order, record, engine, protocol)
    seconds, cpu = engine.now() / SECOND, time.process_time() - before
    protocol.finish()
    partial = "" if whole else f"stopped after {seconds:.1f} s"
    if whole and order.loop == "closed" and record.begun == record.capacity:
        partial = f"ended after {seconds:.1f} s, with the {record.capacity:,} arrivals there is room for"
    return Ended(seconds, cpu, engine.peak_connections, engine.starved, partial, record.messages())


def _run(order: Order, record: Recorder, engine: Engine, protocol: SubmissionProtocol) -> bool:
    def begin(number: int, intended: int) -> None:
        record.begin(number, intended)
        protocol.begin(number, intended)

    if order.loop == "open":
        return engine.run(order.arrivals, begin, over=lambda: record.ended >= record.begun, drain=order.drain)
    return engine.run_closed(
        order.clients,
        order.seconds,
        begin,
        ended=lambda: record.ended,
        most=record.capacity,
        drain=order.drain,
    )
