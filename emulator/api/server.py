"""The API on two ports of this machine, https and http, in one process and one event loop.

``endpoint.json`` appears once requests are answered
and goes when the server ends in good order. Each server takes the ports and the token of the one before it
over, so that clients carry on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response as StarletteResponse
from starlette.types import Receive, Scope, Send

from emulator.api.app import Api
from emulator.api.bodies import check_size
from emulator.api.guard import GuardedProtocol, Limits
from emulator.api.http import Request, Response
from emulator.api.tls import CA, server_files
from emulator.cloud.core import Cloud
from emulator.cloud.errors import TooLargeError
from emulator.statedir import PORTS, ports_of, system_of, write_private
from harness.core import signals
from harness.core.errors import EngineError

log = logging.getLogger(__name__)

ENDPOINT = "endpoint.json"
STOP_SECONDS = 1
LIMITS = Limits()


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, as written to ``endpoint.json``."""

    pid: int
    https: str
    http: str
    token: str
    ca_file: str
    plane: str
    droplets: str
    rate_limit: bool = False


class DisconnectedError(Exception):
    """A client left before its request was whole: there is nobody to answer."""


class Server(uvicorn.Server):
    """uvicorn's, except that signals are ours: two servers share one process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listen(host: str, port: int, preferred: int = 0) -> socket.socket:
    """A listening socket; port 0 takes ``preferred`` if it is free, else any. Raises ``EngineError``."""
    for candidate in [port] if port else [preferred, 0]:
        # With its protocol: without it asyncio does not see that TCP_NODELAY is to be set, and each answer on
        # a kept connection waits 40 ms for an acknowledgement.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, candidate))
        except OSError as error:
            sock.close()
            if port or not candidate:
                raise EngineError(f"cannot listen on {host}:{candidate}: {error.strerror}") from error
            continue
        sock.listen(512)
        return sock
    raise EngineError(f"no port of {host} is free")


def serve(
    cloud: Cloud,
    state: Path,
    plane: str,
    *,
    host: str,
    https_port: int,
    http_port: int,
    rate_limit: bool = False,
) -> None:
    """Serve ``cloud``, which is started, until a signal stops it; machines keep running after that.

    ``rate_limit``: refuse more requests than DigitalOcean takes in a minute or an hour.
    """
    previous = ports_of(state)
    certificate, key = server_files(state, host)
    tls = listen(host, https_port, previous[0])
    plain = listen(host, http_port, previous[1])
    ports = (tls.getsockname()[1], plain.getsockname()[1])
    write_private(state / PORTS, json.dumps(ports))
    endpoint = Endpoint(
        pid=os.getpid(),
        https=f"https://{host}:{ports[0]}",
        http=f"http://{host}:{ports[1]}",
        token=cloud.account.token,
        ca_file=str((state / CA).resolve()),
        plane=plane,
        droplets=system_of(state, None),
        rate_limit=rate_limit,
    )
    app = _asgi(Api(cloud, enforce_limit=rate_limit))
    servers = [
        Server(_config(app, ssl_certfile=str(certificate), ssl_keyfile=str(key))),
        Server(_config(app)),
    ]
    try:
        asyncio.run(_run(servers, [tls, plain], state / ENDPOINT, endpoint))
    finally:
        (state / ENDPOINT).unlink(missing_ok=True)


async def _run(servers: list[Server], sockets: list[socket.socket], path: Path, endpoint: Endpoint) -> None:
    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in signals.handled_signals():
        loop.add_signal_handler(number, stop)
    tasks = [
        asyncio.create_task(server.serve(sockets=[sock]))
        for server, sock in zip(servers, sockets, strict=True)
    ]
    write_private(path, json.dumps(asdict(endpoint), indent=2) + "\n")  # the sockets queue what comes early
    await asyncio.gather(*tasks)


def _config(app: Any, limits: Limits = LIMITS, **tls: str) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=limits.idle_seconds, server_header=False, ws="none",
        http=partial(GuardedProtocol, limits=limits), **tls,  # type: ignore[arg-type]  # only the two file names
    )  # fmt: skip


def _asgi(api: Api) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await _answer(api, _head(scope), receive)
        except DisconnectedError:
            return
        media_type = None if answer.body is None else "application/json"
        response = StarletteResponse(
            answer.content(), status_code=answer.status, headers=dict(answer.headers), media_type=media_type
        )
        await response(scope, receive, send)

    return app


async def _answer(api: Api, head: Request, receive: Receive) -> Response:
    """The answer to a request, whose body is read only if its head lets it in."""
    admission = api.admit(head)
    if admission.refusal is not None:
        return admission.refusal
    try:
        body = await _body(head, receive)
    except TooLargeError as error:
        return api.refuse(head, admission, error)
    return await run_in_threadpool(api.answer, replace(head, body=body), admission)


async def _body(head: Request, receive: Receive) -> bytes:
    """Raises ``TooLargeError`` as soon as that is known, and ``DisconnectedError``."""
    check_size(int(head.headers.get("content-length", "0")))
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        body += message.get("body", b"")
        check_size(len(body))
        more = message.get("more_body", False)
    return bytes(body)


def _head(scope: Scope) -> Request:
    """A request without its body. A header that came twice is one with both values, as HTTP has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    host = headers.get("host") or ":".join(str(part) for part in scope["server"])
    return Request(
        method=scope["method"].upper(),
        path=scope["raw_path"].decode("latin-1"),
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=headers,
        base_url=f"{scope['scheme']}://{host}",
    )
