"""A swarm without engines: what Docker would say, and access that says it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swarm_samples import NAMES

from harness.core.errors import CommandError
from harness.topology.deployment import Deployment, Node


@dataclass
class FakeAccess:
    """Answers each script with what ``answer`` returns or raises, and remembers what it was asked."""

    answer: Callable[[str, str], str]
    asked: list[tuple[str, str, bytes | None]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, node: str, script: str, *, stdin: bytes | None = None, deadline: float = 60.0) -> str:
        """As ``Access.run``."""
        with self.lock:
            self.asked.append((node, script, stdin))
        return self.answer(node, script)

    def drop(self, node: str) -> None:
        """As ``Access.drop``."""
        self.dropped.append(node)


def failure(message: str, *, code: int = 1) -> CommandError:
    """A command that failed on a node."""
    return CommandError(["ssh", "node"], code, message, where="node")


def lines(*documents: Any) -> str:
    """A JSON document a line."""
    return "".join(json.dumps(each) + "\n" for each in documents)


def deployment(*names: str) -> Deployment:
    """Droplets 10.1.0.10, 10.1.0.11, ..."""
    nodes = {
        name: Node(name, number, "active", None, f"10.1.0.{9 + number}")
        for number, name in enumerate(names or NAMES, 1)
    }
    return Deployment("run-1", "vpc", "10.1.0.0/20", nodes, {})


def node(
    name: str, address: str, *, status: str = "ready", manager: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    """A node as ``docker node inspect`` has it."""
    role = "manager" if manager is not None else "worker"
    return {
        "ID": f"id-{name}",
        "Spec": {"Labels": {}, "Role": role, "Availability": "active", **spec},
        "Description": {"Hostname": name},
        "Status": {"State": status, "Addr": address},
        "ManagerStatus": manager,
    }


def leader(name: str, address: str) -> dict[str, Any]:
    """The manager that leads; as of some engines, its own status does not know its address."""
    status = {"Leader": True, "Reachability": "reachable", "Addr": f"{address}:2377"}
    return node(name, "0.0.0.0", manager=status)
