"""The way to Judge0's own API, which no address outside of the deployment leads to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from harness.errors import InconclusiveError, WavetankError
from harness.topology.model import Judge0Endpoint, RunnerEndpoint
from harness.tunnel import over_socket, tunnel
from harness.verify.setup import Setup


@contextmanager
def to_judge0(setup: Setup) -> Iterator[httpx.Client]:
    """Judge0's own API through a connection of its own: an earlier one may have died with a node or a task.

    Raises ``InconclusiveError`` where the topology does not say where Judge0 is, ``CommandError`` where there
    is no way to it.
    """
    endpoint = setup.topology.checks.judge0
    if endpoint is None:
        raise InconclusiveError(f"topology {setup.topology.name} has no checks.judge0")
    with socket_to(setup, endpoint) as socket, over_socket(socket) as client:
        yield client


def about_judge0(setup: Setup) -> tuple[Any, str]:
    """Its ``/about`` and ``/isolate``. Raises ``InconclusiveError`` where it does not say which it is."""
    try:
        with to_judge0(setup) as client:
            about, isolate = client.get("/about"), client.get("/isolate")
            return about.raise_for_status().json(), isolate.text if isolate.is_success else ""
    except (httpx.HTTPError, ValueError, WavetankError) as error:
        raise InconclusiveError(f"Judge0 does not say which it is: {error}") from error


def socket_to(setup: Setup, endpoint: Judge0Endpoint | RunnerEndpoint) -> AbstractContextManager[Path]:
    """A unix socket here that leads to Judge0 or the runner. Raises ``CommandError``, ``ResourceError``."""
    if not endpoint.service:
        host = setup.deployment.nodes[endpoint.node].private_ip or ""
        return tunnel(setup.access, endpoint.source, host, endpoint.port)
    from harness.swarm.reach import task_socket

    return task_socket(setup.access, setup.topology, setup.deployment, endpoint.service, endpoint.port)
