"""What is there of a run, as the API tells it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.api import Api, every, optional
from harness.deployment import Connection, DatabaseNode, Deployment, Node
from harness.names import (
    STRANGER,
    node_of_tag,
    node_tag,
    part_of_name,
    resource_name,
    run_of_name,
    run_of_tag,
    run_tag,
)
from harness.parallel import in_parallel
from harness.topology.model import Topology

Body = dict[str, Any]


@dataclass(frozen=True)
class Observed:
    """A run's resources as the API shows them; ``trusted`` are each database's rules by its id.

    ``strangers`` are droplets that a scan put beside the run's own, and should have removed.
    """

    tags: tuple[str, ...] = ()
    vpcs: tuple[Body, ...] = ()
    keys: tuple[Body, ...] = ()
    firewalls: tuple[Body, ...] = ()
    droplets: tuple[Body, ...] = ()
    databases: tuple[Body, ...] = ()
    strangers: tuple[Body, ...] = ()
    trusted: Mapping[str, tuple[Body, ...]] = field(default_factory=dict)

    @property
    def vpc(self) -> Body | None:
        """The run's VPC."""
        return self.vpcs[0] if self.vpcs else None

    @property
    def key(self) -> Body | None:
        """The run's SSH key."""
        return self.keys[0] if self.keys else None

    def inventory(self) -> tuple[str, ...]:
        """Everything in words, like ``droplet runner (3164444)``; empty where nothing is there."""
        return (
            *(f"droplet {each['name']} ({each['id']})" for each in self.droplets),
            *(f"stranger {each['name']} ({each['id']})" for each in self.strangers),
            *(f"database {each['name']} ({each['id']})" for each in self.databases),
            *(f"firewall {each['name']} ({each['id']})" for each in self.firewalls),
            *(f"vpc {each['name']} ({each['id']})" for each in self.vpcs),
            *(f"ssh key {each['name']} ({each['id']})" for each in self.keys),
            *(f"tag {each}" for each in self.tags),
        )


def look(api: Api, run: str) -> Observed:
    """Everything of ``run``, by a handful of lists asked at once."""
    client = api.client
    tags, vpcs, keys, firewalls, droplets, databases = in_parallel(
        (
            partial(every, client.tags.list, "tags"),
            partial(every, client.vpcs.list, "vpcs"),
            partial(every, client.ssh_keys.list, "ssh_keys"),
            partial(every, client.firewalls.list, "firewalls"),
            partial(droplets_of, api, run),
            partial(databases_of, api, run),
        )
    )
    return Observed(
        tags=tuple(tag["name"] for tag in tags if run_of_tag(tag["name"]) == run),
        vpcs=tuple(vpc for vpc in vpcs if vpc["name"] == resource_name(run)),
        keys=tuple(key for key in keys if key["name"] == resource_name(run)),
        firewalls=tuple(each for each in firewalls if run_of_name(each["name"]) == run),
        droplets=tuple(droplets),
        databases=tuple(databases),
        strangers=tuple(_strangers(api, run, {tag["name"] for tag in tags})),
        trusted=_trusted(api, databases),
    )


def droplets_of(api: Api, run: str) -> list[Body]:
    """The run's droplets."""
    tag = run_tag(run)
    found = every(api.client.droplets.list, "droplets", tag_name=tag)
    return [droplet for droplet in found if tag in droplet["tags"]]


def _strangers(api: Api, run: str, tags: set[str]) -> list[Body]:
    own = node_tag(run, STRANGER)
    return every(api.client.droplets.list, "droplets", tag_name=own) if own in tags else []


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
    )


def _trusted(api: Api, databases: list[Body]) -> dict[str, tuple[Body, ...]]:
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


def _connection(told: Body) -> Connection:
    return Connection(
        host=told.get("host", ""),
        port=told.get("port", 0),
        user=told.get("user", ""),
        password=told.get("password", ""),
        database=told.get("database") or "",
        uri=told.get("uri", ""),
    )


def _certificate(api: Api, database_id: str) -> str:
    answer = optional(api.client.databases.get_ca, database_id)  # a cluster that is being made has none yet
    return base64.b64decode(answer["ca"]["certificate"]).decode() if answer else ""
