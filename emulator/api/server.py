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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.types import Receive, Scope, Send

from emulator.api.app import Api
from emulator.api.http import Request, make_request
from emulator.cloud.certificates import issue, make_authority
from emulator.cloud.core import Cloud
from emulator.statedir import write_private
from harness import signals
from harness.errors import EngineError

log = logging.getLogger(__name__)

ENDPOINT, PORTS, CA = "endpoint.json", "ports.json", "ca.pem"
STOP_SECONDS = 1
# A client on a slow machine may pause this long and then use its connection again, for a POST too.
IDLE_SECONDS = 75


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, as written to ``endpoint.json``."""

    pid: int
    https: str
    http: str
    token: str
    ca_file: str
    plane: str


class Server(uvicorn.Server):
    """uvicorn's, except that signals are ours: two servers share one process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def listen(host: str, port: int, preferred: int = 0) -> socket.socket:
    """A listening socket; port 0 takes ``preferred`` if it is free, else any. Raises ``EngineError``."""
    for candidate in [port] if port else [preferred, 0]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
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


def serve(cloud: Cloud, state: Path, plane: str, *, host: str, https_port: int, http_port: int) -> None:
    """Serve ``cloud``, which is started, until a signal stops it; machines keep running after that."""
    previous = _previous_ports(state)
    tls = listen(host, https_port, previous[0])
    plain = listen(host, http_port, previous[1])
    ports = (tls.getsockname()[1], plain.getsockname()[1])
    write_private(state / PORTS, json.dumps(ports))
    certificate, key = _certificates(state, host)
    endpoint = Endpoint(
        pid=os.getpid(),
        https=f"https://{host}:{ports[0]}",
        http=f"http://{host}:{ports[1]}",
        token=cloud.account.token,
        ca_file=str((state / CA).resolve()),
        plane=plane,
    )
    app = _asgi(Api(cloud))
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
    for number in signals.heeded():
        loop.add_signal_handler(number, stop)
    tasks = [
        asyncio.create_task(server.serve(sockets=[sock]))
        for server, sock in zip(servers, sockets, strict=True)
    ]
    write_private(path, json.dumps(asdict(endpoint), indent=2) + "\n")  # the sockets queue what comes early
    await asyncio.gather(*tasks)


def _config(app: Any, **tls: str) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=IDLE_SECONDS, server_header=False, ws="none", **tls,  # type: ignore[arg-type]  # only the two file names
    )  # fmt: skip


def _asgi(api: Api) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        incoming = StarletteRequest(scope, receive)
        request = _request(incoming, await incoming.body())
        answer = await run_in_threadpool(api.handle, request)
        media_type = None if answer.body is None else "application/json"
        response = StarletteResponse(
            answer.content(), status_code=answer.status, headers=dict(answer.headers), media_type=media_type
        )
        await response(scope, receive, send)

    return app


def _request(incoming: StarletteRequest, body: bytes) -> Request:
    scope = incoming.scope
    host = incoming.headers.get("host") or ":".join(str(part) for part in scope["server"])
    url = f"{scope['scheme']}://{host}{scope['raw_path'].decode('latin-1')}"
    query = scope["query_string"].decode("latin-1")
    return make_request(incoming.method, f"{url}?{query}", dict(incoming.headers), body)


def _certificates(state: Path, host: str) -> tuple[Path, Path]:
    """The files of the server's certificate and key, issued by the state's own CA; made where missing."""
    folder = state / "tls"
    folder.mkdir(exist_ok=True, mode=0o700)
    authority_key, certificate, key = folder / "ca-key.pem", folder / "server.pem", folder / "server-key.pem"
    if not key.exists():
        authority = make_authority("Wavetank emulator CA")
        pair = issue(authority, ["localhost"], sorted({"127.0.0.1", host}))
        write_private(authority_key, authority.key)
        write_private(state / CA, authority.certificate)
        write_private(certificate, pair.certificate)
        write_private(key, pair.key)
    return certificate, key


def _previous_ports(state: Path) -> tuple[int, int]:
    """The ports of the server before, so that its clients find this one; zeros if there was none."""
    try:
        https, http = json.loads((state / PORTS).read_text())
    except (FileNotFoundError, ValueError):
        return (0, 0)
    return int(https), int(http)
