"""An HTTP server on loopback whose every byte a test decides."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.judge0.model import Address

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

# Answers one request (its head) on a connection; false: close it.
Serve: TypeAlias = Callable[[bytes, socket.socket], bool]


@dataclass
class Web:
    """A running server, and what came."""

    listener: socket.socket
    serve: Serve
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: int = 0

    @property
    def address(self) -> Address:
        """Where it listens."""
        if self.listener.family == socket.AF_UNIX:
            return Address("unix", self.listener.getsockname())
        return Address("tcp", *self.listener.getsockname())

    def accept(self) -> None:
        """Serve every connection in a thread, until the listener is closed."""
        with suppress(OSError):
            while True:
                made, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._protocol, args=(made,), daemon=True).start()

    def _protocol(self, made: socket.socket) -> None:
        with suppress(OSError), made, made.makefile("rb") as stream:
            while head := _head(stream):
                self.requests.append(head)
                if not self.serve(head, made):
                    made.shutdown(socket.SHUT_RDWR)
                    self.closed += 1
                    return


def _head(stream: object) -> bytes:
    lines: list[bytes] = []
    while (line := stream.readline()) not in (b"", b"\r\n"):  # type: ignore[attr-defined]
        lines.append(line)
    length = next((int(one.split(b":")[1]) for one in lines if one.lower().startswith(b"content-length")), 0)
    return b"".join(lines) + (stream.read(length) if length else b"")  # type: ignore[attr-defined]


def says(answer: bytes, *, keep: bool = True) -> Serve:
    """Always the same bytes."""

    def serve(_head: bytes, made: socket.socket) -> bool:
        made.sendall(answer)
        return keep

    return serve


@contextmanager
def web(serve: Serve, listener: socket.socket | None = None) -> Iterator[Web]:
    """A server for the length of a block."""
    listener = listener or socket.create_server(("127.0.0.1", 0), backlog=1024)
    made = Web(listener, serve)
    thread = threading.Thread(target=made.accept, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        port: int = made.getsockname()[1]
    return port
