"""What databases' containers have used, as the engine tells it (``GET /containers/ID/stats``).

The engine reads their control groups, wherever it runs, and says when: asking late makes no rate wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import docker

from emulator.docker import database
from emulator.docker.engine import Owned, Owner, asking, owned
from emulator.planes.base import PlaneError, Usage

RECLAIMABLE = ("total_inactive_file", "inactive_file")  # of cgroup v1, which has both, and of v2


def of_databases(engine: docker.DockerClient, owner: Owner) -> list[Usage]:
    """What each that runs has used; one that goes away meanwhile is left out. Raises ``PlaneError``."""
    running = [each for each in owned(engine, owner) if each.kind == database.KIND and each.running]
    found = (_of(engine, each) for each in running)
    return [usage for usage in found if usage is not None]


def _of(engine: docker.DockerClient, container: Owned) -> Usage | None:
    try:
        with asking(f"what {container.ref} has used"):
            # One shot: the engine would else wait a second for a difference, which is for us to take.
            stats = engine.api.stats(container.id, stream=False, one_shot=True)
    except PlaneError:
        return None
    return read(container.ref, stats)


def read(ref: str, stats: Mapping[str, Any]) -> Usage | None:
    """The engine's answer; None where the container had stopped, and there is nothing in it."""
    cpu, memory = stats["cpu_stats"], stats.get("memory_stats") or {}
    if not memory.get("usage"):
        return None
    details = memory.get("stats", {})
    cache = next((details[name] for name in RECLAIMABLE if name in details), 0)
    return Usage(
        ref=ref,
        at=datetime.fromisoformat(stats["read"]).timestamp(),
        cpu_seconds=cpu["cpu_usage"]["total_usage"] / 1e9,
        memory_bytes=max(0, memory["usage"] - cache),
        cores=float(cpu.get("online_cpus") or 1),
    )
