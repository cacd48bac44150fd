"""Which pairs to probe, and on which UDP ports. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import ALL, Ports
from harness.firewall.addresses import address
from harness.firewall.model import Network, Pair
from harness.topology.flows import intended
from harness.topology.model import INTERNET, Topology

DNS = 53
SWARM = (2377, 4789, 7946)
SAMPLE = 24
WIDE = 16  # of a range wider than this only the ends are probed


def droplet_pairs(topology: Topology) -> tuple[Pair, ...]:
    """Every ordered pair of two droplets, by their private addresses."""
    return tuple(
        Pair(source, target)
        for source in topology.droplets
        for target in topology.droplets
        if source != target
    )


def all_pairs(topology: Topology, network: Network, *, outsider: bool) -> tuple[Pair, ...]:
    """Every pair that packets could travel, by private and by public addresses.

    From each droplet and the internet, and with ``outsider`` from an outsider, to each droplet and database;
    and from each droplet to the internet and the outsider. Pairs that lack an address are left out.
    """
    made = (*droplet_pairs(topology), *_others(topology, outsider=outsider))
    both = (Pair(each.source, each.target, side) for each in made for side in ("private", "public"))
    return tuple(pair for pair in both if _has_addresses(network, pair) and not _is_duplicate(pair))


def udp_ports(topology: Topology, seed: int) -> Ports:
    """The UDP ports that matter: what the topology names, and next to it, swarm's, DNS, a sample."""
    sample = random.Random(seed).sample(range(1, 65536), SAMPLE)  # noqa: S311 (the same each time)
    named = {edge for each in _named(topology) for edge in _edges(each)}
    return ports.union(*(((port, port),) for port in {DNS, *SWARM, *sample, *named} if 1 <= port <= 65535))


def outsider_pairs(topology: Topology) -> Iterator[Pair]:
    """The pairs with an outsider, by private addresses."""
    return _outside_pairs(topology, STRANGER)


def _others(topology: Topology, *, outsider: bool) -> Iterator[Pair]:
    for source in topology.droplets:
        yield from (Pair(source, database) for database in topology.databases)
    yield from _outside_pairs(topology, INTERNET)
    if outsider:
        yield from outsider_pairs(topology)


def _outside_pairs(topology: Topology, outside: str) -> Iterator[Pair]:
    yield from (Pair(outside, end) for end in (*topology.droplets, *topology.databases))
    yield from (Pair(source, outside) for source in topology.droplets)


def _has_addresses(network: Network, pair: Pair) -> bool:
    return all(address(network, end, pair.side) for end in (pair.source, pair.target))


def _is_duplicate(pair: Pair) -> bool:
    """An outsider's public address is one more address of the internet."""
    return pair.target == STRANGER and pair.side == "public"


def _named(topology: Topology) -> Iterator[Ports]:
    for firewall in topology.all_firewalls():
        for rule in (*firewall.inbound, *firewall.outbound):
            if rule.protocol != "icmp":
                yield ports.parse(rule.ports)
    for flow in intended(topology):
        if flow.protocol != "icmp":
            yield ports.parse(flow.ports)
    for service in topology.services:
        yield from (((port, port),) for port in service.ports)


def _edges(named: Ports) -> Iterator[int]:
    if named == ALL:
        return
    for first, last in named:
        inner = range(first, last + 1) if last - first < WIDE else (first, last)
        yield from (first - 1, *inner, last + 1)
