"""Connections to one address: as many as needed, up to a limit; beyond it requests queue, in order."""

from __future__ import annotations

import os
import socket
from collections import deque

from harness.judge0.model import NEVER, Address
from harness.load.engine import dial
from harness.load.engine.connection import BUFFER, Connection
from harness.load.engine.loop import WRITE, Loop
from harness.load.engine.request import Answer, Request, Then
from harness.load.model import SECOND

# Servers close kept connections after 5 s (uvicorn, Node.js) or more. Sending on one that the server is just
# closing would be reported as broken, so a connection idle for nearly as long is not used again.
IDLE = 4 * SECOND


class Pool:
    """Sends requests on free connections. ``count`` are those that are open or being made."""

    def __init__(self, address: Address, limit: int, loop: Loop) -> None:
        self.buffer = memoryview(bytearray(BUFFER))
        self.count = self.opening = self.peak = self.starved = 0
        self.refused = ""
        self._limit, self._loop = limit, loop
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._openings: set[_Opening] = set()
        self._queue: deque[Request] = deque()
        self._diallers: dial.Diallers | None = None
        if dial.at_once(address):
            self._where = dial.resolved(address)
        else:
            self._diallers = dial.Diallers(address)
            loop.watch(self._diallers.fd, 1, self._diallers.collect)

    def ask(self, data: bytes, then: Then, give_up_at: int) -> None:
        """Send a request as soon as there is a connection for it."""
        request = Request(data, then, give_up_at, self)
        self._loop.deadlines.add(request, give_up_at)
        connection = self._take()
        if connection is not None:
            connection.send(request)
            return
        self._queue.append(request)
        if self.opening >= len(self._queue):
            return
        if self.count < self._limit:
            self.open()
        else:
            self.starved += 1

    def open(self) -> None:
        """Make another connection."""
        self.count += 1
        self.opening += 1
        self.peak = max(self.peak, self.count)
        if self._diallers is not None:
            self._diallers.want(self.opened)
            return
        try:
            made = dial.begun(*self._where)
        except OSError as error:
            text = str(error)
            self._loop.later(0, lambda: self.opened(text))
            return
        self._openings.add(_Opening(made, self._loop, self))

    def opened(self, dialled: dial.Dialled) -> None:
        """A connection was made, or failed; then the longest waiting request gets the error."""
        self.opening -= 1
        if isinstance(dialled, str):
            self._refused(dialled)
            return
        connection = Connection(dialled, self._loop, self)
        self._all.add(connection)
        self.free(connection)

    def settled(self, opening: _Opening, dialled: dial.Dialled) -> None:
        """A TCP connection was made, or could not be."""
        self._openings.discard(opening)
        self.opened(dialled)

    def give_up(self, request: Request) -> None:
        """A request has waited too long for a connection."""
        self._queue.remove(request)
        text = "timeout: no free connection in time"
        request.then(Answer(0, b"", NEVER, self._loop.now(), text))

    def free(self, connection: Connection) -> None:
        """A connection is idle again."""
        if self._queue:
            connection.send(self._queue.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        self.count -= 1
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._more()

    def close(self) -> None:
        """Close every connection, without an answer to requests in flight."""
        for connection in self._all:
            connection.close()
        for opening in self._openings:
            opening.close()
        self._all.clear()
        self._openings.clear()
        if self._diallers is not None:
            self._diallers.close()
            self._loop.unwatch(self._diallers.fd)
            os.close(self._diallers.fd)

    def _more(self) -> None:
        """Open another connection if more requests wait than connections are being made."""
        if len(self._queue) > self.opening and self.count < self._limit:
            self.open()

    def _take(self) -> Connection | None:
        """The idle connection that was used last: the one the server is least likely to be closing."""
        now = self._loop.now()
        while self._idle:
            connection = self._idle.pop()
            if now - connection.idle_since < IDLE:
                return connection
            connection.close()
            self._all.discard(connection)
            self.count -= 1
        return None

    def _refused(self, why: str) -> None:
        self.count -= 1
        self.refused = why
        if self._queue:
            request = self._queue.popleft()
            self._loop.deadlines.lift(request, request.give_up_at)
            request.then(Answer(0, b"", NEVER, self._loop.now(), f"broken: connecting: {why}"))
        self._more()


class _Opening:
    """A TCP connection that is being made."""

    def __init__(self, made: socket.socket, loop: Loop, pool: Pool) -> None:
        self._socket, self._loop, self._pool = made, loop, pool
        self._until = loop.now() + int(dial.CONNECT_SECONDS * SECOND)
        loop.watch(made.fileno(), WRITE, self._ready)
        loop.deadlines.add(self, self._until)

    def close(self) -> None:
        """Abort it."""
        self._loop.unwatch(self._socket.fileno())
        self._socket.close()

    def expire(self) -> None:
        """It takes too long."""
        self._end(f"no answer in {dial.CONNECT_SECONDS:g} s")

    def _ready(self, _mask: int) -> None:
        self._loop.deadlines.lift(self, self._until)
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self._end(os.strerror(number) if number else self._socket)

    def _end(self, dialled: dial.Dialled) -> None:
        self._loop.unwatch(self._socket.fileno())
        if isinstance(dialled, str):
            self._socket.close()
        self._pool.settled(self, dialled)
