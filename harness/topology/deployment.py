"""A deployment as the API reports it: what was provisioned for one run, with addresses and credentials.

Nothing here is read from a state file; ``harness.provision.observe`` derives it from the API by the run's
tag, so that it is true of a run made by another machine or another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from harness.core.masking import SHORTEST

if TYPE_CHECKING:
    from harness.topology.model import Topology


@dataclass(frozen=True)
class Node:
    """A droplet. Addresses are None until the API gives them (and ``public_ip`` where there is none)."""

    name: str
    id: int
    status: str
    public_ip: str | None
    private_ip: str | None


@dataclass(frozen=True)
class Connection:
    """How to reach a managed database by one of its endpoints; ``uri`` holds the password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    uri: str = field(repr=False)


@dataclass(frozen=True)
class DatabaseNode:
    """A managed database. ``ca_pem`` is its CA certificate, PEM text."""

    name: str
    id: str
    engine: str
    status: str
    public: Connection
    private: Connection
    ca_pem: str = field(repr=False)


@dataclass(frozen=True)
class Deployment:
    """Everything of one run. ``nodes`` and ``databases`` are keyed by their names in the topology.

    ``guests`` are descriptions of resources that are bound to the run (in its VPC, with its tags) and not of
    it. ``secrets`` are those of the topology's that are known here: the API does not have them.
    """

    run: str
    vpc_id: str
    vpc_range: str
    nodes: Mapping[str, Node]
    databases: Mapping[str, DatabaseNode]
    guests: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


def is_complete(deployment: Deployment, topology: Topology) -> bool:
    """Whether all droplets and databases of the topology are there."""
    return (
        topology.droplets.keys() <= deployment.nodes.keys()
        and topology.databases.keys() <= deployment.databases.keys()
    )


def secrets_of(deployment: Deployment) -> tuple[str, ...]:
    """Every password and secret of the deployment, as it is and as it looks in a URL."""
    passwords = {
        connection.password
        for database in deployment.databases.values()
        for connection in (database.public, database.private)
    } | set(deployment.secrets.values())
    found = passwords | {quote(password, safe="") for password in passwords}
    return tuple(sorted((secret for secret in found if len(secret) >= SHORTEST), key=len, reverse=True))
