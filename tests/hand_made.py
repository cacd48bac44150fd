"""A deployment of a topology as somebody makes it by hand: plain API calls, names and rules of their own.

Droplets are called as the topology calls them and have one tag together. There is one firewall a droplet,
with another name, which names peers by their ids; trusted sources are droplets' ids; databases have a prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.topology.model import INTERNET, OPERATORS, VPC, Rule, Topology

TAG = "production"
OPERATOR = "198.51.100.7/32"
ANYWHERE = ["0.0.0.0/0", "::/0"]
Body = dict[str, Any]


@dataclass
class HandMade:
    """What was made; ``client`` is pydo's, to meddle with it and to take it away again."""

    client: Any
    topology: Topology
    vpc: Body = field(default_factory=dict)
    droplets: dict[str, Body] = field(default_factory=dict)
    databases: dict[str, Body] = field(default_factory=dict)
    firewalls: dict[str, Body] = field(default_factory=dict)

    def droplet(self, name: str, *tags: str, vpc: str = "") -> Body:
        """One droplet more, with these tags."""
        wanted = self.topology.droplets.get(name) or next(iter(self.topology.droplets.values()))
        body = {
            "name": name,
            "region": self.topology.region,
            "size": wanted.size,
            "image": wanted.image,
            "vpc_uuid": vpc or self.vpc["id"],
            "tags": list(tags),
        }
        made: Body = self.client.droplets.create(body=body)["droplet"]
        return made

    def change(self, firewall: str, **lists: Any) -> None:
        """Give a droplet's firewall other rules."""
        now = self.client.firewalls.get(self.firewalls[firewall]["id"])["firewall"]
        body = {key: now[key] for key in ("name", "inbound_rules", "outbound_rules", "droplet_ids", "tags")}
        self.client.firewalls.update(now["id"], body={**body, **lists})

    def trust(self, database: str, *rules: tuple[str, str]) -> None:
        """Give a database other trusted sources."""
        told = [{"type": kind, "value": value} for kind, value in rules]
        self.client.databases.update_firewall_rules(self.databases[database]["id"], body={"rules": told})


def make(client: Any, topology: Topology) -> HandMade:
    """Make everything, and wait for nothing."""
    made = HandMade(client, topology)
    made.vpc = client.vpcs.create(body={"name": "prod-net", "region": topology.region})["vpc"]
    for name in topology.droplets:
        made.droplets[name] = made.droplet(name, TAG, "ours")
    for name, each in topology.databases.items():
        body = {
            "name": f"prod-{name}",
            "engine": each.engine,
            "version": each.version,
            "region": topology.region,
            "size": each.size,
            "num_nodes": each.nodes,
            "private_network_uuid": made.vpc["id"],
        }
        made.databases[name] = client.databases.create_cluster(body=body)["database"]
        made.trust(name, *(("droplet", str(made.droplets[node]["id"])) for node in each.trusted_sources))
    for name in topology.droplets:
        made.firewalls[name] = client.firewalls.create(body=_firewall(made, name))["firewall"]
    return made


def take_away(made: HandMade) -> None:
    """Remove everything that ``make`` made, and the tags."""
    client = made.client
    for each in made.firewalls.values():
        client.firewalls.delete(each["id"])
    for each in made.databases.values():
        client.databases.destroy_cluster(each["id"])
    client.droplets.destroy_by_tag(tag_name="ours")
    for tag in (TAG, "ours"):
        client.tags.delete(tag)


def _firewall(made: HandMade, droplet: str) -> Body:
    """All rules of all the topology's firewalls that cover a droplet, in one."""
    covering = [each for each in made.topology.all_firewalls() if droplet in each.droplets]
    return {
        "name": f"fw-{droplet}",
        "droplet_ids": [made.droplets[droplet]["id"]],
        "inbound_rules": list(_rules(made, (each for one in covering for each in one.inbound), "sources")),
        "outbound_rules": list(
            _rules(made, (each for one in covering for each in one.outbound), "destinations")
        ),
    }


def _rules(made: HandMade, rules: Iterator[Rule], side: str) -> Iterator[Body]:
    for each in rules:
        ports = {} if each.protocol == "icmp" else {"ports": each.ports}
        yield {"protocol": each.protocol, **ports, side: _peers(made, each.peers)}


def _peers(made: HandMade, peers: Sequence[str]) -> Body:
    groups = {INTERNET: ANYWHERE, OPERATORS: [OPERATOR], VPC: [made.vpc["ip_range"]]}
    addresses = [one for each in peers if each not in made.droplets for one in groups.get(each, [each])]
    ids = [made.droplets[each]["id"] for each in peers if each in made.droplets]
    return {key: value for key, value in (("addresses", addresses), ("droplet_ids", ids)) if value}
