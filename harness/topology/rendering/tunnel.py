"""A TLS tunnel for an application that cannot speak TLS to a managed database: a container beside its own.

It listens in the compose project's network under the database's name, and verifies the database's CA and host
name. ``tunnel_image`` is what its image is built from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.topology.deployment import Connection
from harness.topology.model import Topology

IMAGE = Path(__file__).with_name("tunnel_image")
CA_FILE = "/run/tunnel/ca.pem"
# Clients of the others all speak TLS, and need it: libpq takes no password that is tied to TLS (SCRAM with
# channel binding) without it, and MongoDB's drivers connect to each member by the name that this one has.
ENGINES = ("valkey",)


def name(database: str) -> str:
    """The compose service that is the tunnel to a database."""
    return f"{database}-tls-tunnel"


def databases(topology: Topology, wanted: Mapping[str, int], node: str) -> dict[str, int]:
    """The port of each wanted tunnel that runs on a droplet: of those databases that trust it."""
    return {each: port for each, port in wanted.items() if node in topology.databases[each].trusted_sources}


def body(database: str, port: int, end: Connection) -> dict[str, Any]:
    """The compose service of a tunnel that listens on ``port`` and connects to ``end``."""
    return {
        "build": {"context": str(IMAGE)},
        "restart": "always",
        "environment": {
            "LISTEN": str(port),
            "HOST": end.host,
            "PORT": str(end.port),
            "CA_FILE": CA_FILE,
        },
        "volumes": [f"./{database}-ca.pem:{CA_FILE}:ro"],
        "networks": {"default": {"aliases": [database]}},
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "healthcheck": {
            "test": ["CMD", "healthy"],
            "interval": "3s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "10s",
        },
    }
