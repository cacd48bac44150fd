"""The accounts of a scan: what was probed on each pair, what was answered, and where each packet went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wt_fabric.scan.answers import CLOSED, OPEN, REJECTED
from wt_fabric.scan.counts import Key
from wt_fabric.scan.frames import ICMP, TCP, UDP, Array
from wt_fabric.scan.ranges import collapse

NAMES = {TCP: "tcp", UDP: "udp", ICMP: "icmp"}
DROPS = {"out": "denied_out", "in": "denied_in", "route": "unrouted", "other": "other_drops"}
COUNTS = ("sent", "arrived", *DROPS.values())
PORTS = 65_536


def no_ports() -> Array:
    """A flag for each port, none set."""
    return np.zeros(PORTS, bool)


@dataclass
class Account:
    """One pair's account for one protocol, over all passes: packets by where they went, ports by answers.

    ``attempts`` counts bursts of probes, ``discarded`` the packets of those that did not balance.
    """

    asked: Array
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    passes: int = 0
    attempts: int = 0
    discarded: int = 0
    arrived: Array = field(default_factory=no_ports)
    answers: dict[str, Array] = field(
        default_factory=lambda: {how: no_ports() for how in (OPEN, CLOSED, REJECTED)}
    )

    def unanswered(self) -> Array:
        """Ports where packets arrived and that did not answer."""
        answered = np.logical_or.reduce(list(self.answers.values()))
        return np.flatnonzero(self.arrived & ~answered).astype(np.uint32)

    def to_dict(self) -> dict[str, Any]:
        """As the emulator shows it."""
        asked = no_ports()
        asked[self.asked] = True
        answered = {f"answered_{how}": collapse(flags) for how, flags in self.answers.items()}
        return {
            "asked": collapse(asked),
            "passes": self.passes,
            **self.counts,
            "discarded": self.discarded,
            **answered,
            "arrived_ports": collapse(self.arrived),
        }


@dataclass
class Pair:
    """From a probe source to one address of a target. ``error`` says why it was not fully probed.

    ``device`` is the source's interface, ``link`` the fabric's end of it.
    """

    source: str
    target: str
    device: str
    link: str
    source_ip: str
    target_ip: str
    accounts: dict[int, Account] = field(default_factory=dict)
    error: str = ""
    done: bool = False

    @property
    def probe_source(self) -> tuple[str, str, str]:
        """The interface that probes start from."""
        return self.source, self.device, self.link

    def fail(self, why: str) -> None:
        """Mark the pair as failed; the first reason stays."""
        self.error = self.error or why

    def to_dict(self) -> dict[str, Any]:
        """As the emulator shows it; ``tcp``, ``udp`` and ``icmp`` are None where not probed."""
        accounts = {
            name: self.accounts[protocol].to_dict() if protocol in self.accounts else None
            for protocol, name in NAMES.items()
        }
        return {"error": self.error, **accounts}


def new_pair(ends: Mapping[str, str], asked: Mapping[int, Array]) -> Pair:
    """A pair without results yet."""
    return Pair(**ends, accounts={protocol: Account(ports) for protocol, ports in asked.items()})


@dataclass
class Attempt:
    """One burst of probes; its source ``port`` tells its packets from all others."""

    pair: Pair
    protocol: int
    port: int
    ports: Array
    sent: int = 0
    outcome: dict[str, int] = field(default_factory=dict)
    answered: Array = field(default_factory=no_ports)

    @property
    def account(self) -> Account:
        """Where it is entered."""
        return self.pair.accounts[self.protocol]

    @property
    def key(self) -> bytes:
        """Its key in the kernel's sets."""
        return Key(self.pair.source_ip, self.pair.target_ip, self.protocol, self.port).packed()

    @property
    def balanced(self) -> bool:
        """Whether it is known where every packet went."""
        return bool(self.outcome) and self.sent == sum(self.outcome.values())

    @property
    def complete(self) -> bool:
        """Whether nothing more can be learnt: it balances, and whatever arrived was answered."""
        return self.balanced and int(self.answered.sum()) >= self.outcome["arrived"]

    def enter(self) -> None:
        """Enter it into the account."""
        counts = self.account.counts
        counts["sent"] += self.sent
        for name, count in self.outcome.items():
            counts[name] += count
