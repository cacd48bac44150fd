"""Scan pairs of machines, with the kernel's own packet counters: ``python3 -m wt_fabric.scan.main``.

In: one line of JSON: ``ends`` (by ref: ``pid``, ``container``, ``links``), ``pairs`` (each with ``source``,
``target``, ``device``, ``link``, ``source_ip``, ``target_ip``), ``tcp`` and ``udp`` (ranges), ``icmp``,
``passes``. Out: lines of JSON, ``{"sent", "total"}`` as it goes on, ``{"pairs": [...], "cancelled"}`` or
``{"error": "..."}`` at the end. Another line, or the end of the input, cancels.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wt_fabric.command import FabricError
from wt_fabric.scan import counts
from wt_fabric.scan.account import Pair, new_pair
from wt_fabric.scan.board import Board
from wt_fabric.scan.frames import ICMP, TCP, UDP
from wt_fabric.scan.ranges import expand
from wt_fabric.scan.share import CancelledError, Worker
from wt_fabric.scan.sites import FABRIC_NAMESPACE, End, LostError, Sites, find, inside

LOCK = Path("/run/wavetank/scan.lock")
RECORDING = Path("/run/wavetank/scan.left")
FIRST_PORT, LAST_PORT = counts.FIRST_PORT, 65535
PORTS_EACH = 64
MOST_WORKERS = 4
LOCK_SECONDS = 10
PROGRESS_SECONDS = 0.1
PR_SET_PDEATHSIG = 1
CANCELLED = "the scan was cancelled before this pair was done"

Span = tuple[int, int]


@dataclass(frozen=True)
class Order:
    """What is to be scanned; ``total`` counts the packets that it takes."""

    ends: dict[str, dict[str, Any]]
    pairs: list[Pair]
    passes: int
    total: int


def parse_order(document: dict[str, Any]) -> Order:
    """An order from its JSON."""
    asked = {
        TCP: expand(document["tcp"]),
        UDP: expand(document["udp"]),
        ICMP: expand([[1, 1]] if document["icmp"] else []),
    }
    asked = {protocol: ports for protocol, ports in asked.items() if len(ports)}
    pairs = [new_pair(each, asked) for each in document["pairs"]]
    total = sum(map(len, asked.values())) * len(pairs) * document["passes"]
    return Order(document["ends"], pairs, document["passes"], total)


def scan(order: Order) -> dict[str, Any]:
    """Scan what was ordered, and print progress meanwhile. Raises ``FabricError``."""
    workers = max(1, min(MOST_WORKERS, os.cpu_count() or 1, len(order.pairs)))
    with only_one() as lock:
        port = next_ports(lock, workers * PORTS_EACH)
        firsts = range(port, port + workers * PORTS_EACH, PORTS_EACH)
        spans = [(first, first + PORTS_EACH - 1) for first in firsts]
        ends = find_ends(order)
        with recording(order, ends, spans):
            with inside(FABRIC_NAMESPACE):
                counts.FabricCounters().flush()
            return supervise(order, ends, spans)


@contextlib.contextmanager
def only_one() -> Iterator[int]:
    """Hold the lock of scans, a file; a scan that was orphaned ends by itself in a moment."""

    def too_late(*_: object) -> None:
        raise FabricError("another scan is under way")

    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(LOCK_SECONDS)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        signal.alarm(0)
        yield lock
    finally:
        os.close(lock)


def next_ports(lock: int, count: int) -> int:
    """The first of ``count`` source ports that were not used for as long as possible; the lock remembers."""
    last = int(os.pread(lock, 16, 0) or FIRST_PORT)
    first = last if last + count <= LAST_PORT + 1 else FIRST_PORT
    os.pwrite(lock, f"{first + count}".encode(), 0)
    return first


def find_ends(order: Order) -> dict[str, End]:
    """The machines that are there; pairs of others have an error."""
    ends, missing = {}, {}
    for ref, document in order.ends.items():
        try:
            ends[ref] = find(ref, document)
        except LostError as error:
            missing[ref] = str(error)
    fail_pairs(order, missing)
    return ends


def fail_pairs(order: Order, why: dict[str, str]) -> None:
    """Fail the pairs at whose ends something is wrong."""
    for pair in order.pairs:
        for ref in (pair.source, pair.target):
            pair.fail(why.get(ref, ""))


@contextlib.contextmanager
def recording(order: Order, ends: dict[str, End], spans: list[Span]) -> Iterator[None]:
    """Have every target record what arrives while this lasts; first remove what an earlier scan has left."""
    targets = [ends[ref] for ref in dict.fromkeys(pair.target for pair in order.pairs) if ref in ends]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(forget, abandoned()))
        RECORDING.write_text(
            json.dumps([[end.ref, end.pid, end.container, [], end.namespace] for end in targets])
        )
        try:
            wrong = dict(pool.map(lambda end: (end.ref, record(end, spans)), targets))
            fail_targets(order, wrong)
        except BaseException:
            list(pool.map(forget, targets))
            raise
    try:
        yield
    finally:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(forget, targets))
        RECORDING.unlink(missing_ok=True)


def fail_targets(order: Order, why: dict[str, str]) -> None:
    """Fail the pairs whose target cannot count packets."""
    for pair in order.pairs:
        pair.fail(why.get(pair.target, ""))


def abandoned() -> list[End]:
    """Targets of a scan that was killed."""
    try:
        return [End(*each) for each in json.loads(RECORDING.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def record(end: End, spans: list[Span]) -> str:
    """Make a target record; what is wrong, if it cannot."""
    try:
        counts.record(end.inside, spans)
    except FabricError as error:
        return f"what arrives at {end.ref} cannot be recorded there: {error}"
    return ""


def forget(end: End) -> None:
    """Remove what was made in a target."""
    with contextlib.suppress(FabricError):  # it may have stopped this moment, and taken the table along
        if end.there():
            counts.forget(end.inside)


def supervise(order: Order, ends: dict[str, End], spans: list[Span]) -> dict[str, Any]:
    """Have workers do it; print how far they are, and stop them when the input says so."""
    todo = [index for index, pair in enumerate(order.pairs) if not pair.error]
    board = Board(len(spans), len(todo))
    workers = [start(Share(order, ends, span, number, board, todo)) for number, span in enumerate(spans)]
    output = dict.fromkeys(workers, b"")
    reading: set[int] = set(workers)
    listening = {sys.stdin.fileno()}
    while reading:
        ready, _, _ = select.select([*reading, *listening], [], [], PROGRESS_SECONDS)
        for pipe in reading.intersection(ready):
            data = os.read(pipe, 1 << 16)
            output[pipe] += data
            if not data:
                reading.discard(pipe)
        if listening.intersection(ready):
            board.cancel()
            listening.clear()
        write_line({"sent": board.sent, "total": max(order.total, board.sent)})
    reports = [json.loads(text or '{"error": "a worker of the scan was killed"}') for text in output.values()]
    return outcome(order, reports, board)


def outcome(order: Order, reports: list[dict[str, Any]], board: Board) -> dict[str, Any]:
    """What the workers report, in the order of the pairs. Raises ``FabricError`` with a worker's error."""
    for report in reports:
        if "error" in report:
            raise FabricError(report["error"])
    done = {int(index): pair for report in reports for index, pair in report["pairs"].items()}
    for pair in order.pairs if board.cancelled else ():
        pair.fail(CANCELLED)
    pairs = [done.get(index) or pair.to_dict() for index, pair in enumerate(order.pairs)]
    progress = {"sent": board.sent, "total": max(order.total, board.sent)}
    return {"pairs": pairs, "cancelled": board.cancelled, **progress}


@dataclass(frozen=True)
class Share:
    """A worker's part: all pairs of ``todo`` that the board gives to it, with source ports of ``span``."""

    order: Order
    ends: dict[str, End]
    span: Span
    number: int
    board: Board
    todo: list[int]


def start(share: Share) -> int:
    """Fork a worker; returns the pipe through which it reports, as JSON, before it ends."""
    back, report = os.pipe()
    parent = os.getpid()
    if os.fork():
        os.close(report)
        return back
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if os.getppid() == parent:
            result = work(share)
            with os.fdopen(report, "w") as file:
                json.dump(result, file)
    finally:
        os._exit(0)


def work(share: Share) -> dict[str, Any]:
    """Scan pairs until there are no more; returns what is to be reported."""
    order, board = share.order, share.board
    mine: list[int] = []

    def pairs() -> Iterator[Pair]:
        for turn in board.take():
            mine.append(share.todo[turn])
            yield order.pairs[share.todo[turn]]

    try:
        sites = Sites(share.ends, share.number, share.span)
        Worker(sites, order.passes, lambda count: board.add(share.number, count)).scan(pairs())
    except CancelledError:
        for index in mine:
            if not order.pairs[index].done:
                order.pairs[index].fail(CANCELLED)
    except Exception:  # noqa: BLE001 (a fault of ours must be reported, not end in silence)
        return {"error": f"the scan failed:\n{traceback.format_exc()}"}
    return {"pairs": {index: order.pairs[index].to_dict() for index in mine}}


def write_line(document: dict[str, Any]) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Scan what the first line of the input says."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        write_line(scan(parse_order(json.loads(read_line()))))
    except (FabricError, OSError) as error:
        write_line({"error": str(error)})


def read_line() -> str:
    """The first line, and nothing of what follows: the rest is waited for by other means."""
    line = b""
    while (octet := os.read(sys.stdin.fileno(), 1)) not in (b"\n", b""):
        line += octet
    return line.decode()


if __name__ == "__main__":
    main()
