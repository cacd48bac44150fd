"""The data of isolation: what packets did between two ends, and where the views of one network differ.

Ends are called by their names in the topology. Two more are ``internet``, an address beyond the deployment,
and ``stranger``, the outsider: a droplet in the same VPC that no rule and no trusted source names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import NONE, Ports
from harness.firewall.model import Pair
from harness.topology.model import INTERNET, Protocol

OUTSIDERS = (INTERNET, STRANGER)

State = Literal["open", "closed", "filtered", "inconclusive"]
STATES: tuple[State, ...] = ("open", "closed", "filtered", "inconclusive")


@dataclass(frozen=True)
class ScanResult:
    """What packets of one protocol did on one pair: every port that was probed is in exactly one set.

    *open*: something answered; *closed*: reachable, but nothing listens (or, over UDP, answers);
    *filtered*: packets do not get there; *inconclusive*: ``doubts`` say why there is no verdict. ICMP has no
    ports: all are in one set. ``probes`` counts packets; ``evidence`` is what was counted on the way, by
    name, where there are counters (sent, arrived, denied_out, denied_in, ...).
    """

    pair: Pair
    protocol: Protocol
    open: Ports = NONE
    closed: Ports = NONE
    filtered: Ports = NONE
    inconclusive: Ports = NONE
    doubts: tuple[str, ...] = ()
    probes: int = 0
    evidence: Mapping[str, int] = field(default_factory=dict)

    @property
    def reachable(self) -> Ports:
        """The ports that packets get to, whether something listens or not: what the firewalls let pass."""
        return ports.union(self.open, self.closed)

    @property
    def probed(self) -> Ports:
        """All ports that were probed."""
        return ports.union(self.open, self.closed, self.filtered, self.inconclusive)


@dataclass(frozen=True)
class Observation:
    """The results of one scan. ``seconds`` is wall time; ``probes`` counts packets of all passes.

    ``tampered`` is what of the emulated network was changed by hand: then no verdict can be trusted.
    ``evidence_sources`` are ``prober`` and, where there are packet counters, ``fabric``. ``partial`` says why
    the scan ended early; empty: it was completed.
    """

    results: tuple[ScanResult, ...]
    passes: int
    evidence_sources: tuple[str, ...]
    seconds: float
    probes: int
    partial: str = ""
    tampered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One place where the views of the network differ, as reports show it.

    ``intended``, ``computed`` and ``observed`` say what each view says of these ports: ``admitted`` or
    ``denied``; ``observed`` may also be ``inconclusive`` or, without packets, ``not observed``. ``gate``
    is ``out`` (egress rules), ``in`` (ingress rules) or empty; ``firewall`` and ``rule`` are what decides
    there, empty where no rule does. ``reason`` says it in a sentence; ``reproduce`` is a command that
    sends one packet to show it.
    """

    pair: Pair
    protocol: Protocol
    ports: Ports
    intended: str
    computed: str
    observed: str
    gate: str
    firewall: str
    rule: str
    reason: str
    reproduce: str
