"""The fabric's SOCKS5 servers, as processes on loopback, met with a client library."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from python_socks import ProxyError
from python_socks.sync import Proxy

from harness.core.wait import wait_for

FABRIC = Path(__file__).parents[3] / "emulator/images/fabric"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Two servers in one process: the first speaks from 127.0.0.2, the second from 127.0.0.3."""
    first, second = free_port(), free_port()
    pairs = [str(first), "127.0.0.2", str(second), "127.0.0.3"]
    argv = [sys.executable, "-m", "wt_fabric.socks", "127.0.0.1", *pairs]
    with subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(FABRIC)}) as process:
        for port in (first, second):
            wait_for(
                "the server", lambda port=port: probe(port), deadline=20, tolerate=(ConnectionRefusedError,)
            )
        yield first, second
        process.terminate()


def probe(port: int) -> None:
    """Connect and leave without a word."""
    socket.create_connection(("127.0.0.1", port)).close()


@pytest.fixture
def service() -> Iterator[tuple[int, list[str]]]:
    """A peer that answers with all it was sent once the client has ended; the list is who came."""
    came: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    client, address = server.accept()
                except OSError:
                    return
                came.append(address[0])
                with client, client.makefile("rb") as stream:
                    client.sendall(stream.read())

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def through(port: int, host: str, to: int) -> socket.socket:
    """A connection to ``host:to`` through the server on ``port``."""
    connected: socket.socket = Proxy.from_url(f"socks5://127.0.0.1:{port}").connect(host, to, timeout=10)
    return connected


def exchange(connected: socket.socket, data: bytes) -> bytes:
    """Send, end, and read all that comes back."""
    with connected:
        sender = threading.Thread(
            target=lambda: (connected.sendall(data), connected.shutdown(socket.SHUT_WR))
        )
        sender.start()
        with connected.makefile("rb") as stream:
            answer = stream.read()
        sender.join()
    return answer


def test_many_bytes_come_back_unchanged(ports: tuple[int, int], service: tuple[int, list[str]]) -> None:
    """More than a pipe holds, and the end of one direction leaves the other open."""
    data = os.urandom(5_000_000)
    assert exchange(through(ports[0], "127.0.0.1", service[0]), data) == data


def test_each_server_speaks_from_its_own_address(
    ports: tuple[int, int], service: tuple[int, list[str]]
) -> None:
    """The operator and a stranger must not be taken for each other."""
    for port in ports:
        exchange(through(port, "127.0.0.1", service[0]), b"x")
    assert service[1] == ["127.0.0.2", "127.0.0.3"]


def test_names_are_resolved_by_the_server(ports: tuple[int, int], service: tuple[int, list[str]]) -> None:
    """A client may hand over a name instead of an address."""
    assert exchange(through(ports[0], "localhost", service[0]), b"by name") == b"by name"


def test_a_closed_port_is_told_from_other_failures(ports: tuple[int, int]) -> None:
    """Refused is an answer of the peer's, and is passed on as such."""
    with pytest.raises(ProxyError, match=r"(?i)refused"):
        through(ports[0], "127.0.0.1", free_port())


def test_an_unknown_name_is_an_unreachable_host(ports: tuple[int, int]) -> None:
    """The server goes on serving others."""
    with pytest.raises(ProxyError, match=r"(?i)host"):
        through(ports[0], "no-such-name.invalid", 80)
    probe(ports[0])


def test_other_commands_are_refused(ports: tuple[int, int]) -> None:
    """UDP ASSOCIATE, say."""
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=10) as client:
        client.sendall(b"\x05\x01\x00" + b"\x05\x03\x00\x01" + bytes(6))
        answer = b""
        while len(answer) < 12:
            answer += client.recv(12 - len(answer))
    assert answer[:4] == b"\x05\x00\x05\x07"


def test_a_reset_is_passed_on(ports: tuple[int, int]) -> None:
    """A peer that breaks off is not taken for one that has ended."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        connected = stack.enter_context(through(ports[0], "127.0.0.1", server.getsockname()[1]))
        peer, _ = server.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        peer.close()
        with pytest.raises(ConnectionResetError):
            connected.recv(1)
