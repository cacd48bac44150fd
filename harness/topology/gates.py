"""What Cloud Firewalls and trusted sources admit, as pure code: no packets, no API.

A packet between two droplets passes two gates, each on its own: the sender's outbound rules and the
receiver's inbound rules. Rules of all firewalls that cover a droplet add up; covered means all else is
denied; a droplet that no firewall covers has open gates. A database's only gate is its trusted sources.

``internet`` as a rule's peer is any address, a droplet's private one too; as an end of a flow it is an
address outside the deployment. ``vpc`` as an end is an address of the VPC that no rule names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from harness.topology import ports
from harness.topology.model import (
    DATABASE_PORTS,
    INTERNET,
    OPERATORS,
    SSH_PORT,
    VPC,
    Database,
    Firewall,
    Flow,
    Protocol,
    Rule,
    Topology,
)
from harness.topology.ports import Ports

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")


@dataclass(frozen=True)
class Network:
    """All that gates depend on: as a topology declares it, or as an API reports it.

    ``ip_range`` is the VPC's, None as long as it is not known.
    """

    droplets: Collection[str]
    databases: Mapping[str, Database]
    firewalls: tuple[Firewall, ...]
    ip_range: str | None


def declared(topology: Topology) -> Network:
    """The network a topology declares, with the firewalls that ``management`` implies."""
    return Network(tuple(topology.droplets), topology.databases, topology.all_firewalls(), topology.ip_range)


def intended(topology: Topology) -> tuple[Flow, ...]:
    """Who may talk to whom: the declared intent, and the log-ins that ``management`` implies."""
    bastion = topology.management.bastion
    log_ins = [Flow(OPERATORS, bastion, "tcp", SSH_PORT)]
    log_ins += [Flow(bastion, name, "tcp", SSH_PORT) for name in topology.droplets if name != bastion]
    return tuple(dict.fromkeys((*topology.intent, *log_ins)))


def intended_ports(flows: Sequence[Flow], source: str, destination: str, protocol: Protocol) -> Ports:
    """The ports on which these flows let ``source`` talk to ``destination``, both named exactly so."""
    wanted = (source, destination, protocol)
    return ports.union(
        *(
            ports.parse(each.ports)
            for each in flows
            if (each.source, each.destination, each.protocol) == wanted
        )
    )


def admitted(network: Network, source: str, destination: str, protocol: Protocol) -> Ports:
    """The ports on which packets from ``source`` reach ``destination``: what both gates let pass."""
    return ports.intersect(
        egress(network, source, protocol, destination), ingress(network, destination, protocol, source)
    )


def egress(network: Network, source: str, protocol: Protocol, destination: str) -> Ports:
    """The sender's gate: the ports on which ``source`` may send to ``destination``."""
    if source in network.databases:
        return ports.NONE
    if source not in network.droplets:
        return ports.ALL
    covering = covers(network, source)
    if not covering:
        return ports.ALL
    return _union(network, [rule for each in covering for rule in each.outbound], protocol, destination)


def ingress(network: Network, destination: str, protocol: Protocol, source: str) -> Ports:
    """The receiver's gate: the ports on which ``destination`` takes packets from ``source``."""
    database = network.databases.get(destination)
    if database is not None:
        port = DATABASE_PORTS[database.engine]
        trusted = protocol == "tcp" and source in database.trusted_sources
        return ((port, port),) if trusted else ports.NONE
    if destination not in network.droplets:
        return ports.ALL
    covering = covers(network, destination)
    if not covering:
        return ports.ALL
    return _union(network, [rule for each in covering for rule in each.inbound], protocol, source)


def covers(network: Network, droplet: str) -> tuple[Firewall, ...]:
    """The firewalls that cover a droplet."""
    return tuple(each for each in network.firewalls if droplet in each.droplets)


def matches(network: Network, peer: str, end: str) -> bool:
    """Whether a rule's peer takes in an end of a flow. In doubt (addresses not yet given) it does not."""
    if peer in (end, INTERNET, "0.0.0.0/0"):
        return True
    inside = end == VPC or end in network.droplets or end in network.databases
    if peer == VPC:
        return inside
    if peer in network.droplets or peer == OPERATORS:
        return False
    wider = IPv4Network(peer)
    if inside:
        return network.ip_range is not None and IPv4Network(network.ip_range).subnet_of(wider)
    if end in (INTERNET, OPERATORS):
        return False
    return IPv4Network(end).subnet_of(wider)


def _union(network: Network, rules: Sequence[Rule], protocol: Protocol, end: str) -> Ports:
    return ports.union(
        *(
            ports.parse(rule.ports)
            for rule in rules
            if rule.protocol == protocol and any(matches(network, peer, end) for peer in rule.peers)
        )
    )
