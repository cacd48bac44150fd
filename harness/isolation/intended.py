"""What the topology intends: which ports must get through between two ends, and which may.

Intent names ends, not addresses. So what *may* pass between two droplets may pass on either address, while
what *must* pass must on the private one; from and to the internet, on the public one. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import ALL, Ports
from harness.firewall.model import INTERNET_ADDRESS, Pair
from harness.isolation.model import OUTSIDERS
from harness.topology.flows import intended
from harness.topology.model import INTERNET, OPERATORS, VPC, Flow, Protocol, Topology


def must(topology: Topology, pair: Pair, protocol: Protocol) -> Ports:
    """The ports that must get through; always a subset of what ``may``."""
    return _ports(each for each in _flows(topology, protocol) if _requires(topology, each, pair))


def may(topology: Topology, pair: Pair, protocol: Protocol) -> Ports:
    """The ports that may get through: all others must be denied."""
    return _ports(reasons(topology, pair, protocol))


def reasons(topology: Topology, pair: Pair, protocol: Protocol) -> tuple[Flow, ...]:
    """The flows of the intent, management's log-ins among them, that let this pair talk."""
    return tuple(each for each in _flows(topology, protocol) if _allows(topology, each, pair))


def _flows(topology: Topology, protocol: Protocol) -> Iterator[Flow]:
    return (each for each in intended(topology) if each.protocol == protocol)


def _ports(flows: Iterator[Flow] | tuple[Flow, ...]) -> Ports:
    return ports.union(*(ALL if each.protocol == "icmp" else ports.parse(each.ports) for each in flows))


def _requires(topology: Topology, flow: Flow, pair: Pair) -> bool:
    outside = pair.source in (INTERNET, OPERATORS) or pair.target == INTERNET
    if pair.side != ("public" if outside else "private"):
        return False
    source, target = _means(topology, flow.source), _means(topology, flow.destination)
    return pair.source in source and pair.target in target


def _means(topology: Topology, end: str) -> tuple[str, ...]:
    """The ends that an end of the intent certainly names."""
    if end == VPC:
        return (VPC, STRANGER)  # a droplet that is covered may still not be let out
    if end in (INTERNET, OPERATORS) or end in topology.droplets or end in topology.databases:
        return (end,)
    return (INTERNET,) if IPv4Address(INTERNET_ADDRESS) in IPv4Network(end) else ()


def _allows(topology: Topology, flow: Flow, pair: Pair) -> bool:
    return _from(topology, flow.source, pair.source) and _to(topology, flow, pair)


def _from(topology: Topology, named: str, end: str) -> bool:
    """Whether an intent's source includes an end: ``internet`` there means anybody."""
    if named in (end, INTERNET):
        return True
    if named == OPERATORS:
        return any(_holds(topology, cidr, end) for cidr in topology.management.operators if cidr != "self")
    return _within(topology, named, end)


def _to(topology: Topology, flow: Flow, pair: Pair) -> bool:
    if flow.destination == pair.target:
        return True
    if flow.destination in topology.databases:
        # A rule cannot name a database but only the VPC, and an outsider is in the VPC too.
        return pair.target == STRANGER and pair.side == "private"
    if flow.destination == INTERNET:
        return pair.target in OUTSIDERS
    return _within(topology, flow.destination, pair.target)


def _within(topology: Topology, named: str, end: str) -> bool:
    if named == VPC:
        return _is_member(topology, end)
    if named in topology.droplets or named in topology.databases:
        return False
    return named not in (INTERNET, OPERATORS) and _holds(topology, named, end)


def _holds(topology: Topology, cidr: str, end: str) -> bool:
    """Whether a network may contain an end; members of the VPC may have any address of its range."""
    if ":" in cidr:
        return False
    network = IPv4Network(cidr)
    if network.prefixlen == 0:
        return True
    if end == INTERNET:
        return IPv4Address(INTERNET_ADDRESS) in network
    inside = _is_member(topology, end) and topology.ip_range is not None
    return inside and network.overlaps(IPv4Network(str(topology.ip_range)))


def _is_member(topology: Topology, end: str) -> bool:
    return end == STRANGER or end in topology.droplets or end in topology.databases
