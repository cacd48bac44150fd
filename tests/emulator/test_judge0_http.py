"""The reference Judge0's server as HTTP: kept connections, bounds, and clients that are no good ones."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

import httpx
import pytest
from judge0_stack import Stack

pytestmark = pytest.mark.docker

LARGEST = 32 * 1024 * 1024
VERSION = b"GET /version HTTP/1.1\r\nHost: server\r\n\r\n"
POST = b"POST /authenticate HTTP/1.1\r\nHost: server\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """Where a server listens."""
    with Stack() as stack, stack.server() as client:
        yield client.base_url.host, client.base_url.port or 0


class Line:
    """A connection; what it receives is read answer by answer."""

    def __init__(self, connection: socket.socket, file: BinaryIO) -> None:
        self._connection, self._file = connection, file

    def send(self, data: bytes) -> None:
        """Also to a server that has heard enough."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sendall(data)

    def answer(self, *, body: bool = True) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            if not line:
                raise EOFError(f"closed after {head!r}")
            head += line
        length = re.search(rb"^content-length: (\d+)", head, re.MULTILINE)
        return int(head[9:12]), head, self._file.read(int(length[1])) if length and body else b""

    def ended(self) -> bool:
        """Whether the server closes it without another word."""
        try:
            return self._file.read() == b""
        except ConnectionResetError:
            return True


@contextmanager
def line_to(address: tuple[str, int]) -> Iterator[Line]:
    """A connection for the length of a block."""
    with socket.create_connection(address, timeout=30) as connection, connection.makefile("rb") as file:
        yield Line(connection, file)


@pytest.fixture
def line(server: tuple[str, int]) -> Iterator[Line]:
    """A connection to the server."""
    with line_to(server) as line:
        yield line


def test_requests_sent_ahead_are_answered_in_their_order(line: Line) -> None:
    """More than are kept waiting, the first of them slow: one answer for each."""
    other = b"GET /nothing HTTP/1.1\r\nHost: server\r\n\r\n"
    line.send(b"GET /statistics HTTP/1.1\r\nHost: server\r\n\r\n" + (VERSION + other) * 200)
    assert [line.answer()[0] for _ in range(401)] == [200, *(200, 404) * 200]


def test_a_preflight_with_a_tab_is_answered(line: Line) -> None:
    """White space in a header that is given back: the server would break off over it."""
    line.send(
        b"OPTIONS /submissions HTTP/1.1\r\nHost: server\r\nOrigin: https://page.test\r\n"
        b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-one,\tx-two\r\n\r\n"
    )
    status, head, _ = line.answer()
    assert (status, b"access-control-allow-headers: x-one, x-two\r\n" in head) == (200, True)


def test_an_answer_without_a_body_leaves_the_connection_usable(line: Line) -> None:
    """HEAD tells the length; 304 has none; the next request is answered."""
    line.send(VERSION.replace(b"GET", b"HEAD"))
    status, head, _ = line.answer(body=False)
    assert (status, b"content-length: 6" in head) == (200, True)
    etag = re.search(rb"^etag: (.*?)\r$", head, re.MULTILINE)
    assert etag
    for known in (b"W/other", etag[1]):
        line.send(VERSION[:-2] + b"If-None-Match: " + known + b"\r\n\r\n")
    line.send(VERSION)
    assert [line.answer()[0] for _ in range(3)] == [200, 304, 200]


@pytest.mark.parametrize("word", [b"close", b"Close"])
def test_a_client_may_end_its_connection(line: Line, word: bytes) -> None:
    """After the answer that it asked for, in whatever case."""
    line.send(VERSION[:-2] + b"Connection: " + word + b"\r\n\r\n")
    status, head, _ = line.answer()
    assert (status, b"\r\nconnection: close\r\n" in head, line.ended()) == (200, True, True)


def test_a_body_may_wait_for_permission(line: Line) -> None:
    """100 before the body, 200 after it."""
    line.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert line.answer()[0] == 100
    line.send(b"{}")
    assert line.answer()[0] == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_a_bound(line: Line, server: tuple[str, int], chunked: bool) -> None:
    """What is as large as it may be is taken; a byte more is 413, and the end of the connection."""
    head = POST + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n")

    def sent(size: int) -> bytes:
        if chunked:
            return head + b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
        return head % size + bytes(size)

    line.send(sent(LARGEST))
    assert line.answer()[0] == 200
    with line_to(server) as other:
        other.send(sent(LARGEST + 1))
        assert (other.answer()[0], other.ended()) == (413, True)


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET version HTTP/1.1\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        VERSION[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /version?" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        VERSION[:-2] + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        VERSION[:-2] + b"X: y\r\n" * 20_000 + b"\r\n",
    ],
    ids=["tls", "path", "length", "smuggled", "upgrade", "long-line", "long-header", "many-headers"],
)
def test_what_is_no_request_is_refused(line: Line, server: tuple[str, int], bytes_: bytes) -> None:
    """With 400 where that can still be heard, and the end of the connection; others are served on."""
    line.send(bytes_)
    with suppress(ConnectionResetError):
        assert line.answer()[0] == 400
    assert line.ended()
    with httpx.Client(base_url=f"http://{server[0]}:{server[1]}") as client:
        assert client.get("/version").status_code == 200


def test_who_leaves_in_the_middle_disturbs_nobody(line: Line, server: tuple[str, int]) -> None:
    """Half a head, and half a body: the next client is answered."""
    line.send(VERSION[:-10])
    with line_to(server) as other:
        other.send(POST + b"Content-Length: 10\r\n\r\nhalf")
    with line_to(server) as third:
        third.send(VERSION)
        assert third.answer()[0] == 200
