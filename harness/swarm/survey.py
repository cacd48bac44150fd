"""What each droplet's engine reports about the swarm that it is in, if any."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.access.ssh import Access
from harness.core.errors import ResourceError, WaitTimeoutError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for

ASK = "docker info --format '{{json .Swarm}}'"
ASK_SECONDS = 60.0  # a manager without a leader answers only after 20 s, twice
PENDING_SECONDS = 15.0  # an engine that has just started has not yet connected to its swarm
NANOSECONDS = 10**9

LOCKED = "is locked: `docker swarm unlock` on it takes the key that was shown when it was locked"


@dataclass(frozen=True)
class Engine:
    """``state`` is Docker's word: "inactive", "pending", "active", "error" or "locked".

    ``id`` is the engine's own node id, empty where it is in no swarm. ``manager``: it acts as one.
    ``heartbeat`` is the swarm's, in seconds; None where a worker, or a manager without a leader, was asked.
    """

    node: str
    state: str
    id: str
    manager: bool
    error: str = ""
    heartbeat: float | None = None


def survey(access: Access, nodes: Iterable[str]) -> dict[str, Engine]:
    """Every engine, by node. Waits a while for those that are not yet connected to their swarm.

    Raises ``ResourceError`` for a swarm that is locked.
    """
    found = in_parallel([partial(_settled, access, node) for node in nodes])
    for each in found:
        if each.state == "locked":
            raise ResourceError("droplet", each.node, f"its swarm {LOCKED}")
    return {each.node: each for each in found}


def inspect(access: Access, node: str) -> Engine:
    """What one engine reports."""
    return parse(node, json.loads(access.run(node, ASK, deadline=ASK_SECONDS)))


def parse(node: str, info: Mapping[str, Any]) -> Engine:
    """An engine from the ``Swarm`` section of ``docker info``."""
    dispatcher = ((info.get("Cluster") or {}).get("Spec") or {}).get("Dispatcher") or {}
    period = dispatcher.get("HeartbeatPeriod")
    return Engine(
        node=node,
        state=info.get("LocalNodeState") or "inactive",
        id=info.get("NodeID") or "",
        manager=bool(info.get("ControlAvailable")),
        error=info.get("Error") or "",
        heartbeat=period / NANOSECONDS if period else None,
    )


def _settled(access: Access, node: str) -> Engine:
    last: list[Engine] = []

    def probe() -> Engine:
        last[:] = [inspect(access, node)]
        if last[0].state == "pending":
            raise NotYet(f"pending: {last[0].error}")
        return last[0]

    try:
        return wait_for(f"{node} to find its swarm", probe, deadline=PENDING_SECONDS)
    except WaitTimeoutError:
        return last[0]
