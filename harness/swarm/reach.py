"""A tunnel from here into a service's container: over ssh to its task's node, and from there over the bridge.

A stack publishes only the front door's ports. But each task's container is on its node's ``docker_gwbridge``
too, where the node itself reaches it, and nobody else does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.access.ssh import Access
from harness.access.tunnel import tunnel
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.swarm import snapshot
from harness.swarm.converge import inspect_stack
from harness.swarm.snapshot import Task
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

BRIDGE = "docker network inspect docker_gwbridge --format '{{json .Containers}}'"
DEADLINE = 15.0


@contextmanager
def task_socket(
    access: Access, topology: Topology, deployment: Deployment, service: str, port: int
) -> Iterator[Path]:
    """Yield a unix socket here that leads to ``port`` of a running task of ``service``.

    Tasks move: the socket leads to where one was at the beginning. Raises ``ResourceError`` where none runs
    on a node that can be reached, with each node's error.
    """
    errors = []
    for task in running(access, topology, deployment, service):
        try:
            address = bridge_address(access, task)
        except (CommandError, WaitTimeoutError, ResourceError) as error:
            errors.append(str(error))
            continue
        with tunnel(access, task.node, address, port) as socket:
            yield socket
        return
    raise ResourceError(
        "service", service, f"no task of it can be reached: {'; '.join(errors) or 'none runs'}"
    )


def running(access: Access, topology: Topology, deployment: Deployment, service: str) -> tuple[Task, ...]:
    """The tasks of ``service`` that run on ready members."""
    manager = snapshot.a_manager(access, topology)
    return inspect_stack(access, topology, deployment, manager).running(service)


def bridge_address(access: Access, task: Task) -> str:
    """The address at which a task's node reaches its container."""
    containers = json.loads(access.run(task.node, BRIDGE, deadline=DEADLINE)) or {}
    found = containers.get(task.container, {}).get("IPv4Address", "")
    if not found:
        problem = f"its container {task.container[:12]} is not on docker_gwbridge of {task.node}"
        raise ResourceError("task", f"{task.service}.{task.slot}", problem)
    return str(found.partition("/")[0])
