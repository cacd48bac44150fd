"""Scans of the emulated network: requested, queued, followed, cancelled. No cloud has them; in memory only.

One scan runs at a time, the others wait for their turn. The newest ``MAX_FINISHED`` that are over can be
looked at.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from emulator.cloud.errors import NotFoundError, NotPossibleError, UnprocessableError
from emulator.cloud.models import Database, Droplet
from emulator.planes.base import INTERNET, PlaneError, ScanOrder, ScanPair
from harness.core import ports
from harness.core.ports import NONE, Ports

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

log = logging.getLogger(__name__)

MAX_FINISHED = 16
MOST_PASSES, MOST_PAIRS = 8, 10_000
STOP_SECONDS = 5.0

Status = Literal["waiting", "running", "completed", "cancelled", "failed"]
Side = Literal["private", "public"]


@dataclass(frozen=True)
class Scan:
    """One scan as the API shows it. ``pairs`` are there once it is over: ends, addresses and accounts."""

    id: str
    order: ScanOrder = field(repr=False)
    status: Status = "waiting"
    error: str = ""
    sent: int = 0
    total: int = 0
    seconds: float = 0.0
    pairs: Sequence[Mapping[str, Any]] = ()

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status not in ("waiting", "running")


@dataclass(frozen=True)
class ScanRequest:
    """A request for a scan; ``pairs`` are (source, target, side), port sets are texts."""

    pairs: Sequence[tuple[str, str, str]]
    tcp: str = ""
    udp: str = ""
    icmp: bool = False
    passes: int = 2


class Scans:
    """All scans of one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._scans: dict[str, Scan] = {}
        self._stops: dict[str, threading.Event] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self, request: ScanRequest) -> Scan:
        """Begin a scan, or queue it. Raises ``NotPossibleError`` where the plane has no packets."""
        if refusal := self._cloud.plane.scan_refusal():
            raise NotPossibleError(refusal)
        order = resolve(self._cloud, request)
        scan = Scan(str(uuid.uuid4()), order, total=_packets(order))
        thread = threading.Thread(target=self._run, args=(scan.id,), name=f"scan {scan.id}", daemon=True)
        with self._lock:
            self._scans[scan.id] = scan
            self._stops[scan.id] = threading.Event()
            self._threads[scan.id] = thread
            self._forget_old()
        thread.start()
        return scan

    def get(self, scan_id: str) -> Scan:
        """One scan. Raises ``NotFoundError``."""
        with self._lock:
            if scan_id not in self._scans:
                raise NotFoundError
            return self._scans[scan_id]

    def cancel(self, scan_id: str) -> None:
        """Have a scan end soon; nothing happens if it is over. Raises ``NotFoundError``."""
        self.get(scan_id)
        self._stops[scan_id].set()

    def close(self) -> None:
        """End all scans."""
        for stop in list(self._stops.values()):
            stop.set()
        for thread in list(self._threads.values()):
            thread.join(STOP_SECONDS)

    def _forget_old(self) -> None:
        over = [scan.id for scan in self._scans.values() if scan.over]
        for scan_id in over[:-MAX_FINISHED]:
            for table in (self._scans, self._stops, self._threads):
                table.pop(scan_id)

    def _change(self, scan_id: str, **changes: Any) -> None:
        with self._lock:
            self._scans[scan_id] = replace(self._scans[scan_id], **changes)

    def _run(self, scan_id: str) -> None:
        stop = self._stops[scan_id]
        with self._turn:
            if stop.is_set():
                self._change(scan_id, status="cancelled", pairs=_accounts(self.get(scan_id).order, ()))
                return
            self._change(scan_id, status="running")
            self._scan(scan_id, stop)

    def _scan(self, scan_id: str, stop: threading.Event) -> None:
        order, began = self.get(scan_id).order, time.monotonic()

        def on_progress(sent: int, total: int) -> None:
            self._change(scan_id, sent=sent, total=total, seconds=time.monotonic() - began)

        error, accounts = "", ()  # type: tuple[str, Sequence[Mapping[str, Any]]]
        try:
            accounts = self._cloud.plane.scan(order, on_progress, stop)
        except PlaneError as failure:
            error = str(failure)
        except Exception as failure:  # a fault of ours must end the scan, not leave it running for ever
            log.exception("scan %s failed", scan_id)
            error = f"internal error: {type(failure).__name__}: {failure}"
        status = "failed" if error else "cancelled" if stop.is_set() else "completed"
        seconds = time.monotonic() - began
        pairs = _accounts(order, accounts)
        self._change(scan_id, status=status, error=error, seconds=seconds, pairs=pairs)


def resolve(cloud: Cloud, request: ScanRequest) -> ScanOrder:
    """Turn a request into addresses. Raises ``UnprocessableError``, which names the field."""
    tcp, udp = _ports("tcp", request.tcp), _ports("udp", request.udp)
    if not (tcp or udp or request.icmp):
        raise UnprocessableError(
            "nothing is to be probed: give tcp or udp a set of ports, or set icmp to true"
        )
    if not 1 <= request.passes <= MOST_PASSES:
        raise UnprocessableError(f"passes must be between 1 and {MOST_PASSES}")
    if not 1 <= len(request.pairs) <= MOST_PAIRS:
        raise UnprocessableError(f"pairs must hold between 1 and {MOST_PAIRS} pairs")
    pairs = tuple(_pair(cloud, f"pairs[{index}]", *pair) for index, pair in enumerate(request.pairs))
    for index, pair in enumerate(pairs):
        if pair in pairs[:index]:
            raise UnprocessableError(f"pairs[{index}] is there twice; each pair may be there once")
    return ScanOrder(pairs, tcp, udp, request.icmp, request.passes)


def _ports(name: str, text: str) -> Ports:
    try:
        return ports.parse(text) if text.strip() else NONE
    except ValueError as error:
        raise UnprocessableError(f"{name}: {error}; it is written like 22,8000-9000") from error


def _pair(cloud: Cloud, where: str, source: str, target: str, side: str) -> ScanPair:
    if side not in get_args(Side):
        raise UnprocessableError(f"{where}.side must be private or public, not {side!r}")
    if source == target:
        raise UnprocessableError(f"{where}.target is its source, {source}; choose another machine")
    from_side = "public" if source == INTERNET else side
    source_ip = _address(cloud, f"{where}.source", source, from_side)
    target_ip = _address(cloud, f"{where}.target", target, side)
    return ScanPair(source, target, side, source_ip, target_ip)  # type: ignore[arg-type]


def _address(cloud: Cloud, where: str, ref: str, side: str) -> str:
    """The address of a machine on one side; the machine must run."""
    if ref == INTERNET:
        if side == "private":
            raise UnprocessableError(f"{where} is {ref}, which has no private address; ask for side public")
        return cloud.plane.info().internet_ip
    machine = _machine(cloud, where, ref)
    if machine.status not in ("active", "online"):
        named = f"{where}: {ref} ({machine.name})"
        raise UnprocessableError(f"{named} is {machine.status}; it must run to be scanned")
    if side == "public" and not machine.public_ip:
        named = f"{where}: {ref} ({machine.name})"
        raise UnprocessableError(f"{named} has no public address; ask for side private")
    return machine.public_ip if side == "public" else machine.private_ip


def _machine(cloud: Cloud, where: str, ref: str) -> Droplet | Database:
    kind, _, identity = ref.partition(":")
    kinds: dict[str, type[Droplet] | type[Database]] = {"droplet": Droplet, "database": Database}
    if kind not in kinds or not identity:
        raise UnprocessableError(f"{where} must be droplet:<id>, database:<uuid> or {INTERNET}, not {ref!r}")
    machine = cloud.store.get(kinds[kind], identity)
    if machine is None or machine.deleted:
        raise UnprocessableError(f"{where}: there is no {kind} {identity}")
    return machine


def _packets(order: ScanOrder) -> int:
    return len(order.pairs) * order.passes * (ports.size(order.tcp) + ports.size(order.udp) + order.icmp)


def _accounts(order: ScanOrder, accounts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each pair with its ends and what became of it; ``accounts`` is empty if nothing is known."""
    nothing = {"error": "the scan ended before this pair was probed", "tcp": None, "udp": None, "icmp": None}
    known = accounts or [nothing] * len(order.pairs)
    names = ("source", "target", "side", "source_ip", "target_ip")
    return [
        {name: getattr(pair, name) for name in names} | dict(account)
        for pair, account in zip(order.pairs, known, strict=True)
    ]
