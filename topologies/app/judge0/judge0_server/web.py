"""HTTP by uvicorn and Starlette: what a request may take, and how the server stops."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp, Message, Receive

MAX_BODY = 32 * 1024 * 1024
LINGER = 1.0
# A balancer's is shorter (nginx: 60 s), so that it never sends into a connection that is being closed.
KEEP_ALIVE = 75


class TooLargeError(Exception):
    """A body of more than MAX_BODY bytes; what is left of it is not read."""


def limited(receive: Receive) -> Receive:
    """`receive`, which raises TooLargeError where a request's parts are too much together."""
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            raise TooLargeError
        return message

    return received


def config(app: ASGIApp) -> uvicorn.Config:
    """For a server that is given its socket; Judge0's answers have no Server and no Date."""
    return uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        backlog=1024,
        timeout_keep_alive=KEEP_ALIVE,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        log_level="error",  # else each request that is no HTTP writes a traceback
    )


class Server(uvicorn.Server):
    """Stops in two steps, within `stop_within` seconds; `leave` is called first.

    For LINGER seconds it goes on as before: not everybody knows yet that this server goes. Then it accepts
    nothing more, but some requests may still be on their way on connections that were made in time.
    """

    def __init__(self, app: ASGIApp, *, leave: Callable[[], None], stop_within: float) -> None:
        super().__init__(config(app))
        self._leave, self._stop_within = leave, stop_within

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drain(sockets), self._stop_within)

    async def _drain(self, sockets: list[socket.socket] | None) -> None:
        self._leave()
        await asyncio.sleep(LINGER)
        for server in self.servers:
            server.close()
        until = time.monotonic() + LINGER
        while self.server_state.connections and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)
