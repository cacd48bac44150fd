"""Connected sockets: TCP without waiting, and all that needs a handshake in threads beside it."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError
from python_socks.sync import Proxy

from harness.core.errors import ResourceError, UsageError
from harness.judge0.model import Address

CONNECT_SECONDS = 10.0
DIALLERS = 8

Dialled: TypeAlias = "socket.socket | str"
Take: TypeAlias = Callable[[Dialled], None]


def describe(address: Address) -> str:
    """An address for people."""
    where = address.host if address.kind == "unix" else f"{address.host}:{address.port}"
    return f"{where} through {address.proxy}" if address.proxy else where


def at_once(address: Address) -> bool:
    """Whether a connection can be begun without waiting for anything."""
    return address.kind == "tcp" and not address.tls


def resolved(address: Address) -> tuple[int, tuple[str, int]]:
    """Address family and socket address of a TCP address. Raises ``ResourceError`` for an unknown name."""
    try:
        family, _, _, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
    except OSError as error:
        problem = f"its name cannot be resolved: {error}"
        raise ResourceError("load target", describe(address), problem) from error
    return family, (str(where[0]), int(where[1]))


def begun(family: int, where: tuple[str, int]) -> socket.socket:
    """A TCP socket on its way to being connected. Raises ``OSError`` if it is refused at once."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        made.connect(where)
    except BlockingIOError:
        pass
    except OSError:
        made.close()
        raise
    return made


def connected(address: Address) -> socket.socket:
    """A connected socket of any kind, non-blocking. Waits, 10 s at most; raises ``OSError``."""
    made = _plain(address)
    try:
        if address.tls:
            made = _context().wrap_socket(made, server_hostname=address.host_header.partition(":")[0] or None)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def _plain(address: Address) -> socket.socket:
    if address.kind == "tcp":
        return socket.create_connection((address.host, address.port), CONNECT_SECONDS)
    if address.kind == "unix":
        return _unix(address.host)
    if not address.proxy:
        raise UsageError(
            f"a load through SOCKS needs a proxy, like 127.0.0.1:1080, to reach {describe(address)}"
        )
    url = address.proxy if "://" in address.proxy else f"socks5://{address.proxy}"
    try:
        return Proxy.from_url(url, rdns=True).connect(address.host, address.port, timeout=CONNECT_SECONDS)
    except (ProxyConnectionError, ProxyError, ProxyTimeoutError) as error:
        raise OSError(str(error)) from error


def _unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(CONNECT_SECONDS)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


def _context() -> ssl.SSLContext:
    """TLS that encrypts and trusts anyone, as :class:`Address` says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Diallers:
    """A few threads that connect. ``fd`` is readable when :meth:`collect` has a result to deliver."""

    def __init__(self, address: Address) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._address = address
        self._wanted: queue.SimpleQueue[Take | None] = queue.SimpleQueue()
        self._made: deque[tuple[Take, Dialled]] = deque()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(DIALLERS)]
        for thread in self._threads:
            thread.start()

    def want(self, take: Take) -> None:
        """Request a connection; ``take`` gets it, or the error, in :meth:`collect`."""
        self._wanted.put(take)

    def collect(self, _mask: int = 0) -> None:
        """Deliver the results so far."""
        os.eventfd_read(self.fd)
        while self._made:
            take, dialled = self._made.popleft()
            take(dialled)

    def close(self) -> None:
        """End the threads that wait for work; those that connect end with the process."""
        for _ in self._threads:
            self._wanted.put(None)

    def _work(self) -> None:
        while (take := self._wanted.get()) is not None:
            try:
                dialled: Dialled = connected(self._address)
            except (OSError, UsageError) as error:
                dialled = str(error)
            self._made.append((take, dialled))
            os.eventfd_write(self.fd, 1)
