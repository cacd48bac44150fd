"""A small network told in the API's own documents, and the emulator's records of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.names import node_tag, resource_name, run_tag
from harness.firewall.from_api import Documents, network_of
from harness.firewall.model import Network
from harness.topology.model import Database, Droplet, Firewall, Flow, Management, Rule, Topology

RUN = "a"
VPC = "10.1.0.0/24"
NAMES = ("web", "api", "job")
DATABASE = "main"
TIME = "2026-01-01T00:00:00Z"
ANYWHERE: Mapping[str, Any] = {"addresses": ["0.0.0.0/0", "::/0"]}


def topology(*intent: Flow, firewalls: Sequence[Firewall] = (), operators: Sequence[str] = ()) -> Topology:
    """Three droplets, a database that trusts ``api``, and this intent; ``job`` is the bastion."""
    return Topology(
        name="small",
        file=Path("small.yaml"),
        region="fra1",
        ip_range=VPC,
        droplets={
            name: Droplet(name, "s", "i", name, public_networking=True, user_data="") for name in NAMES
        },
        databases={DATABASE: Database(DATABASE, "pg", "15", "s", 1, ("api",))},
        firewalls=tuple(firewalls),
        intent=intent,
        services=(),
        management=Management("job", tuple(operators)),
        app=Path(),
    )


PLAN = topology(
    Flow("internet", "web", "tcp", "80"),
    Flow("web", "api", "tcp", "8000-8009"),
    Flow("api", DATABASE, "tcp", "25060"),
    firewalls=(
        Firewall(
            "front", ("web",), (Rule("tcp", "80", ("internet",)),), (Rule("tcp", "8000-8009", ("api",)),)
        ),
        Firewall(
            "middle", ("api",), (Rule("tcp", "8000-8009", ("web",)),), (Rule("tcp", "25060", ("vpc",)),)
        ),
        Firewall("idle", ("job",), (), ()),
    ),
    operators=("198.51.100.7/32",),
)


def droplet(
    number: int, name: str, *tags: str, public: bool = True, status: str = "active"
) -> dict[str, Any]:
    """A droplet with addresses made of its number, ids from 1."""
    v4 = [{"type": "private", "ip_address": f"10.1.0.{number + 10}"}]
    v4 += [{"type": "public", "ip_address": f"203.0.113.{number + 10}"}] if public else []
    return {
        "id": number,
        "name": name,
        "status": status,
        "tags": list(tags),
        "networks": {"v4": v4},
        "vpc_uuid": "v",
        "created_at": TIME,
    }


def node(name: str, **fields: Any) -> dict[str, Any]:
    """A droplet of the run."""
    return droplet(NAMES.index(name) + 1, name, run_tag(RUN), node_tag(RUN, name), **fields)


def firewall(name: str, *covered: str, **fields: Any) -> dict[str, Any]:
    """A firewall of the run that covers these droplets by their tags."""
    return {
        "id": f"id-{name}",
        "name": resource_name(RUN, name),
        "status": "succeeded",
        "pending_changes": [],
        "inbound_rules": [],
        "outbound_rules": [],
        "droplet_ids": [],
        "tags": [node_tag(RUN, each) for each in covered],
        **fields,
    }


def taking(ports: str, protocol: str = "tcp", **peers: Any) -> dict[str, Any]:
    """An inbound rule; without peers from anywhere."""
    return {"protocol": protocol, "ports": ports, "sources": peers or dict(ANYWHERE)}


def sending(ports: str, protocol: str = "tcp", **peers: Any) -> dict[str, Any]:
    """An outbound rule; without peers to anywhere."""
    return {"protocol": protocol, "ports": ports, "destinations": peers or dict(ANYWHERE)}


def documents(
    *firewalls: Mapping[str, Any],
    sources: Sequence[tuple[str, str]] = (),
    droplets: Sequence[Mapping[str, Any]] | None = None,
) -> Documents:
    """What the API would answer."""
    cluster = {
        "id": "db",
        "name": resource_name(RUN, DATABASE),
        "engine": "pg",
        "status": "online",
        "connection": {"host": "db.example", "port": 25060},
        "private_connection": {"host": "private-db.example", "port": 25060},
    }
    return Documents(
        [{"id": "v", "name": resource_name(RUN), "ip_range": VPC}],
        [node(name) for name in NAMES] if droplets is None else droplets,
        firewalls,
        [cluster],
        {"db": [{"type": kind, "value": value} for kind, value in sources]},
    )


def network(
    *firewalls: Mapping[str, Any],
    sources: Sequence[tuple[str, str]] = (),
    droplets: Sequence[Mapping[str, Any]] | None = None,
) -> Network:
    """The network of such answers."""
    return network_of(PLAN, RUN, documents(*firewalls, sources=sources, droplets=droplets))


def declared() -> Documents:
    """The answers of a run that is as ``PLAN`` says."""
    from harness.provision.desired import desired, firewalls

    bodies = firewalls(PLAN, RUN, VPC, ())
    return documents(
        *(
            {"id": name, "status": "succeeded", "pending_changes": [], **body}
            for name, body in bodies.items()
        ),
        sources=[(each["type"], each["value"]) for each in desired(PLAN, RUN).databases[DATABASE]["rules"]],
    )
