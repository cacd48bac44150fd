"""The engine's interface on gevent: a greenlet for each request, plain sockets, HTTP by httptools.

Used only in Locust's processes, where sockets wait as gevent does. FastHttpUser supports neither Unix sockets
nor SOCKS, and frames requests itself: here requests and parsing are the same as in our own engine.
"""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

import gevent
import httptools
from gevent.lock import BoundedSemaphore

from harness.core.errors import ResourceError, UsageError
from harness.judge0.model import NEVER, Address
from harness.load.engine import Answer, dial
from harness.load.engine.pool import IDLE
from harness.load.engine.request import Then
from harness.load.engine.responses import Responses
from harness.load.model import SECOND

BUFFER = 64 * 1024


class Connection:
    """A connection that carries one request after the other."""

    def __init__(self, made: socket.socket) -> None:
        made.settimeout(None)
        if made.family in (socket.AF_INET, socket.AF_INET6):
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._responses = made, Responses()
        self.idle_since = 0

    def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and wait for status and body. Raises ``OSError`` or ``HttpParserError``."""
        self._socket.sendall(request)
        responses = self._responses
        while data := self._socket.recv(BUFFER):
            if responses.feed(data):
                return responses.status, responses.body
        responses.keep = False
        if responses.end():
            return responses.status, responses.body
        raise ConnectionError("the server closed the connection before its answer was complete")

    @property
    def keep(self) -> bool:
        """Whether it may be used again."""
        return self._responses.keep

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._socket.close()
        self._responses.close()


class GeventTransport:
    """Carries requests to one address, on ``connections`` at most. Times are ns since ``origin``.

    ``failed`` is called with the traceback of whatever goes wrong in a greenlet of ours.
    """

    def __init__(
        self, address: Address, *, connections: int, timeout: float, failed: Callable[[str], None]
    ) -> None:
        self.origin = time.monotonic_ns()
        self.starved = self.peak_connections = 0
        self._address, self._timeout, self._failed = address, round(timeout * SECOND), failed
        self._free = BoundedSemaphore(connections)
        self._idle: list[Connection] = []
        self._count = 0
        self._give_up_at = 0

    def connect(self, count: int) -> None:
        """Open connections ahead of their use. Raises ``ResourceError`` if the target refuses."""
        where = dial.describe(self._address)
        try:
            self._idle = [self._open() for _ in range(count)]
        except OSError as error:
            raise ResourceError("load target", where, f"refuses connections at {where}: {error}") from error

    def now(self) -> int:
        """The time."""
        return time.monotonic_ns() - self.origin

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Do something in a while."""
        gevent.spawn_later(after_ns / SECOND, self._guarded, action)

    def arrive(self, begin: Callable[[int, int], None], number: int, intended: int) -> None:
        """Begin an arrival: its request is given up by its own time."""
        self._give_up_at = intended + self._timeout
        begin(number, intended)
        self._give_up_at = 0

    def ask(self, request: bytes, then: Then, give_up_at: int = 0) -> None:
        """Send a request in a greenlet of its own, and pass its answer on: once, never during this call."""
        until = give_up_at or self._give_up_at or self.now() + self._timeout
        gevent.spawn(self._guarded, lambda: then(self._answer(request, until)))

    def close(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.close()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001 (whatever it is, it ends the run and is reported)
            self._failed(traceback.format_exc())

    def _answer(self, request: bytes, until: int) -> Answer:
        sent = NEVER

        def sending() -> None:
            nonlocal sent
            sent = self.now()

        error = "timeout: no answer in time"
        try:
            with gevent.Timeout(max(until - self.now(), 1) / SECOND):
                status, body = self._carried(request, sending)
                return Answer(status, body, sent, self.now(), "")
        except gevent.Timeout:
            error = error if sent != NEVER else "timeout: no free connection in time"
        except httptools.HttpParserError as problem:
            error = f"broken: what came is not HTTP/1.1: {problem}"
        except (OSError, UsageError) as problem:
            error = f"broken: {'' if sent != NEVER else 'connecting: '}{problem}"
        return Answer(0, b"", sent, self.now(), error)

    def _carried(self, request: bytes, sending: Callable[[], None]) -> tuple[int, bytes]:
        self.starved += self._free.locked()
        with self._free:
            connection = self._take() or self._open()
            done = False
            try:
                sending()
                found = connection.exchange(request)
                done = connection.keep
            finally:
                self._put(connection, keep=done)
            return found

    def _take(self) -> Connection | None:
        """The idle connection that was used last, unless the server may be closing it just now."""
        while self._idle:
            connection = self._idle.pop()
            if self.now() - connection.idle_since < IDLE:
                return connection
            self._drop(connection)
        return None

    def _open(self) -> Connection:
        connection = Connection(dial.connected(self._address))
        connection.idle_since = self.now()
        self._count += 1
        self.peak_connections = max(self.peak_connections, self._count)
        return connection

    def _put(self, connection: Connection, *, keep: bool) -> None:
        if keep:
            connection.idle_since = self.now()
            self._idle.append(connection)
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self._count -= 1
        connection.close()
