"""The SOCKS5 proxies for this machine, each of which connects from one address of its own.

`python3 -m wt_fabric.socks ADDRESS PORT SOURCE [PORT SOURCE ...]`

Every image that is deployed comes through here, so bytes are moved by splice and never copied into Python:
measured with ssh to a droplet, 340 MB/s, where microsocks (buffers of 1 KiB) gave 45 and Dante 100.
CONNECT to an IPv4 address or a name, without authentication; anything else is answered as not supported.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import socket
import struct
import sys
import threading
import time
from contextlib import suppress

CHUNK = 1 << 20
CONNECT_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024
PAUSE_SECONDS = 0.05
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

GRANTED, FAILED, NETWORK, HOST, REFUSED, COMMAND, ADDRESS = 0, 1, 3, 4, 5, 7, 8
ANSWERS = {
    errno.ECONNREFUSED: REFUSED,
    errno.EHOSTUNREACH: HOST,
    errno.ENETUNREACH: NETWORK,
    errno.EACCES: NETWORK,
    errno.EPERM: NETWORK,
}


class RefusalError(Exception):
    """The request is not served; `code` is SOCKS5's word for why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def exactly(client: socket.socket, size: int, deadline: float = math.inf) -> bytes:
    """`size` bytes, and none of those that follow: they belong to the peer."""
    data = b""
    while len(data) < size:
        if deadline < math.inf:
            client.settimeout(max(0.001, deadline - time.monotonic()))
        more = client.recv(size - len(data))
        if not more:
            raise ConnectionError("the client has left")
        data += more
    return data


def greeting(client: socket.socket, deadline: float) -> None:
    """Agree on no authentication."""
    version, methods = exactly(client, 2, deadline)
    if version != 5 or 0 not in exactly(client, methods, deadline):
        client.sendall(b"\x05\xff")
        raise ConnectionError("not a client of ours")
    client.sendall(b"\x05\x00")


def request(client: socket.socket, deadline: float) -> tuple[str, int]:
    """Where the client wants to go. Raises `RefusalError`."""
    _, command, _, kind = exactly(client, 4, deadline)
    if kind == 1:
        host = socket.inet_ntoa(exactly(client, 4, deadline))
    elif kind == 3:
        host = exactly(client, exactly(client, 1, deadline)[0], deadline).decode("ascii", "replace")
    else:
        raise RefusalError(ADDRESS)
    (port,) = struct.unpack(">H", exactly(client, 2, deadline))
    if command != 1:
        raise RefusalError(COMMAND)
    return host, port


def connect(host: str, port: int, source: str) -> socket.socket:
    """A connection from `source`. Raises `RefusalError`."""
    try:
        peer = socket.create_connection((host, port), CONNECT_SECONDS, (source, 0))
    except socket.gaierror as error:
        raise RefusalError(HOST) from error
    except (TimeoutError, UnicodeError) as error:  # no answer, and a name that is none
        raise RefusalError(HOST) from error
    except OSError as error:
        raise RefusalError(ANSWERS.get(error.errno or 0, FAILED)) from error
    peer.settimeout(None)
    return peer


def serve(client: socket.socket, source: str) -> None:
    """Serve one client to its end."""
    with client, suppress(OSError):
        deadline = (
            time.monotonic() + HANDSHAKE_SECONDS
        )  # from the first byte to the last, or it could trickle
        greeting(client, deadline)
        try:
            host, port = request(client, deadline)
            client.settimeout(None)
            peer = connect(host, port, source)
        except RefusalError as refusal:
            client.sendall(reply(refusal.code))
            return
        with peer:
            client.sendall(reply(GRANTED))
            join(client, peer)


def reply(code: int) -> bytes:
    """SOCKS5's answer; nobody needs the address it may carry."""
    return bytes((5, code, 0, 1)) + bytes(6)


def join(client: socket.socket, peer: socket.socket) -> None:
    """Move bytes both ways until both sides have ended, or one has broken off."""
    for end in (client, peer):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=move, args=(peer, client), daemon=True)
    back.start()
    move(client, peer)
    back.join()


def move(source: socket.socket, sink: socket.socket) -> None:
    """Move bytes until `source` ends; when either breaks off, the other does too."""
    outlet, inlet = os.pipe()
    try:
        fcntl.fcntl(inlet, fcntl.F_SETPIPE_SZ, CHUNK)
        while size := os.splice(source.fileno(), inlet, CHUNK):
            while size:
                size -= os.splice(outlet, sink.fileno(), size)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        reset(source, sink)
    finally:
        os.close(outlet)
        os.close(inlet)


def reset(*ends: socket.socket) -> None:
    """Wake readers of either, and let both see a reset once they are closed, not an orderly end."""
    for end in ends:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RD)


def listen(address: str, port: int, source: str) -> None:
    """Accept for ever, a thread for each client."""
    with socket.create_server((address, port), backlog=BACKLOG) as server:
        while True:
            try:
                client, _ = server.accept()
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                time.sleep(PAUSE_SECONDS)  # until some of those that are there have ended
                continue
            try:
                threading.Thread(target=serve, args=(client, source), daemon=True).start()
            except RuntimeError:  # no more threads: this one is refused, and the proxy stays
                client.close()


def main(arguments: list[str]) -> None:
    """Run one server for each pair of port and source; ends when one of them fails."""
    threading.stack_size(256 * 1024)
    address, *pairs = arguments
    failed = threading.Event()

    def run(port: str, source: str) -> None:
        try:
            listen(address, int(port), source)
        finally:
            failed.set()

    for port, source in zip(pairs[::2], pairs[1::2], strict=True):
        threading.Thread(target=run, args=(port, source), daemon=True).start()
    failed.wait()
    sys.exit("a SOCKS server has ended")


if __name__ == "__main__":
    main(sys.argv[1:])
