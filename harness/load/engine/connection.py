"""One connection: it is being made, idle, or busy with one request; and then it is closed."""

from __future__ import annotations

import socket
import ssl
from typing import Protocol

import httptools

from harness.judge0.model import NEVER
from harness.load.engine.loop import READ, WRITE, Loop
from harness.load.engine.request import Answer, Request
from harness.load.engine.responses import Responses

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
BUFFER = 64 * 1024


class Owner(Protocol):
    """Gets the events of a connection."""

    buffer: memoryview

    def free(self, connection: Connection) -> None:
        """Its request was answered, and it may be used again."""

    def lost(self, connection: Connection) -> None:
        """It is closed."""


class Connection:
    """A connected, non-blocking socket, and the request that it is busy with."""

    __slots__ = ("_left", "_loop", "_owner", "_responses", "_socket", "fd", "idle_since", "request")

    def __init__(self, made: socket.socket, loop: Loop, owner: Owner) -> None:
        self._socket, self._loop, self._owner = made, loop, owner
        self._responses = Responses()
        self._left: memoryview | None = None
        self.request: Request | None = None
        self.fd = made.fileno()
        self.idle_since = loop.now()
        loop.watch(self.fd, READ, self._ready)

    def send(self, request: Request) -> None:
        """Send a request; only while idle. The result is reported later, never during this call."""
        request.holder = self
        self.request = request
        request.sent = self._loop.now()
        self._write(request.data)

    def give_up(self, request: Request) -> None:
        """Its request has timed out. An answer may still come, so the connection cannot be used again."""
        if request is self.request:
            self._fail("timeout: no answer in time")

    def close(self) -> None:
        """Close it, without an event."""
        self._loop.unwatch(self.fd)
        self.fd = NEVER
        self._socket.close()
        self._responses.close()

    def _write(self, data: bytes | memoryview) -> None:
        try:
            sent = self._socket.send(data)
        except WOULD_BLOCK:
            sent = 0
        except OSError as error:
            text = f"broken: sending: {error}"
            self._left = memoryview(data)
            self._loop.later(0, lambda: self._fail(text))
            return
        waited = self._left is not None
        self._left = memoryview(data)[sent:] if sent < len(data) else None
        if waited != (self._left is not None):
            self._loop.change(self.fd, READ | WRITE if self._left else READ)

    def _ready(self, mask: int) -> None:
        if mask & WRITE and self._left is not None:
            self._write(self._left)
        if mask & ~WRITE:
            self._read()

    def _read(self) -> None:
        buffer = self._owner.buffer
        try:
            got = self._socket.recv_into(buffer)
            while got:
                if self._responses.feed(buffer[:got]):
                    self._answered()
                    return
                got = self._socket.recv_into(buffer) if self._more() else -1
                if got < 0:
                    return
        except WOULD_BLOCK:
            return
        except OSError as error:
            self._fail(f"broken: {error}")
        except httptools.HttpParserError as error:
            self._fail(f"broken: what came is not HTTP/1.1: {error}")
        else:
            self._ended()

    def _more(self) -> bool:
        """Whether TLS has read on already: what it holds, epoll does not know of."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def _ended(self) -> None:
        if self.request is not None and self._responses.end():
            self._responses.keep = False
            self._answered()
        else:
            self._fail("broken: the server closed the connection before its answer was complete")

    def _answered(self) -> None:
        request, responses = self.request, self._responses
        now = self._loop.now()
        if request is None:
            self._fail("")  # nothing was asked
            return
        self.request = None
        self._loop.deadlines.lift(request, request.give_up_at)
        answer = Answer(responses.status, responses.body, request.sent, now, "")
        if responses.keep and self._left is None:
            self.idle_since = now
            self._owner.free(self)
        else:
            self.close()
            self._owner.lost(self)
        request.then(answer)

    def _fail(self, error: str) -> None:
        if self.fd == NEVER:
            return
        request, self.request = self.request, None
        self.close()
        self._owner.lost(self)
        if request is not None:
            self._loop.deadlines.lift(request, request.give_up_at)
            request.then(Answer(0, b"", request.sent, self._loop.now(), error))
