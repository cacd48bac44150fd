"""A small deployment to write about, and a fake ``ssh`` that runs what it is told on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.target.target import Target
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.topology.model import Management, Topology

PASSWORD = "s3cret/with+signs"

# Logs every call; `-O` is a word to a standing connection; the last argument is the script.
FAKE_SSH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE_SSH_LOG"
for word; do [ "$word" = -O ] && exit 0; done
for word; do script=$word; done
exec sh -c "$script"
"""


@dataclass(frozen=True)
class FakeSsh:
    """What the fake was asked to do."""

    log: Path

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def topology(bastion: str = "client") -> Topology:
    """A topology with nothing but management."""
    return Topology(
        name="small",
        file=Path("small.yaml"),
        region="fra1",
        ip_range=None,
        droplets={},
        databases={},
        firewalls=(),
        intent=(),
        services=(),
        management=Management(bastion, ("self",)),
        app=Path("app"),
    )


def deployment() -> Deployment:
    """A bastion, two nodes behind it, and a database with a password."""
    connection = Connection("db.example", 25060, "doadmin", PASSWORD, "defaultdb", f"postgres://{PASSWORD}")
    return Deployment(
        run="run-1",
        vpc_id="6c1a2b3c-0000-4000-8000-000000000000",
        vpc_range="10.10.0.0/20",
        nodes={
            "client": Node("client", 11, "active", "203.0.113.11", "10.10.0.2"),
            "runner": Node("runner", 12, "active", "203.0.113.12", "10.10.0.3"),
            "server-1": Node("server-1", 13, "active", None, "10.10.0.4"),
        },
        databases={"pg": DatabaseNode("pg", "id", "pg", "online", connection, connection, "PEM")},
    )


def target(proxy: str | None = "socks5://127.0.0.1:1") -> Target:
    """Somewhere that is never asked anything."""
    return Target("local", "https://127.0.0.1:1", "token", proxy=proxy)
