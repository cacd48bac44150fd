"""The engine in a separate process, so that monitoring does not slow it down.

Both processes share the recorder's memory: progress is read there, at no cost to the engine, and the
recording survives if the engine's process dies. Through a pipe it reports its start and its end, and is asked
to stop.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TypeAlias

import numpy as np

from harness.core import signals
from harness.core.errors import UsageError, WaitTimeoutError, WavetankError
from harness.core.wait import scaled
from harness.load.generator.process import Begun, Crashed, Ended, Given, OpenProtocol, Refused, run
from harness.load.generator.ticks import ticker
from harness.load.model import Order, Recording, Tick
from harness.load.recorder import Recorder, size

TICK_SECONDS = 0.25
START_SECONDS = 60.0
END_SECONDS = 30.0
# A closed loop makes as many arrivals as the server lets it: room for more than one core can send.
CLOSED_RATE, CLOSED_MOST = 120_000, 10_000_000

OnTick: TypeAlias = Callable[[Tick], None]


def generate(
    order: Order,
    *,
    on_tick: OnTick | None = None,
    stop: threading.Event | None = None,
    open_protocol: OpenProtocol | None = None,
) -> Recording:
    """Run a load, and return the recording. ``stop`` ends it early: then the recording so far is returned.

    ``on_tick`` is called four times a second. ``open_protocol`` opens the submission protocol, a function of
    a module; default: :func:`harness.load.protocol.opening.open_protocol`. Raises ``ResourceError`` if the
    target refuses before the run starts, ``UsageError`` for an invalid order, ``GeneratorError`` with the
    process's own message if it fails.
    """
    check(order)
    capacity = capacity_of(order)
    fd = os.memfd_create("wavetank-load", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size(capacity))
        record = Recorder(capacity, fd)
        with _process(order, capacity, fd, open_protocol) as child:
            begun = _begun(child)
            tick = ticker(order, record, begun.origin)
            ended = _follow(child, lambda: on_tick(tick(time.monotonic_ns())) if on_tick else None, stop)
    finally:
        os.close(fd)
    return Recording(
        samples=record.samples(),
        began=begun.at,
        seconds=ended.seconds,
        cpu_seconds=ended.cpu_seconds,
        peak_connections=ended.peak_connections,
        starved=ended.starved,
        partial=ended.partial,
        messages=ended.messages,
    )


class GeneratorError(WavetankError):
    """The generator's process failed; its own traceback is the text."""


@dataclass(frozen=True)
class _Child:
    process: multiprocessing.process.BaseProcess
    pipe: Connection


def check(order: Order) -> None:
    """Raise ``UsageError`` for an invalid order."""
    if order.connections < 1:
        raise UsageError(f"{order.connections} connections are too few: use 1 or more, like 256")
    if order.timeout <= 0 or order.drain < 0:
        raise UsageError("a load needs a timeout of more than 0 s and a drain of 0 s or more")
    if order.loop == "open" and not len(order.arrivals):
        raise UsageError("the load has no arrivals: use a higher rate or a longer time")
    if order.loop == "open" and np.any(np.diff(order.arrivals, prepend=0) < 0):
        raise UsageError("arrivals must be due at 0 or later, in ascending order")
    if order.loop == "closed" and (order.clients < 1 or order.seconds <= 0):
        raise UsageError("a closed loop needs 1 client or more, and more than 0 s")


def capacity_of(order: Order) -> int:
    """How many arrivals there can be."""
    if order.loop == "open":
        return len(order.arrivals)
    return min(round(order.seconds * CLOSED_RATE) + order.clients, CLOSED_MOST)


@contextmanager
def _process(order: Order, capacity: int, fd: int, open_protocol: OpenProtocol | None) -> Iterator[_Child]:
    """The process, for as long as the block lasts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    # Ctrl-C and a closed terminal go to the whole foreground group; it is for us to end the process. The
    # first process of its kind would unblock them again, as it starts multiprocessing's own helper.
    resource_tracker.ensure_running()
    try:
        with signals.blocked():
            process = context.Process(
                target=run, args=(Given(order, capacity, fd, os.getpid(), open_protocol), theirs), daemon=True
            )
            process.start()
    finally:
        theirs.close()
    try:
        yield _Child(process, ours)
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()


def _begun(child: _Child) -> Begun:
    deadline = scaled(START_SECONDS)
    if not child.pipe.poll(deadline):
        raise WaitTimeoutError("the generator to begin", deadline, "no message from its process")
    message = _receive(child)
    assert isinstance(message, Begun)
    return message


def _receive(child: _Child) -> Begun | Ended:
    try:
        message = child.pipe.recv()
    except (EOFError, ConnectionResetError) as error:
        child.process.join(END_SECONDS)
        raise GeneratorError(
            f"the generator's process ended without a message: {_how(child.process)}"
        ) from error
    if isinstance(message, Refused):
        raise message.error
    if isinstance(message, Crashed):
        raise GeneratorError(f"the generator's process failed:\n{message.traceback}")
    assert isinstance(message, Begun | Ended)
    return message


def _how(process: multiprocessing.process.BaseProcess) -> str:
    code = process.exitcode
    return f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _follow(child: _Child, report: Callable[[], None], stop: threading.Event | None) -> Ended:
    """Look how it goes until it ends."""
    stopping = False
    while not child.pipe.poll(TICK_SECONDS):
        report()
        if stop is not None and stop.is_set() and not stopping:
            stopping = True
            with suppress(BrokenPipeError):
                child.pipe.send("stop")
    message = _receive(child)
    assert isinstance(message, Ended)
    report()
    return message
