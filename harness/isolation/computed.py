"""What the Cloud Firewalls and trusted sources, as the API reports them, let pass. Pure: no packets, no API.

A packet passes two gates, each on its own: what the sender may send and what the receiver takes. The rules
of all firewalls that cover a droplet add up; once one covers it, even one without rules, all else is denied,
both ways. A droplet that none covers is open. A database takes TCP on its port from its trusted sources, or
from everybody if it has none, and opens nothing itself. Rules are held against addresses, not names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from harness.isolation.model import Pair, Side
from harness.isolation.network import Firewall, Network, Peer, Rule, all_peers
from harness.names import STRANGER
from harness.topology import ports
from harness.topology.model import INTERNET, OPERATORS, Protocol
from harness.topology.ports import ALL, NONE, Ports

GateName = Literal["route", "out", "in"]

INTERNET_ADDRESS = "192.0.2.10"
STRANGER_ADDRESS = "192.0.2.11"  # the public one of a stranger that is only thought of
TRUSTED = "trusted sources"
OUTSIDE = (INTERNET, OPERATORS)
SEARCHED = 1024  # addresses from the end of the VPC, more than there can be droplets


@dataclass(frozen=True)
class Step:
    """One gate on the way: ``route`` (is there one at all), ``out`` (the sender's), ``in`` (the receiver's).

    ``covering`` are the firewalls that cover ``end``; ``firewall`` and ``rule`` what admits, or empty where
    nothing does or nothing needs to. ``reason`` says it in words.
    """

    gate: GateName
    end: str
    admits: bool
    reason: str
    covering: tuple[str, ...] = ()
    firewall: str = ""
    rule: str = ""


@dataclass(frozen=True)
class Walk:
    """One flow through its gates, all of them, whatever the first one says. ``notes``: what else matters."""

    pair: Pair
    protocol: Protocol
    port: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether every gate lets it pass."""
        return all(step.admits for step in self.steps)

    @property
    def decides(self) -> Step:
        """The first gate that denies; where none does, the last one."""
        return next((step for step in self.steps if not step.admits), self.steps[-1])


def admitted(network: Network, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which both gates let packets of one pair pass; none where there is no route."""
    if _no_route(network, pair):
        return NONE
    return ports.intersect(sent(network, pair, protocol), taken(network, pair, protocol))


def sent(network: Network, pair: Pair, protocol: Protocol) -> Ports:
    """The sender's gate: the ports on which it may send to this pair's target."""
    if pair.source in network.databases:
        return NONE
    return _gate(network, pair.source, "out", protocol, _where(network, pair.target, pair.side))


def taken(network: Network, pair: Pair, protocol: Protocol) -> Ports:
    """The receiver's gate: the ports on which it takes packets from this pair's source."""
    return _gate(network, pair.target, "in", protocol, _where(network, pair.source, pair.side))


def walk(network: Network, pair: Pair, protocol: Protocol, port: int) -> Walk:
    """The gates of one flow, one by one; ``port`` is ignored for icmp."""
    this: Ports = ALL if protocol == "icmp" else ((port, port),)
    missing = _no_route(network, pair)
    steps = [Step("route", pair.source, not missing, missing or _route(network, pair))]
    if not missing:
        steps += [_out(network, pair, protocol, this), _in(network, pair, protocol, this)]
    return Walk(pair, protocol, port, tuple(steps), tuple(power(network, pair)))


def address(network: Network, end: str, side: Side) -> str:
    """The IPv4 address of an end on one side, or the network it is in; empty where it has none."""
    if end in network.databases:
        database = network.databases[end]
        return database.private if side == "private" else database.public
    droplet = network.droplets.get(end) or network.others.get(end)
    if droplet is not None:
        return droplet.private if side == "private" else droplet.public
    if end == STRANGER:
        return _thought_of(network) if side == "private" else STRANGER_ADDRESS
    if side == "private":
        return ""
    if end == OPERATORS:
        return next((each for each in network.operators if ":" not in each), "")
    return INTERNET_ADDRESS if end == INTERNET else ""


def covering(network: Network, end: str) -> tuple[Firewall, ...]:
    """The firewalls that cover a droplet."""
    return tuple(each for each in network.firewalls if end in each.droplets)


def rules_of(firewall: Firewall, gate: GateName) -> tuple[Rule, ...]:
    """A firewall's rules for one of a droplet's gates."""
    return firewall.outbound if gate == "out" else firewall.inbound


def rule_text(rule: Rule, gate: GateName) -> str:
    """``tcp 4000 from client``, ``udp all to 0.0.0.0/0``, ``icmp from tag web``"""
    shown = "" if rule.protocol == "icmp" else f" {'all' if rule.ports in ('', '0') else rule.ports}"
    peers = ", ".join(dict.fromkeys(peer.name for peer in rule.peers)) or "nobody"
    return f"{rule.protocol}{shown} {'to' if gate == 'out' else 'from'} {peers}"


def _gate(network: Network, end: str, gate: GateName, protocol: Protocol, far: IPv4Network) -> Ports:
    database = network.databases.get(end)
    if database is not None:
        port = ((database.port, database.port),)
        open_to_all = not database.sources
        return port if protocol == "tcp" and (open_to_all or _takes_in(database.sources, far)) else NONE
    walls = covering(network, end)
    if not walls:
        return ALL
    rules = [each for wall in walls for each in rules_of(wall, gate) if each.protocol == protocol]
    return _for_all_of(rules, far)


def _for_all_of(rules: Sequence[Rule], far: IPv4Network) -> Ports:
    """The ports that rules admit with every address of ``far``, which is one address nearly always."""
    common = ALL
    for one in _pieces([peer for rule in rules for peer in rule.peers], far):
        here = (each.admits for each in rules if _names(each.peers, one))
        common = ports.intersect(common, ports.union(*here))
    return common


def _takes_in(peers: Sequence[Peer], far: IPv4Network) -> bool:
    return all(_names(peers, one) for one in _pieces(peers, far))


def _pieces(peers: Sequence[Peer], far: IPv4Network) -> set[IPv4Address]:
    """An address of each part of ``far`` that the peers' networks cut it into."""
    cuts = {far.network_address}
    for each in (_cidr(text) for peer in peers for text in peer.networks):
        if each != far and each.subnet_of(far):
            cuts.add(each.network_address)
            if each.broadcast_address < far.broadcast_address:
                cuts.add(each.broadcast_address + 1)
    return cuts


def _names(peers: Sequence[Peer], one: IPv4Address) -> bool:
    return any(one in _cidr(text) for peer in peers for text in peer.networks)


def _where(network: Network, end: str, side: Side) -> IPv4Network:
    return _cidr(address(network, end, side) or INTERNET_ADDRESS)


def _thought_of(network: Network) -> str:
    """The address of a stranger that is not there: one of the VPC that nobody has and no rule singles out."""
    if not network.vpc_range:
        return ""
    whole = _cidr(network.vpc_range)
    cuts = [_cidr(text) for peer in all_peers(network) for text in peer.networks]
    narrow = [each for each in cuts if each != whole and each.subnet_of(whole)]
    taken = {each.private for each in (*network.droplets.values(), *network.others.values())}
    last = int(whole.broadcast_address) - 1
    free = [each for each in map(IPv4Address, range(last, last - SEARCHED, -1)) if str(each) not in taken]
    return str(next((each for each in free if not any(each in cut for cut in narrow)), free[0]))


@cache
def _cidr(text: str) -> IPv4Network:
    return IPv4Network(text, strict=False)


def _no_route(network: Network, pair: Pair) -> str:
    """Why packets cannot get there, whatever the gates say; empty where they can."""
    for end in (pair.source, pair.target):
        if not address(network, end, pair.side):
            if end in (INTERNET, OPERATORS):
                return f"no route: private addresses are not reachable from or by {end}"
            there = {*network.droplets, *network.databases, *network.others}
            return f"no route: {end} " + (f"has no {pair.side} address" if end in there else "is not there")
    return ""


def _route(network: Network, pair: Pair) -> str:
    source, target = (address(network, end, pair.side) for end in (pair.source, pair.target))
    if pair.target in network.databases:
        target = f"{pair.target}'s {pair.side} endpoint"
    return f"from {source} to {target}, {'within the VPC' if pair.side == 'private' else 'over the internet'}"


def power(network: Network, pair: Pair) -> Iterator[str]:
    """Which end is not running, in words."""
    for end in (pair.source, pair.target):
        droplet = network.droplets.get(end) or network.others.get(end)
        if droplet is not None and droplet.status != "active":
            yield f"{end} is {droplet.status}: nothing gets through whatever the gates say"


def _out(network: Network, pair: Pair, protocol: Protocol, this: Ports) -> Step:
    if pair.source in network.databases:
        return Step("out", pair.source, admits=False, reason="a managed database opens no connections")
    return _droplet_step(
        network, pair.source, "out", (protocol, this), _where(network, pair.target, pair.side)
    )


def _in(network: Network, pair: Pair, protocol: Protocol, this: Ports) -> Step:
    far = _where(network, pair.source, pair.side)
    if pair.target in network.databases:
        return _database_step(network, pair.target, protocol, this, far)
    return _droplet_step(network, pair.target, "in", (protocol, this), far)


def _droplet_step(
    network: Network, end: str, gate: GateName, flow: tuple[Protocol, Ports], far: IPv4Network
) -> Step:
    protocol, this = flow
    if end in OUTSIDE:
        return Step(gate, end, admits=True, reason=f"{end} is beyond the deployment: no firewall to pass")
    walls = covering(network, end)
    names = tuple(wall.name for wall in walls)
    if not walls:
        return Step(gate, end, admits=True, reason=f"no firewall covers {end}: it is open")
    for wall in walls:
        for rule in rules_of(wall, gate):
            if rule.protocol == protocol and not ports.subtract(this, _for_all_of([rule], far)):
                text = rule_text(rule, gate)
                return Step(gate, end, True, f"{wall.name} has {text!r}", names, wall.name, text)
    if not ports.subtract(this, _gate(network, end, gate, protocol, far)):
        return Step(gate, end, True, "several rules together admit it", names, names[0])
    way = "outbound" if gate == "out" else "inbound"
    return Step(gate, end, False, f"no {way} rule of {' or '.join(names)} admits it", names)


def _database_step(network: Network, end: str, protocol: Protocol, this: Ports, far: IPv4Network) -> Step:
    database = network.databases[end]
    if protocol != "tcp" or this != ((database.port, database.port),):
        return Step("in", end, False, f"{end} takes tcp {database.port} and nothing else", (TRUSTED,))
    if not database.sources:
        why = f"{end} has no trusted sources: it is open to everybody"
        return Step("in", end, True, why, (TRUSTED,), TRUSTED)
    for source in database.sources:
        if _takes_in([source], far):
            return Step("in", end, True, f"{end} trusts {source.name}", (TRUSTED,), TRUSTED, source.name)
    trusted = ", ".join(source.name for source in database.sources)
    return Step("in", end, False, f"{end} trusts only {trusted}", (TRUSTED,))
