"""What there is of a run, as the API reports it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.core.names import STRANGER, node_of_tag, part_of_name, parts_of_lease, run_of_tag, run_tag
from harness.core.parallel import in_parallel
from harness.provision.account import Account, fetch
from harness.provision.guests import Guest, guests, members, merged, trusting
from harness.provision.owner import Own, lookalikes, own
from harness.target.api import Api, every, optional
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.topology.model import Topology

Body = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One resource; ``id`` is empty for a tag, ``created_at`` where the API reports no date."""

    kind: str
    name: str
    id: str = ""
    created_at: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.id})" if self.id else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Observed:
    """A run's resources as the API shows them; ``trusted`` are each database's rules by its id.

    ``outsiders`` are droplets that a scan put beside the run's own, and should have removed. Not the run's
    own are ``guests``, who are bound to it, and ``lookalikes``, which only have a name like it. ``leases``
    are the tags of those who use it.
    """

    tags: tuple[str, ...] = ()
    vpcs: tuple[Body, ...] = ()
    keys: tuple[Body, ...] = ()
    firewalls: tuple[Body, ...] = ()
    droplets: tuple[Body, ...] = ()
    databases: tuple[Body, ...] = ()
    outsiders: tuple[Body, ...] = ()
    trusted: Mapping[str, tuple[Body, ...]] = field(default_factory=dict)
    guests: tuple[Guest, ...] = ()
    lookalikes: tuple[Item, ...] = ()
    leases: tuple[str, ...] = ()

    @property
    def vpc(self) -> Body | None:
        """The run's VPC."""
        return self.vpcs[0] if self.vpcs else None

    @property
    def key(self) -> Body | None:
        """The run's SSH key."""
        return self.keys[0] if self.keys else None

    @property
    def held(self) -> frozenset[str]:
        """What has to stay as long as the guests do: ids of VPCs and firewalls, names of tags."""
        ours = {*self.tags, *(each["id"] for each in (*self.vpcs, *self.firewalls))}
        return frozenset(tie.id for guest in self.guests for tie in guest.ties if tie.id in ours)

    def items(self) -> tuple[Item, ...]:
        """Everything of the run, in the order in which it is taken down."""
        kinds = (
            ("droplet", self.droplets),
            (STRANGER, self.outsiders),
            ("database", self.databases),
            ("firewall", self.firewalls),
            ("vpc", self.vpcs),
            ("ssh key", self.keys),
        )
        return (
            *(item_of(kind, each) for kind, bodies in kinds for each in bodies),
            *(Item("tag", each) for each in self.tags),
        )

    def inventory(self) -> tuple[str, ...]:
        """Everything as text, like ``droplet runner (3164444)``; empty where there is nothing."""
        return tuple(map(str, self.items()))


def item_of(kind: str, body: Mapping[str, Any]) -> Item:
    """A resource from the API's document."""
    return Item(kind, body["name"], str(body["id"]), str(body.get("created_at") or ""))


def snapshot(api: Api, run: str) -> Observed:
    """Everything of ``run``, by a few lists requested at once."""
    account = fetch(api)
    mine = own(account, run)
    return _observed(api, account, mine, (*guests(account, mine), *members(api, mine)))


def full_snapshot(api: Api, run: str) -> Observed:
    """As :func:`snapshot`, and whether a database of somebody else's trusts nobody but the run."""
    account = fetch(api)
    mine = own(account, run)
    found = (*guests(account, mine), *members(api, mine), *trusting(api, account, mine))
    return _observed(api, account, mine, found)


def _observed(api: Api, account: Account, mine: Own, found: Iterable[Guest]) -> Observed:
    leases = (tag["name"] for tag in account.tags if (parts_of_lease(tag["name"]) or ("",))[0] == mine.run)
    return Observed(
        tags=mine.tags,
        vpcs=mine.vpcs,
        keys=mine.keys,
        firewalls=mine.firewalls,
        droplets=mine.droplets,
        databases=mine.databases,
        outsiders=mine.outsiders,
        trusted=_trusted(api, mine.databases),
        guests=merged(found),
        lookalikes=tuple(item_of(kind, each) for kind, each in lookalikes(account, mine)),
        leases=tuple(leases),
    )


def droplets_of(api: Api, run: str) -> list[Body]:
    """The run's droplets."""
    tag = run_tag(run)
    found = every(api.client.droplets.list, "droplets", tag_name=tag)
    return [droplet for droplet in found if tag in droplet["tags"]]


def databases_of(api: Api, run: str) -> list[Body]:
    """The run's database clusters."""
    tag = run_tag(run)
    found = api.client.databases.list_clusters(tag_name=tag).get("databases") or []
    return [database for database in found if tag in (database.get("tags") or [])]


def node_of(droplet: Body, run: str) -> str | None:
    """The name in the topology that a droplet of the run stands for, None if its tags do not say."""
    own = (node_of_tag(tag) for tag in droplet["tags"] if run_of_tag(tag) == run)
    return next((name for name in own if name), None)


def database_of(database: Body) -> str:
    """The name in the topology that a cluster of ours stands for."""
    return part_of_name(str(database["name"]))


def deployment(api: Api, topology: Topology, run: str, observed: Observed) -> Deployment:
    """The run as the rest of the harness sees it; what is missing is left out."""
    nodes = {node_of(droplet, run): as_node(droplet, run) for droplet in observed.droplets}
    clusters = {database_of(database): database for database in observed.databases}
    wanted = [name for name in topology.databases if name in clusters]
    certificates = in_parallel([partial(_certificate, api, clusters[name]["id"]) for name in wanted])
    vpc = observed.vpc or {}
    return Deployment(
        run=run,
        vpc_id=vpc.get("id", ""),
        vpc_range=vpc.get("ip_range", ""),
        nodes={name: nodes[name] for name in topology.droplets if name in nodes},
        databases={
            name: _cluster(name, clusters[name], certificate)
            for name, certificate in zip(wanted, certificates, strict=True)
        },
        guests=tuple(map(str, observed.guests)),
    )


def _trusted(api: Api, databases: Sequence[Body]) -> dict[str, tuple[Body, ...]]:
    ids = [str(database["id"]) for database in databases]
    answers = in_parallel([partial(api.client.databases.list_firewall_rules, each) for each in ids])
    return {each: tuple(answer.get("rules") or ()) for each, answer in zip(ids, answers, strict=True)}


def as_node(droplet: Body, run: str) -> Node:
    """A droplet as the rest of the harness sees it, under its name in the topology."""
    addresses = {each["type"]: each["ip_address"] for each in droplet["networks"].get("v4") or ()}
    return Node(
        name=node_of(droplet, run) or droplet["name"],
        id=droplet["id"],
        status=droplet["status"],
        public_ip=addresses.get("public"),
        private_ip=addresses.get("private"),
    )


def _cluster(name: str, database: Body, certificate: str) -> DatabaseNode:
    return DatabaseNode(
        name=name,
        id=database["id"],
        engine=database["engine"],
        status=database["status"],
        public=_connection(database.get("connection") or {}),
        private=_connection(database.get("private_connection") or {}),
        ca_pem=certificate,
    )


def _connection(body: Body) -> Connection:
    return Connection(
        host=body.get("host", ""),
        port=body.get("port", 0),
        user=body.get("user", ""),
        password=body.get("password", ""),
        database=body.get("database") or "",
        uri=body.get("uri", ""),
    )


def _certificate(api: Api, database_id: str) -> str:
    answer = optional(api.client.databases.get_ca, database_id)  # a cluster that is being made has none yet
    return base64.b64decode(answer["ca"]["certificate"]).decode() if answer else ""
