"""Reach one TCP address through a SOCKS5 proxy, for ``ProxyCommand`` of ssh::

    ProxyCommand python -m harness.access.socks socks5://127.0.0.1:1080 %h %p

With ``ProxyUseFdpass yes`` the connected socket is passed to ssh and this process ends, so that no byte of
the session passes through it. Otherwise it relays its standard input and output until both are closed.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading

CHUNK = 1 << 18
TIMEOUT = 20.0


def connect(proxy: str, host: str, port: int, *, timeout: float = TIMEOUT) -> socket.socket:
    """Return a socket connected to ``host:port`` through ``proxy``; no call on it takes over ``timeout`` s.

    Raises ``OSError`` when the proxy or the address cannot be reached, ``ValueError`` for a malformed URL.
    """
    from python_socks import ProxyError
    from python_socks.sync import Proxy

    try:
        connected = Proxy.from_url(proxy).connect(host, port, timeout=timeout)
    except ProxyError as error:
        raise ConnectionError(f"{host}:{port} through {proxy}: {error}") from error
    connected.settimeout(timeout)
    return connected


def pass_socket(connected: socket.socket, descriptor: int) -> None:
    """Pass ``connected`` over the unix socket ``descriptor``, as ssh's ``ProxyUseFdpass`` expects."""
    with socket.socket(fileno=os.dup(descriptor)) as channel:
        socket.send_fds(channel, [b"\0"], [connected.fileno()])


def relay(connected: socket.socket, source: int, sink: int) -> None:
    """Copy ``source`` to the peer and the peer to ``sink`` until the peer has closed."""
    threading.Thread(target=_send, args=(source, connected), daemon=True).start()
    while data := connected.recv(CHUNK):
        _write(sink, data)


def _send(source: int, connected: socket.socket) -> None:
    try:
        while data := os.read(source, CHUNK):
            connected.sendall(data)
        connected.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the peer has gone; relay() sees the same and ends


def _write(sink: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(sink, left) :]


def main(arguments: list[str]) -> int:
    """Run as a command; returns the exit code."""
    if len(arguments) != 3 or not arguments[2].isdigit():
        sys.stderr.write("usage: python -m harness.access.socks socks5://HOST:PORT HOST PORT\n")
        return 4
    proxy, host, port = arguments
    try:
        with connect(proxy, host, int(port)) as connected:
            connected.settimeout(None)  # a session may be idle for any time
            if stat.S_ISSOCK(os.fstat(1).st_mode):
                pass_socket(connected, 1)
            else:
                relay(connected, 0, 1)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot reach {host}:{port} through {proxy}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
