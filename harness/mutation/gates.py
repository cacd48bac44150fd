"""What each gate lets pass, for every address there is: the ground on which two protections are compared.

Comparing pairs of machines alone would call a hole equivalent as long as nobody happens to sit at its other
end. So a gate is the whole line of addresses, cut wherever some rule begins or ends, with the ports it
admits on each piece. Two protections are the same where all gates are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import pairwise

from harness.mutation.protection import (
    End,
    Ground,
    Peer,
    Protection,
    Rule,
    Way,
    as_peer,
    covers,
    named_by,
)
from harness.topology import ports
from harness.topology.model import Protocol
from harness.topology.ports import ALL, NONE, Ports

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")
WAYS: tuple[Way, ...] = ("inbound", "outbound")
SIX = 2**32  # IPv6 follows IPv4 on one line of numbers
LAST = SIX + 2**128 - 1

Span = tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """Addresses ``first`` to ``last``, as numbers, and the ports that are admitted with them."""

    first: int
    last: int
    ports: Ports


Gate = tuple[Piece, ...]
Gates = Mapping[tuple[str, Way, Protocol], Gate]

OPEN: Gate = (Piece(0, LAST, ALL),)
SHUT: Gate = ()


def gates(ground: Ground, protection: Protection) -> Gates:
    """The gates of every end, by its name, the way and the protocol; equal where they mean the same."""
    made = {}
    for way in WAYS:
        for protocol in PROTOCOLS:
            for droplet in ground.droplets.values():
                made[droplet.name, way, protocol] = _droplet(ground, protection, droplet, way, protocol)
            for database in ground.databases.values():
                made[database.name, way, protocol] = _database(ground, protection, database, way, protocol)
    return made


def admits(gate: Gate, address: str) -> Ports:
    """The ports that a gate lets pass with one address."""
    number = _number(address)
    return next((each.ports for each in gate if each.first <= number <= each.last), NONE)


def admits_all_of(gate: Gate, span: Span) -> Ports:
    """The ports that a gate lets pass with every address of a span."""
    common, at = ALL, span[0]
    for each in gate:
        if each.last < at:
            continue
        if each.first > at:
            return NONE
        common, at = ports.intersect(common, each.ports), each.last + 1
        if at > span[1]:
            return common
    return NONE


def span_of(network: str) -> Span:
    """A network's first and last address as numbers. Raises ``ValueError``."""
    parsed = ip_network(network, strict=False)
    return _number(str(parsed[0])), _number(str(parsed[-1]))


def changed(before: Gates, after: Gates) -> tuple[tuple[str, Way, Protocol], ...]:
    """The gates that are not the same; none means that the two protections mean the same."""
    return tuple(each for each in before if before[each] != after[each])


def _droplet(ground: Ground, protection: Protection, droplet: End, way: Way, protocol: Protocol) -> Gate:
    covering = [wall for wall in protection.walls if covers(wall, droplet)]
    if not covering:
        return OPEN
    rules = (rule for wall in covering for rule in wall.rules)
    return _gate(
        (span, ports_of(rule))
        for rule in rules
        if (rule.way, rule.protocol) == (way, protocol)
        for span in spans(ground, rule.peers)
    )


def _database(ground: Ground, protection: Protection, database: End, way: Way, protocol: Protocol) -> Gate:
    if way == "outbound" or protocol != "tcp":
        return SHUT
    sources = protection.sources(database.name)
    port = ((database.port, database.port),)
    if not sources:
        return (Piece(0, LAST, port),)
    return _gate((span, port) for span in spans(ground, [as_peer(each) for each in sources]))


def spans(ground: Ground, peers: Sequence[Peer]) -> list[Span]:
    """The addresses that a rule's peers stand for."""
    networks = [str(value) for kind, value in peers if kind == "addresses"]
    named = [ground.droplets[each] for each in named_by(ground, peers)]
    networks += [address for each in named for address in (each.private, each.public) if address]
    return [span_of(each) for each in networks]


def ports_of(rule: Rule) -> Ports:
    """The ports of a rule; all for icmp, which has none."""
    return ALL if rule.protocol == "icmp" else ports.parse(rule.ports)


def _gate(admitted: Iterable[tuple[Span, Ports]]) -> Gate:
    given = list(admitted)
    cuts = sorted({cut for (first, last), _ in given for cut in (first, last + 1)})
    pieces = [
        Piece(first, until - 1, union)
        for first, until in pairwise(cuts)
        if (union := ports.union(*(each for (a, b), each in given if a <= first <= b)))
    ]
    return _joined(pieces)


def _joined(pieces: Sequence[Piece]) -> Gate:
    joined: list[Piece] = []
    for each in pieces:
        if joined and joined[-1].last + 1 == each.first and joined[-1].ports == each.ports:
            joined[-1] = Piece(joined[-1].first, each.last, each.ports)
        else:
            joined.append(each)
    return tuple(joined)


def _number(address: str) -> int:
    parsed = ip_address(address)
    return int(parsed) if isinstance(parsed, IPv4Address) else SIX + int(parsed)
