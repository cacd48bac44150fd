"""From a deployment to its Judge0, its runner and its front door, and what holds the way there open.

``client``: the front door, at its public address, as users reach it. ``runner``: the runner itself, and
``judge0``: Judge0's own API, which no address outside of the deployment leads to; both through a unix socket
here that ssh (in a swarm: ssh and the task's bridge) leads to where it listens.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from harness.access.tunnel import over_socket, tunnel
from harness.core.errors import InconclusiveError, UsageError, WavetankError
from harness.judge0 import frontdoor
from harness.judge0.api import authentication
from harness.judge0.client import Judge0
from harness.judge0.detect import Capabilities, choose_mode, detect
from harness.judge0.model import Address, EntryPoint, Route, SubmissionMode
from harness.topology.model import FrontDoor, Judge0Endpoint, RunnerEndpoint
from harness.topology.rendering import headers

if TYPE_CHECKING:
    from harness.run.session import Session
    from harness.target.target import Target

FRONT_DOOR_MODE = "wait: the front door answers when the program has ended, however it follows it itself"


@contextmanager
def open_route(
    session: Session,
    entry_point: EntryPoint,
    mode: SubmissionMode | None = None,
    *,
    token: str = "",
    callback_url: str = "",
) -> Iterator[tuple[Route, Capabilities | None]]:
    """Yield the route to an entry point and what was detected there. The route is valid inside the block.

    ``mode`` None: the best one there is. ``token`` is Judge0's ``X-Auth-Token``, where it is not the one of
    ``checks.judge0.headers``. ``callback_url`` is where
    workers reach this machine, an ``http://`` URL of one of its addresses. ``Capabilities`` is None for entry
    points that are not Judge0's own API. Raises ``UsageError`` if the topology does not have the entry point,
    or the entry point not the mode; ``CommandError`` or ``ResourceError`` if it cannot be reached.
    """
    if entry_point == "client":
        yield client_route(session, mode), None
    elif entry_point == "runner":
        with _runner_route(session, mode) as route:
            yield route, None
    else:
        with _judge0_route(session, mode, token, callback_url) as found:
            yield found


def client_route(session: Session, mode: SubmissionMode | None = None) -> Route:
    """The route to the front door. Raises ``UsageError``."""
    door = _front_door(session)
    host = session.deployment.nodes[door.node].public_ip or ""
    session.target.require_machines(host)
    return _at_door("client", door, mode, public_address(session.target, host, door))


def public_address(target: Target, host: str, door: FrontDoor) -> Address:
    """How the front door's public address is reached: by the target's proxy, or straight."""
    name = door.server_name and frontdoor.authority(door.server_name, door.scheme, door.port)
    tls = door.scheme == "https"
    if target.proxy:
        proxy = urlsplit(target.proxy).netloc
        return Address("socks", host, door.port, proxy=proxy, tls=tls, host_header=name)
    return Address("tcp", host, door.port, tls=tls, host_header=name)


def judge0_route(
    address: Address,
    capabilities: Capabilities,
    mode: SubmissionMode | None,
    *,
    headers: Mapping[str, str] | None = None,
    callback_url: str = "",
) -> Route:
    """The route to a Judge0 at ``address``. Raises ``UsageError`` if this Judge0 does not allow the mode."""
    taken, why = choose_mode(capabilities, mode)
    route = Route(
        "judge0",
        taken,
        address,
        why=f"{why} ({capabilities.why})",
        headers=headers or {},
        ids=capabilities.ids,
        batch=capabilities.batch_limit,
        timestamps=capabilities.timestamps,
    )
    return replace(route, callback_base=callback_base(callback_url)) if taken == "callback" else route


def callback_base(url: str) -> str:
    """The URL under which this run's callbacks are heard: at a free port, where ``url`` names none.

    A part of its path is this run's own, so that what an earlier run left is not heard. Raises ``UsageError``
    for what is no address of this machine.
    """
    if not url:
        raise UsageError(
            "submission mode callback needs --callback-url, an address of this machine that every worker can "
            "reach. The topology's firewalls let workers reach only databases and the resolver: with these "
            "there is no such address, so use --submission-mode poll"
        )
    where = urlsplit(url)
    try:
        port = where.port or 0
    except ValueError as error:
        raise UsageError(f"--callback-url {url}: {error}") from error
    if where.scheme != "http" or not where.hostname:
        raise UsageError(f"--callback-url {url}: Judge0 needs a URL like http://10.0.0.9:4444")
    free = _port_to_listen_at(url, where.hostname, port)
    return f"http://{where.hostname}:{free}/{secrets.token_hex(4)}"


def _port_to_listen_at(url: str, host: str, port: int) -> int:
    """``port``, or for 0 a free one, if this machine can listen there now."""
    try:
        with socket.create_server((host, port)) as found:
            return int(found.getsockname()[1])
    except OSError as error:
        remedy = "name an address of this machine, with a free port or none"
        raise UsageError(f"--callback-url {url}: cannot listen there: {error}; {remedy}") from error


@contextmanager
def to_judge0(session: Session, *, token: str = "") -> Iterator[httpx.Client]:
    """Judge0's own API through a connection of its own: an earlier one may have died with a node or a task.

    Every request has the headers of ``checks.judge0.headers``, and ``token`` where it is given. Raises
    ``InconclusiveError`` where the topology does not say where Judge0 is, ``CommandError`` where there is no
    way to it.
    """
    endpoint = session.topology.checks.judge0
    if endpoint is None:
        raise InconclusiveError(f"topology {session.topology.name} has no checks.judge0")
    with socket_to(session, endpoint) as socket, over_socket(socket) as client:
        client.headers.update(judge0_headers(session, token))
        yield client


def judge0_headers(session: Session, token: str = "") -> dict[str, str]:
    """The headers of every request to Judge0's own API. Raises ``TopologyError``."""
    return headers.judge0(session.topology, session.deployment) | authentication(token)


def about_judge0(session: Session) -> tuple[Any, str]:
    """Its ``/about`` and ``/isolate``. Raises ``InconclusiveError`` where it does not say which it is."""
    try:
        with to_judge0(session) as client:
            about, isolate = client.get("/about"), client.get("/isolate")
            return about.raise_for_status().json(), isolate.text if isolate.is_success else ""
    except (httpx.HTTPError, ValueError, WavetankError) as error:
        raise InconclusiveError(f"Judge0 does not say which it is: {error}") from error


def socket_to(session: Session, endpoint: Judge0Endpoint | RunnerEndpoint) -> AbstractContextManager[Path]:
    """A unix socket here that leads to Judge0 or the runner. Raises ``CommandError``, ``ResourceError``."""
    if not endpoint.service:
        host = session.deployment.nodes[endpoint.node].private_ip or ""
        return tunnel(session.access, endpoint.source, host, endpoint.port)
    from harness.swarm.reach import task_socket

    return task_socket(session.access, session.topology, session.deployment, endpoint.service, endpoint.port)


@contextmanager
def _runner_route(session: Session, mode: SubmissionMode | None) -> Iterator[Route]:
    endpoint = session.topology.checks.runner
    if endpoint is None:
        raise UsageError(
            f"topology {session.topology.name} does not say where the runner is: add checks.runner "
            "(docs/topology.md), or use --entry-point client"
        )
    end = headers.runner(session.topology, session.deployment) or endpoint
    if not (end.path and end.request and end.reply):
        raise UsageError(
            f"topology {session.topology.name} does not say how programs are submitted at the runner: add "
            "checks.front_door, or path, request and reply to checks.runner (docs/topology.md)"
        )
    with socket_to(session, endpoint) as path:
        yield _at_door("runner", end, mode, Address("unix", str(path), host_header="runner"))


@contextmanager
def _judge0_route(
    session: Session, mode: SubmissionMode | None, token: str, callback_url: str
) -> Iterator[tuple[Route, Capabilities]]:
    endpoint = session.topology.checks.judge0
    if endpoint is None:
        raise UsageError(
            f"topology {session.topology.name} does not say where Judge0 is: add checks.judge0 "
            "(docs/topology.md), or use --entry-point client"
        )
    with socket_to(session, endpoint) as path:
        given = judge0_headers(session, token)
        with over_socket(path) as client:
            client.headers.update(given)
            capabilities = detect(Judge0(client).get)
        address = Address("unix", str(path), host_header="judge0")
        route = judge0_route(address, capabilities, mode, headers=given, callback_url=callback_url)
        yield route, capabilities


def _at_door(
    kind: EntryPoint, end: FrontDoor | RunnerEndpoint, mode: SubmissionMode | None, address: Address
) -> Route:
    if mode not in (None, "wait"):
        raise UsageError(
            f"submission mode {mode} needs Judge0's own API: with --entry-point {kind} use wait, or "
            "--entry-point judge0"
        )
    return Route(
        kind,
        "wait",
        address,
        why=FRONT_DOOR_MODE,
        path=end.path,
        request=dict(end.request),
        reply=dict(end.reply),
        statuses=dict(end.statuses),
        headers=dict(end.headers),
        ids=frontdoor.languages(end),
    )


def _front_door(session: Session) -> FrontDoor:
    door = session.door
    if door is None:
        raise UsageError(
            f"topology {session.topology.name} does not say how programs are submitted: add "
            "checks.front_door (docs/topology.md), or use --entry-point judge0"
        )
    return door
