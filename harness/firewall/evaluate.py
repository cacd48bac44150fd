"""What Cloud Firewalls and trusted sources let pass. Pure: no packets, no API.

A packet must pass the sender's outbound rules and the receiver's inbound rules, each on their own. The
rules of all firewalls that cover a droplet add up; once one covers it, even one without rules, all else is
denied, in both directions. A droplet that none covers is open. A database takes TCP on its port from its
trusted sources, or from everybody if it has none, and opens nothing itself. Rules are compared with
addresses, not names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.core import ports
from harness.core.ports import NONE, Ports
from harness.firewall.addresses import address, no_route
from harness.firewall.model import ANYBODY, DIRECTIONS, Direction, Network, Pair, Peer, Rule
from harness.firewall.ranges import OPEN, PortsByAddress, Span, combine, ports_with, span_of
from harness.topology.model import PROTOCOLS, Protocol

At = tuple[str, Direction, Protocol]  # whose rules, by the end's name
Allowed = Mapping[At, PortsByAddress]
Reachability = Mapping[tuple[Pair, Protocol], Ports]


def admitted(network: Network, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which packets of one pair get through; none where there is no route."""
    if no_route(network, pair):
        return NONE
    return ports.intersect(sent(network, pair, protocol), received(network, pair, protocol))


def reachability(network: Network, pairs: Iterable[Pair]) -> Reachability:
    """The ports on which packets get through, for each pair and protocol."""
    return {(pair, each): admitted(network, pair, each) for pair in pairs for each in PROTOCOLS}


def differing(before: Reachability, after: Reachability) -> dict[tuple[Pair, Protocol], Ports]:
    """The ports that are reachable before or after, but not both, where there are any."""
    return {
        each: ports.union(ports.subtract(old, after[each]), ports.subtract(after[each], old))
        for each, old in before.items()
        if old != after[each]
    }


def sent(network: Network, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which the sender's rules let packets out to this pair's target."""
    far = address(network, pair.target, pair.side)
    return ports_with(allowed(network, pair.source, "outbound", protocol), far) if far else NONE


def received(network: Network, pair: Pair, protocol: Protocol) -> Ports:
    """The ports on which the receiver's rules let packets in from this pair's source."""
    far = address(network, pair.source, pair.side)
    return ports_with(allowed(network, pair.target, "inbound", protocol), far) if far else NONE


def allowed(network: Network, end: str, direction: Direction, protocol: Protocol) -> PortsByAddress:
    """The ports that an end's rules of one direction admit with every address there is."""
    at = (end, direction, protocol)
    if at not in network.evaluated:
        rules = rules_of(network, end, direction)
        network.evaluated[at] = OPEN if rules is None else allowed_by(network, rules, protocol)
    found: PortsByAddress = network.evaluated[at]
    return found


def all_allowed(network: Network) -> Allowed:
    """What the rules of every droplet and database admit; equal where two networks' rules mean the same."""
    return {
        (end, direction, protocol): allowed(network, end, direction, protocol)
        for direction in DIRECTIONS
        for protocol in PROTOCOLS
        for end in (*network.droplets, *network.databases)
    }


def changed(before: Allowed, after: Allowed) -> tuple[At, ...]:
    """Whose rules do not mean the same; none means that two networks' rules are equivalent."""
    return tuple(each for each in before if before[each] != after[each])


def rules_of(network: Network, end: str, direction: Direction) -> tuple[Rule, ...] | None:
    """The rules that decide at one end in one direction; None where none does, so that it is open.

    A database's trusted sources count as one rule.
    """
    database = network.databases.get(end)
    if database is None:
        covering = network.covering(end)
        return tuple(rule for each in covering for rule in each.of(direction)) if covering else None
    if direction == "outbound" or not database.port:
        return ()
    return (Rule("inbound", "tcp", str(database.port), network.state.trusted_sources(end) or ANYBODY),)


def allowed_by(network: Network, rules: Iterable[Rule], protocol: Protocol) -> PortsByAddress:
    """What these rules admit together in one protocol, whichever direction they are of."""
    return combine(
        (span, rule.admits)
        for rule in rules
        if rule.protocol == protocol
        for span in spans(network, rule.peers)
    )


def spans(network: Network, peers: Sequence[Peer]) -> list[Span]:
    """The addresses that peers stand for; peers without known addresses stand for none."""
    values = [value for kind, value in peers if kind == "addresses"]
    values += [one for each in network.named_by(peers) for one in each.addresses]
    return [span_of(each) for each in values]
