"""JSON messages, one per line, over a connected socket: between this process and Locust's master."""

from __future__ import annotations

import json
import select
import socket
from collections import deque
from typing import Any

CHUNK = 1024 * 1024


class Channel:
    """One end. In the master it waits as gevent does, because Locust has patched what it calls."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._parts: list[bytes] = []
        self._lines: deque[bytes] = deque()
        self.closed = False

    def send(self, document: dict[str, Any]) -> None:
        """Send a document. Raises ``OSError`` if the other end is closed."""
        self._end.sendall(json.dumps(document).encode() + b"\n")

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next document, or None if none came in time; then ``closed`` says whether more can come."""
        if not self._lines and not self.closed and select.select([self._end], [], [], seconds)[0]:
            self._read()
        return json.loads(self._lines.popleft()) if self._lines else None

    def _read(self) -> None:
        try:
            data = self._end.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        self.closed = not data
        *whole, rest = data.split(b"\n")
        for each in whole:
            self._lines.append(b"".join([*self._parts, each]))
            self._parts = []
        self._parts.append(rest)
