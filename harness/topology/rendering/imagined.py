"""A deployment with made-up addresses and credentials, to try expressions and compose files on."""

from __future__ import annotations

from ipaddress import IPv4Address

from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.topology.model import DATABASE_PORTS, Topology

PUBLIC, PRIVATE = IPv4Address("203.0.113.0"), IPv4Address("10.0.0.0")


def imagined(topology: Topology) -> Deployment:
    """A deployment of the topology that nobody made."""
    nodes = {
        name: Node(
            name,
            number,
            "active",
            str(PUBLIC + number) if each.public_networking else None,
            str(PRIVATE + number),
        )
        for number, (name, each) in enumerate(topology.droplets.items(), 1)
    }
    databases = {
        name: DatabaseNode(
            name, name, each.engine, "online", _connection(each.engine), _connection(each.engine), "pem"
        )
        for name, each in topology.databases.items()
    }
    secrets = dict.fromkeys(topology.secrets, "secret")
    return Deployment("check", "check", topology.ip_range or "10.0.0.0/20", nodes, databases, secrets=secrets)


def _connection(engine: str) -> Connection:
    port = DATABASE_PORTS[engine]
    uri = f"{engine}://doadmin:secret@db.example:{port}/defaultdb"
    return Connection("db.example", port, "doadmin", "secret", "defaultdb", uri)
