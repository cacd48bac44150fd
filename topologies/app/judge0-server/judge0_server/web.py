"""HTTP/1.1 on httptools: one object per connection, requests answered in order, keep-alive and pipelining."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import parse_qsl

import httptools

from judge0_server.messages import Request, Response

MAX_BODY = 32 * 1024 * 1024
MAX_WAITING = 64
LINGER = 1.0

_REASONS = {
    200: "OK", 201: "Created", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 413: "Payload Too Large", 422: "Unprocessable Entity", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip


Handler = Callable[[Request], Awaitable[Response]]


def encode(response: Response, *, head: bool, close: bool) -> bytes:
    """The response's bytes; `head` leaves the body out but states its length."""
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.status != 304:
        lines.append(f"content-length: {len(response.body)}")
    if close:
        lines.append("connection: close")
    text = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return text if head or response.status == 304 else text + response.body


class Connection(asyncio.Protocol):
    """Parses requests, hands them to `handler` one at a time and writes the answers in order."""

    def __init__(self, handler: Handler, connections: set["Connection"]) -> None:
        self._handler, self._connections = handler, connections
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closing = self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self._connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._connections.discard(self)
        self._closing = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, UnicodeDecodeError, ValueError):
            self._refuse(400)

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body, self._size = b"", {}, [], 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_BODY:
            self._refuse(413)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._closing:
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            self._parser.get_method().decode(),
            path,
            dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            self._headers,
            b"".join(self._body),
        )
        self._waiting.append((request, self._parser.should_keep_alive()))
        if len(self._waiting) >= MAX_WAITING:
            self._transport.pause_reading()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        while self._waiting and not self._closing:
            request, keep_alive = self._waiting.popleft()
            response = await self._handler(request)
            keep_alive = keep_alive and not self._last
            if self._transport.is_closing():
                break
            self._transport.write(encode(response, head=request.method == "HEAD", close=not keep_alive))
            if not keep_alive:
                self._transport.close()
                break
            self._transport.resume_reading()
        self._task = None

    def _refuse(self, status: int) -> None:
        if not self._closing:
            self._closing = True
            self._transport.write(encode(Response(status), head=False, close=True))
            self._transport.close()

    def last(self) -> None:
        """Close after the next answer; whoever has asked nothing yet has some time left to do so."""
        self._last = True

    def finish(self) -> None:
        """Close after the answers under way, or at once where there is none."""
        if self._task is None:
            self._transport.close()
        else:
            self._task.add_done_callback(lambda _: self._transport.close())


async def drain(server: asyncio.AbstractServer, connections: set[Connection]) -> None:
    """Stop accepting and return once all that was asked is answered.

    For LINGER seconds it goes on as before: not everybody knows yet that this server goes. After that, some
    requests may still be on their way, on connections that were made in time.
    """
    await _linger(connections)
    server.close()
    await _linger(connections, at_most=True)
    for connection in list(connections):
        connection.finish()
    while connections:
        await asyncio.sleep(0.05)


async def _linger(connections: set[Connection], *, at_most: bool = False) -> None:
    """Wait LINGER seconds (`at_most`: or until no connection is left); each is closed after its answer."""
    until = time.monotonic() + LINGER
    while time.monotonic() < until and not (at_most and not connections):
        for connection in connections:
            connection.last()
        await asyncio.sleep(0.05)
