"""What vantages have told so far, kept as it comes in, so that nothing seen is lost with a vantage."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.core import ports
from harness.core.ports import NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.paced.verdict import Words
from harness.topology.model import Protocol

Key = tuple[Pair, Protocol]
Found = dict[str, list[tuple[int, int]]]


@dataclass(frozen=True)
class Ask:
    """What a vantage is to ask at one address."""

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
        """The ports asked by one protocol; for ICMP, which has none, port 1."""
        return {"tcp": self.tcp, "udp": self.udp, "icmp": ((1, 1),) if self.icmp else NONE}[protocol]


class Tally:
    """Collects words by pair, protocol and pass. Safe to use from many threads."""

    def __init__(self, passes: int, told: Callable[[int], None] = lambda _sent: None) -> None:
        self.passes = passes
        self.lost: dict[str, str] = {}
        self._told = told
        self._sent: dict[str, int] = {}
        self._found: dict[Key, list[Found]] = {}
        self._lock = threading.Lock()

    def add(
        self, pair: Pair, protocol: Protocol, number: int, words: Mapping[str, Iterable[Sequence[int]]]
    ) -> None:
        """Take in what came of some ports in pass ``number`` (from 0)."""
        with self._lock:
            passes = self._found.setdefault((pair, protocol), [defaultdict(list) for _ in range(self.passes)])
            for word, found in words.items():
                passes[number][word] += [(first, last) for first, last in found]

    def sent(self, vantage: str, attempts: int) -> None:
        """Hear how many attempts a vantage has made."""
        with self._lock:
            self._sent[vantage] = attempts
            total = sum(self._sent.values())
        self._told(total)

    def lose(self, vantage: str, reason: str) -> None:
        """Remember why a vantage ended before it was done."""
        with self._lock:
            self.lost[vantage] = reason

    def of(self, pair: Pair, protocol: Protocol) -> tuple[Words, ...]:
        """The words of every pass on one pair."""
        with self._lock:
            found = self._found.get((pair, protocol)) or [{} for _ in range(self.passes)]
            return tuple({word: ports.union(tuple(each)) for word, each in words.items()} for words in found)
