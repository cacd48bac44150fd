"""A topology's firewalls before anything is made of them, in the model that an account's are read into.

No address is known yet but the VPC's range, if the plan gives one. So every end is given an address that no
rule of a topology can name by a CIDR: an IPv6 one that is reserved for documentation (RFC 3849). A rule that
names a droplet admits its address; one that names ``vpc``, or a CIDR around the VPC's whole range, those of
all members. Any other CIDR admits no end of the plan: in doubt it does not match. A CIDR as an end stands for
itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from harness.firewall.model import (
    ANYBODY,
    ANYWHERE,
    Database,
    Direction,
    Droplet,
    Firewall,
    FirewallState,
    Network,
    Peer,
    Rule,
)
from harness.topology import model
from harness.topology.model import DATABASE_PORTS, INTERNET, OPERATORS, VPC, Topology

MEMBERS = "2001:db8:0:1::"
OUTSIDE = "2001:db8:0:2::"


def declared(topology: Topology) -> Network:
    """The network a topology declares, with the firewalls that ``management`` implies.

    Ends are the droplets and databases, ``internet``: an address outside, ``operators``, and ``vpc``: an
    address of the VPC that no rule names. All are on the private side.
    """
    members = {
        name: f"{MEMBERS}{number:x}"
        for number, name in enumerate((*topology.droplets, *topology.databases, VPC), 1)
    }
    places = {INTERNET: f"{OUTSIDE}1", OPERATORS: f"{OUTSIDE}2", VPC: members[VPC]}
    return Network(
        topology.name,
        topology.ip_range or "",
        {name: Droplet(name, name, private=members[name]) for name in topology.droplets},
        {
            name: Database(name, name, DATABASE_PORTS[each.engine], private=members[name])
            for name, each in topology.databases.items()
        },
        FirewallState(
            tuple(_firewall(topology, each) for each in topology.all_firewalls()),
            tuple((name, _droplets(each.trusted_sources)) for name, each in topology.databases.items()),
        ),
        others={name: Droplet(name, name, private=address) for name, address in places.items()},
    )


def rule_of(topology: Topology, rule: model.Rule, direction: Direction) -> Rule:
    """A rule of the topology, for the network that it declares."""
    peers = (peer for name in rule.peers for peer in _peers(topology, name))
    return Rule(direction, rule.protocol, rule.ports, tuple(peers))


def _firewall(topology: Topology, firewall: model.Firewall) -> Firewall:
    rules = (
        *(rule_of(topology, each, "inbound") for each in firewall.inbound),
        *(rule_of(topology, each, "outbound") for each in firewall.outbound),
    )
    return Firewall(firewall.name, firewall.name, rules, droplet_ids=firewall.droplets)


def _droplets(names: tuple[str, ...]) -> tuple[Peer, ...]:
    return tuple(Peer("droplet_ids", each) for each in names)


def _peers(topology: Topology, name: str) -> Iterator[Peer]:
    """What a peer of the topology stands for."""
    if name in topology.droplets or name == OPERATORS:
        yield Peer("droplet_ids", name)
    elif name in (INTERNET, ANYWHERE):
        yield from ANYBODY
    elif name == VPC:
        yield Peer("addresses", f"{MEMBERS}/64")
    else:
        yield Peer("addresses", name)
        if topology.ip_range and IPv4Network(topology.ip_range).subnet_of(IPv4Network(name)):
            yield Peer("addresses", f"{MEMBERS}/64")
