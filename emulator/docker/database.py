"""A database cluster's container: its configuration and the files it is born with."""

from __future__ import annotations

from typing import Any

from emulator.docker.droplet import archive
from emulator.docker.engine import Owner, anonymous_volume
from emulator.docker.fabric import layout
from emulator.planes.base import DatabaseSpec, PlaneError

KIND = "database"
IMAGES = {"pg": "postgres", "valkey": "valkey", "mongodb": "mongodb"}
READY = ["/usr/local/bin/wt-ready"]


def reference(database_id: str) -> str:
    """The plane's name for a cluster."""
    return f"database:{database_id}"


def container_name(owner: Owner, database_id: str) -> str:
    """The engine's name for a cluster."""
    return owner.name(f"database-{database_id}")


def image_name(spec: DatabaseSpec) -> str:
    """Which of the emulator's images runs a cluster. Raises ``PlaneError`` if none does."""
    if spec.engine not in IMAGES:
        raise PlaneError(f"database engine {spec.engine!r} is not implemented; there are {', '.join(IMAGES)}")
    return IMAGES[spec.engine]


def host_config(owner: Owner, spec: DatabaseSpec) -> dict[str, Any]:
    """What a cluster may use."""
    return {
        "NetworkMode": "none",
        "Dns": [layout.RESOLVER],
        "Memory": spec.memory_mb * 1024 * 1024,
        "Mounts": [anonymous_volume("/data", owner.labels(KIND, reference(spec.id)))],
        "Sysctls": {"net.ipv6.conf.default.disable_ipv6": "1"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }


def container_config(owner: Owner, spec: DatabaseSpec) -> dict[str, Any]:
    """The rest of a cluster's configuration."""
    limits = {"WT_MAX_CONNECTIONS": str(spec.max_connections)} if spec.max_connections else {}
    return {
        "hostname": spec.name,
        "labels": owner.labels(KIND, reference(spec.id)),
        "environment": {
            "WT_USER": spec.user,
            "WT_DATABASE": spec.database,
            "WT_PORT": str(spec.port),
            **limits,
        },
    }


def seed(spec: DatabaseSpec) -> bytes:
    """The archive with the cluster's certificate, key and CA, and its password.

    That is no variable, for the engine tells those of a container to everybody who asks.
    """
    tls = {"ca.pem": spec.ca, "cert.pem": spec.certificate, "key.pem": spec.key}
    files = {f"etc/wavetank/tls/{name}": text for name, text in tls.items()}
    return archive(files | {"etc/wavetank/password": spec.password})
