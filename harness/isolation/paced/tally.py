"""What probe sources have reported so far, kept as it comes in, so that no result is lost with a source."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.core import ports
from harness.core.ports import NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.paced.verdict import Outcomes
from harness.topology.model import Protocol

Key = tuple[Pair, Protocol]
Found = dict[str, list[tuple[int, int]]]


@dataclass(frozen=True)
class ProbeTask:
    """What one source is to probe at one address."""

    pair: Pair
    ip: str
    tcp: Ports = NONE
    udp: Ports = NONE
    icmp: bool = False

    @property
    def mark(self) -> str:
        """Eight bytes in hex by which a packet is known as one of this pair's, whatever address it has."""
        return hashlib.sha256(repr(self.pair).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """How many attempts one pass takes."""
        return ports.size(self.tcp) + ports.size(self.udp) + self.icmp

    def of(self, protocol: Protocol) -> Ports:
        """The ports to probe by one protocol; for ICMP, which has none, port 1."""
        return {"tcp": self.tcp, "udp": self.udp, "icmp": ((1, 1),) if self.icmp else NONE}[protocol]


class Tally:
    """Collects outcomes by pair, protocol and pass. Safe to use from many threads."""

    def __init__(self, passes: int, on_progress: Callable[[int], None] = lambda _sent: None) -> None:
        self.passes = passes
        self.lost: dict[str, str] = {}
        self._on_progress = on_progress
        self._sent: dict[str, int] = {}
        self._found: dict[Key, list[Found]] = {}
        self._lock = threading.Lock()

    def add(
        self, pair: Pair, protocol: Protocol, number: int, outcomes: Mapping[str, Iterable[Sequence[int]]]
    ) -> None:
        """Record the outcomes of some ports in pass ``number`` (from 0)."""
        with self._lock:
            passes = self._found.setdefault((pair, protocol), [defaultdict(list) for _ in range(self.passes)])
            for outcome, found in outcomes.items():
                passes[number][outcome] += [(first, last) for first, last in found]

    def sent(self, probe_source: str, attempts: int) -> None:
        """Record how many attempts a probe source has made."""
        with self._lock:
            self._sent[probe_source] = attempts
            total = sum(self._sent.values())
        self._on_progress(total)

    def mark_lost(self, probe_source: str, reason: str) -> None:
        """Record why a probe source ended early."""
        with self._lock:
            self.lost[probe_source] = reason

    def of(self, pair: Pair, protocol: Protocol) -> tuple[Outcomes, ...]:
        """The outcomes of every pass on one pair."""
        with self._lock:
            found = self._found.get((pair, protocol)) or [{} for _ in range(self.passes)]
            return tuple(
                {outcome: ports.union(tuple(each)) for outcome, each in outcomes.items()}
                for outcomes in found
            )
