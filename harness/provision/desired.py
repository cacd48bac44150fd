"""What a run of a topology should consist of, as bodies of API requests; pure data, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.errors import TopologyError, UsageError
from harness.core.names import node_tag, resource_name, run_tag, vpc_mark
from harness.provision.firstboot import user_data
from harness.topology.model import INTERNET, OPERATORS, VPC, Firewall, Rule, Topology

Body = dict[str, Any]
Groups = Mapping[str, tuple[str, ...]]

ANYWHERE = ("0.0.0.0/0", "::/0")
SELF = "self"
BOOTSTRAP = "bootstrap"
TAGS_PER_FIREWALL = 5


@dataclass(frozen=True)
class Desired:
    """Bodies of requests; droplets and databases are keyed by their names in the topology.

    Droplets still lack ``vpc_uuid`` and ``ssh_keys``, databases ``private_network_uuid``: ids that are
    known only once those exist.
    """

    tags: tuple[str, ...]
    vpc: Body
    droplets: dict[str, Body]
    databases: dict[str, Body]


def desired(topology: Topology, run: str) -> Desired:
    """Everything of a run but its firewalls, which need the VPC's range. Raises ``TopologyError``."""
    return Desired(
        tags=(run_tag(run), *(node_tag(run, name) for name in topology.droplets)),
        vpc=_vpc(topology, run),
        droplets={name: _droplet(topology, run, name) for name in topology.droplets},
        databases={name: _database(topology, run, name) for name in topology.databases},
    )


def firewalls(topology: Topology, run: str, vpc_range: str, operators: Sequence[str]) -> dict[str, Body]:
    """The run's Cloud Firewalls by name, the bootstrap one not among them. Raises ``UsageError``."""
    groups = {INTERNET: ANYWHERE, OPERATORS: operator_cidrs(topology, operators), VPC: (vpc_range,)}
    made: dict[str, Body] = {}
    for firewall in topology.all_firewalls():
        name = resource_name(run, firewall.name)
        tags = [node_tag(run, droplet) for droplet in firewall.droplets]
        made[name] = {"name": name, **_rules(topology, run, firewall, groups), "tags": tags}
    return made


def bootstrap(run: str, tags: Iterable[str]) -> Body:
    """The firewall that lets droplets fetch what their first boot needs."""
    everything = {"addresses": list(ANYWHERE)}
    return {
        "name": resource_name(run, BOOTSTRAP),
        "inbound_rules": [],
        "outbound_rules": [
            {"protocol": "tcp", "ports": "0", "destinations": everything},
            {"protocol": "udp", "ports": "0", "destinations": everything},
            {"protocol": "icmp", "destinations": everything},
        ],
        "tags": sorted(tags),
    }


def bootstrap_tags(topology: Topology, run: str, nodes: Sequence[str]) -> tuple[str, ...]:
    """The tags that cover ``nodes``: their own, or the run's where they are all or too many."""
    if len(nodes) == len(topology.droplets) or len(nodes) > TAGS_PER_FIREWALL:
        return (run_tag(run),)
    return tuple(node_tag(run, node) for node in nodes)


def coverable(topology: Topology) -> frozenset[str]:
    """The droplets that some firewall is to cover: all others are open, to first boot too."""
    return frozenset(name for firewall in topology.all_firewalls() for name in firewall.droplets)


def operator_cidrs(topology: Topology, operators: Sequence[str]) -> tuple[str, ...]:
    """Who may log in to the bastion, ``self`` replaced by the addresses of this machine."""
    if SELF in topology.management.operators and not operators:
        raise UsageError(
            f"{topology.file}: management.operators says self, and what address the target sees this machine "
            "as is not known: give it with --operator-cidr or WAVETANK_OPERATORS, like 198.51.100.7/32"
        )
    named = [each for each in topology.management.operators if each != SELF]
    own = operators if SELF in topology.management.operators else ()
    return tuple(dict.fromkeys((*named, *own)))


def _vpc(topology: Topology, run: str) -> Body:
    body = {"name": resource_name(run), "region": topology.region, "description": vpc_mark(run)}
    return {**body, "ip_range": topology.ip_range} if topology.ip_range else body


def _droplet(topology: Topology, run: str, name: str) -> Body:
    droplet = topology.droplets[name]
    if droplet.user_data and not droplet.user_data.startswith("#!"):
        raise TopologyError(
            "is not a script",
            file=topology.file,
            field=f"droplets.{name}.user_data",
            remedy="begin it with #! and an interpreter; it runs after Wavetank's own first-boot script",
        )
    return {
        "name": name,
        "region": topology.region,
        "size": droplet.size,
        "image": int(droplet.image) if droplet.image.isdecimal() else droplet.image,
        "tags": [run_tag(run), node_tag(run, name)],
        "public_networking": droplet.public_networking,
        "user_data": user_data(droplet.user_data),
    }


def _database(topology: Topology, run: str, name: str) -> Body:
    database = topology.databases[name]
    return {
        "name": resource_name(run, name),
        "engine": database.engine,
        "version": database.version,
        "region": topology.region,
        "size": database.size,
        "num_nodes": database.nodes,
        "tags": [run_tag(run)],
        "rules": [{"type": "tag", "value": node_tag(run, node)} for node in database.trusted_sources],
    }


def _rules(topology: Topology, run: str, firewall: Firewall, groups: Groups) -> Body:
    def rule(given: Rule, side: str) -> Body:
        ports = {} if given.protocol == "icmp" else {"ports": given.ports}
        return {"protocol": given.protocol, **ports, side: _peers(topology, run, given.peers, groups)}

    return {
        "inbound_rules": [rule(each, "sources") for each in firewall.inbound],
        "outbound_rules": [rule(each, "destinations") for each in firewall.outbound],
    }


def _peers(topology: Topology, run: str, peers: Sequence[str], groups: Groups) -> dict[str, list[str]]:
    addresses: list[str] = []
    tags: list[str] = []
    for peer in peers:
        if peer in topology.droplets:
            tags.append(node_tag(run, peer))
        else:
            addresses += groups.get(peer, (peer,))
    return {key: value for key, value in (("addresses", addresses), ("tags", tags)) if value}
