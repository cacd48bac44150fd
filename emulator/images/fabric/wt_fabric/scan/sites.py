"""Where a scan happens: the network namespaces of machines, and the sockets in them."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from wt_fabric import guests
from wt_fabric.command import FABRIC, FabricError, enter, run
from wt_fabric.scan import counts, wire

FABRIC_NAMESPACE = f"/run/netns/{FABRIC}"
OWN_NAMESPACE = "/proc/self/ns/net"


class LostError(Exception):
    """A machine is gone, or cannot be probed; the text says which and why."""


class Ends(Protocol):
    """Who is at the two ends of a pair."""

    source: str
    target: str


@dataclass(frozen=True)
class End:
    """A machine: its first process, its container, the fabric's ends of its links, its network namespace.

    Process 0 stands for the container that this runs in: the addresses beyond the fabric are its own.
    """

    ref: str
    pid: int
    container: str
    links: tuple[str, ...] = ()
    namespace: int = 0

    @property
    def path(self) -> str:
        """The file that is its network namespace."""
        return f"/proc/{self.pid}/ns/net" if self.pid else OWN_NAMESPACE

    @property
    def inside(self) -> tuple[str, ...]:
        """Command that runs another one in its network namespace."""
        return ("nsenter", f"--net={self.path}") if self.pid else ()

    def there(self) -> bool:
        """Whether it is still the machine that is meant; numbers of processes are reused."""
        try:
            groups = Path(f"/proc/{self.pid or 'self'}/cgroup").read_text()
            same = not self.namespace or Path(self.path).stat().st_ino == self.namespace
        except OSError:
            return False
        return same and (not self.pid or self.container in groups or "0::/" in groups)


def find(ref: str, description: Mapping[str, Any]) -> End:
    """An end as the emulator names it. Raises ``LostError`` if there is no such machine."""
    end = End(ref, description["pid"], description["container"], tuple(description["links"]))
    try:
        if description["guest"]:
            end = replace(end, pid=guests.first_process(end.pid) or -1)
        end = replace(end, namespace=Path(end.path).stat().st_ino)
    except (OSError, FabricError) as error:
        raise LostError(gone(ref)) from error
    if not end.there():
        raise LostError(gone(ref))
    return end


def gone(ref: str) -> str:
    """The message for a machine that is gone."""
    return f"{ref} was lost while it was scanned: it was powered off or destroyed"


@contextlib.contextmanager
def inside(path: str) -> Iterator[None]:
    """Be in another network namespace; for programs of one thread."""
    home, there = os.open(OWN_NAMESPACE, os.O_RDONLY), -1
    try:
        there = os.open(path, os.O_RDONLY)
        enter(there)
        yield
    finally:
        enter(home)
        for handle in (home, there):
            if handle >= 0:
                os.close(handle)


@dataclass
class ProbeSource:
    """A machine's interface: the sockets on it, its hardware address and that of the fabric's end."""

    out: socket.socket
    inbox: wire.Inbox
    mac: bytes
    gateway_mac: bytes


@dataclass
class Sites:
    """One worker's sockets in the machines' namespaces, opened when they are first needed."""

    ends: Mapping[str, End]
    worker: int
    span: tuple[int, int]
    _probe_sources: dict[tuple[str, str], ProbeSource] = field(default_factory=dict)
    _targets: dict[str, counts.TargetCounters] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with inside(FABRIC_NAMESPACE):
            self.fabric = counts.FabricCounters()

    def probe_source(self, ref: str, device: str, link: str) -> ProbeSource:
        """Where probes start. Raises ``LostError`` or ``OSError``."""
        if (ref, device) not in self._probe_sources:
            self._probe_sources[ref, device] = self._open(ref, device, link)
        return self._probe_sources[ref, device]

    def target(self, ref: str) -> counts.TargetCounters:
        """The counters of a target's own kernel. Raises ``LostError`` or ``OSError``."""
        if ref not in self._targets:
            with self._at(ref):
                self._targets[ref] = counts.TargetCounters(self.worker)
        return self._targets[ref]

    def lost(self, pair: Ends) -> str:
        """Which end of a pair is gone, as text; empty if none is."""
        missing = [ref for ref in (pair.source, pair.target) if not self._connected(ref)]
        return gone(missing[0]) if missing else ""

    def _connected(self, ref: str) -> bool:
        """Whether a machine is there and wired: it is disconnected a moment before it is stopped."""
        with inside(FABRIC_NAMESPACE):
            links = {name for _, name in socket.if_nameindex()}
        return self.ends[ref].there() and links.issuperset(self.ends[ref].links)

    def explain(self, pair: Ends, error: Exception) -> str:
        """The message of an error on a pair."""
        if isinstance(error, OSError) and counts.is_missing(error):
            return self.lost(pair) or f"the table that records what arrives at {pair.target} was removed"
        return self.lost(pair) or str(error)

    def flush_conntrack(self, targets: Iterable[str], ports: Iterable[tuple[str, int]]) -> None:
        """Delete probes from the connection tables of fabric and targets: (protocol, source port)."""
        places = [("nsenter", f"--net={FABRIC_NAMESPACE}")]
        places += [self.ends[ref].inside for ref in targets if self.ends[ref].there()]
        for place in places:
            for protocol, port in ports:
                with contextlib.suppress(FabricError):  # conntrack fails when there was nothing to delete
                    run(*place, "conntrack", "--delete", "--proto", protocol, "--sport", str(port))

    @contextlib.contextmanager
    def _at(self, ref: str) -> Iterator[None]:
        end = self.ends[ref]
        if not end.there():
            raise LostError(gone(ref))
        with inside(end.path):
            yield

    def _open(self, ref: str, device: str, link: str) -> ProbeSource:
        with inside(FABRIC_NAMESPACE), wire.sender(link) as fabric_end:
            gateway_mac = wire.hardware_address(fabric_end)
        with self._at(ref):
            out = wire.sender(device)
            inbox = wire.Inbox(wire.receiver(device, *self.span))
        return ProbeSource(out, inbox, wire.hardware_address(out), gateway_mac)
