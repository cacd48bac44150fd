"""What becomes of packets, pair by pair, when gates are as they are: computed, without sending one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.isolation.model import Pair, Side
from harness.mutation.gates import PROTOCOLS, Gate, Gates, admits, admits_all_of, span_of
from harness.mutation.protection import Ground
from harness.names import STRANGER
from harness.topology import ports
from harness.topology.model import INTERNET, OPERATORS, Protocol
from harness.topology.ports import ALL, NONE, Ports

EVERYWHERE = "0.0.0.0/0"
Fates = Mapping[tuple[Pair, Protocol], Ports]


@dataclass(frozen=True)
class Places:
    """The ends that are no part of the run: addresses, empty where there is none to look from.

    ``internet`` lies beyond the deployment, ``stranger`` in its VPC (``stranger_public``: its other
    address), ``operators`` is where this machine is seen from.
    """

    internet: str = ""
    stranger: str = ""
    stranger_public: str = ""
    operators: str = ""

    def address(self, name: str, side: Side) -> str:
        """The address of one of these ends towards a private or a public one."""
        if name == STRANGER:
            return self.stranger if side == "private" else self.stranger_public
        return {INTERNET: self.internet, OPERATORS: self.operators}.get(name, "")


def pairs(ground: Ground, places: Places) -> Iterator[Pair]:
    """Every way from one end to another that packets could take."""
    outsiders = [each for each in (INTERNET, STRANGER, OPERATORS) if places.address(each, "public")]
    for source in (*ground.droplets, *outsiders):
        for target in (*ground.droplets, *ground.databases):
            if source == target or (source == OPERATORS and target in ground.databases):
                continue
            if source not in (INTERNET, OPERATORS):
                yield Pair(source, target, "private")
            if _has_public(ground, source, target):
                yield Pair(source, target, "public")
    for source in ground.droplets:
        if places.internet and ground.droplets[source].public:
            yield Pair(source, INTERNET, "public")
        if places.stranger:
            yield Pair(source, STRANGER, "private")


def fates(ground: Ground, places: Places, gates: Gates) -> Fates:
    """The ports on which packets get through, for each pair and protocol."""
    return {
        (pair, protocol): through(ground, places, gates, pair, protocol)
        for pair in pairs(ground, places)
        for protocol in PROTOCOLS
    }


def through(ground: Ground, places: Places, gates: Gates, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which both gates let packets of one pair pass."""
    return ports.intersect(
        sent(ground, places, gates, pair, protocol), taken(ground, places, gates, pair, protocol)
    )


def sent(ground: Ground, places: Places, gates: Gates, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which the sender's gate lets packets out; an end that is not of the run has none."""
    if pair.source not in ground.droplets:
        return ALL
    return _towards(ground, places, gates[pair.source, "outbound", protocol], pair)


def taken(ground: Ground, places: Places, gates: Gates, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which the receiver's gate lets packets in."""
    gate = gates.get((pair.target, "inbound", protocol))
    if gate is None:
        return ALL
    source = ground.droplets.get(pair.source)
    if source is None:
        return admits(gate, places.address(pair.source, pair.side))
    address = source.private if pair.side == "private" else source.public
    return admits(gate, address) if address else NONE


def differing(before: Fates, after: Fates) -> dict[tuple[Pair, Protocol], Ports]:
    """The ports whose packets meet another fate than before, where there are any."""
    return {
        each: ports.union(ports.subtract(old, after[each]), ports.subtract(after[each], old))
        for each, old in before.items()
        if old != after[each]
    }


def _towards(ground: Ground, places: Places, gate: Gate, pair: Pair) -> Ports:
    """The API tells no address of a database: what counts is what is let out to every one it could have."""
    if pair.target in ground.databases:
        return admits_all_of(gate, span_of(ground.vpc_range if pair.side == "private" else EVERYWHERE))
    target = ground.droplets.get(pair.target)
    if target is None:
        return admits(gate, places.address(pair.target, pair.side))
    address = target.private if pair.side == "private" else target.public
    return admits(gate, address) if address else NONE


def _has_public(ground: Ground, source: str, target: str) -> bool:
    """Whether there is a way from a public address to a public address; a database always has one."""
    sender = ground.droplets.get(source)
    receiver = ground.droplets.get(target)
    return (sender is None or bool(sender.public)) and (receiver is None or bool(receiver.public))
