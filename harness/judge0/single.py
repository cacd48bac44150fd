"""HTTP with a new connection for each request, so that it is known what was sent and what was not.

httpx with a SOCKS proxy waits for the proxy without a limit, and leaves refused connections open; while
machines are powered off, both happen all the time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx

from harness.access.socks import connect


class SingleUse(httpx.BaseTransport):
    """A transport for HTTP, and for TLS with whatever certificate, as a droplet's cannot name its address.

    ``proxy`` is a SOCKS5 URL or None; ``seconds`` the time to connect. ``host`` is where connections lead
    whatever name the URL has, which goes into TLS (SNI) and ``Host``; empty: the URL's.

    Raises ``httpx.ConnectError`` where nothing was sent, ``httpx.ReadTimeout`` and
    ``httpx.RemoteProtocolError`` where the answer did not come.
    """

    def __init__(self, proxy: str | None, *, seconds: float, host: str = "") -> None:
        self._proxy, self._seconds, self._host = proxy, seconds, host
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Connect, ask, read everything, close."""
        with self._connect(request.url) as made, self._kept(made):
            made.settimeout(request.extensions.get("timeout", {}).get("read"))
            try:
                return _ask(made, request)
            except TimeoutError as error:
                raise httpx.ReadTimeout("no answer", request=request) from error
            except (OSError, http.client.HTTPException) as error:
                raise httpx.RemoteProtocolError(repr(error), request=request) from error

    def break_off(self, before: float) -> None:
        """End the connections that were made ``before`` this time, in seconds since 1970: no answer comes.

        Whoever waits for one gets ``httpx.RemoteProtocolError``.
        """
        with self._lock:
            for made, at in self._open.items():
                if at < before:
                    with suppress(OSError):  # the other side has ended it
                        made.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _kept(self, made: socket.socket) -> Iterator[None]:
        """Have a connection among the open ones for as long as the block takes."""
        with self._lock:
            self._open[made] = time.time()
        try:
            yield
        finally:
            with self._lock:
                del self._open[made]

    def _connect(self, url: httpx.URL) -> socket.socket:
        tls = url.scheme == "https"
        host, port = self._host or url.host, url.port or (443 if tls else 80)
        try:
            made = self._plain(host, port)
            return _secured(made, url.host) if tls else made
        except OSError as error:
            raise httpx.ConnectError(f"no connection to {host}:{port}: {error}") from error

    def _plain(self, host: str, port: int) -> socket.socket:
        if self._proxy:
            return connect(self._proxy, host, port, timeout=self._seconds)
        return socket.create_connection((host, port), self._seconds)


def _secured(made: socket.socket, name: str) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        return context.wrap_socket(made, server_hostname=name)
    except BaseException:
        made.close()
        raise


class SingleUseClient(httpx.Client):
    """A client with such a transport."""

    def __init__(
        self,
        transport: SingleUse,
        *,
        base_url: str,
        timeout: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(base_url=base_url, transport=transport, headers=headers, timeout=timeout)
        self._single = transport

    def break_off(self, before: float) -> None:
        """As the transport's."""
        self._single.break_off(before)


def _ask(made: socket.socket, request: httpx.Request) -> httpx.Response:
    connection = http.client.HTTPConnection(request.url.host)
    connection.sock = made
    headers = {**dict(request.headers), "connection": "close"}
    connection.request(request.method, request.url.raw_path.decode(), request.read(), headers)
    with connection.getresponse() as response:
        kept = [(name, value) for name, value in response.getheaders() if name.lower() != "transfer-encoding"]
        return httpx.Response(response.status, headers=kept, content=response.read())
