"""A connection for each request, on this machine's loopback: what is sent, refused, cut and too late."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from harness.judge0.single import SingleUse, SingleUseClient

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server for one connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as peer:
                answer(peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def ask(port: int, *, read_timeout: float = 10) -> httpx.Response:
    """POST something there."""
    transport = SingleUse(None, seconds=5)
    timeout = httpx.Timeout(10, read=read_timeout)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=timeout) as client:
        return client.post("/run?x=1", json={"a": 1})


def read_all(peer: socket.socket) -> bytes:
    """A request up to the end of its body."""
    text = b""
    while not text.endswith(b'{"a":1}'):
        text += peer.recv(4096)
    return text


def test_a_request_arrives_whole_and_its_answer_too() -> None:
    """Path, query, body; status, headers, body."""
    said: list[bytes] = []

    def answer(peer: socket.socket) -> None:
        said.append(read_all(peer))
        peer.sendall(ANSWER)

    with server(answer) as port:
        response = ask(port)
    assert said[0].startswith(b"POST /run?x=1 HTTP/1.1\r\n")
    assert (response.status_code, response.json()) == (201, {})
    assert response.headers["content-type"] == "application/json"


def test_nobody_there_is_a_connection_that_was_not_made() -> None:
    """Nothing was sent, for certain."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError, match="refused"):
            ask(reserved.getsockname()[1])


def test_a_connection_that_ends_early_is_an_answer_that_did_not_come() -> None:
    """It may have been acted on."""
    with server(lambda peer: None) as port, pytest.raises(httpx.RemoteProtocolError):
        ask(port)


def test_a_server_that_speaks_no_tls_leaves_no_socket_open() -> None:
    """Nothing of the request was sent; whoever comes next meets no warning of what is still open."""
    with server(lambda peer: peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        transport = SingleUse(None, seconds=5, host="127.0.0.1")
        with (
            httpx.Client(base_url=f"https://code.example:{port}", transport=transport) as client,
            pytest.raises(httpx.ConnectError, match=f"no connection to 127.0.0.1:{port}"),
        ):
            client.get("/")
    gc.collect()


def test_silence_is_an_answer_that_did_not_come_either() -> None:
    """After the time given to it."""
    over = threading.Event()
    with server(lambda peer: (over.wait(10), None)[1]) as port:
        with pytest.raises(httpx.ReadTimeout):
            ask(port, read_timeout=0.05)
        over.set()


def test_connections_that_were_made_before_a_time_are_broken_off() -> None:
    """Whoever waits on them is told at once; a later one still gets its answer."""
    arrived, over = threading.Event(), threading.Event()
    ends: list[Exception] = []

    def hang(peer: socket.socket) -> None:
        read_all(peer)
        arrived.set()
        over.wait(10)

    def answer(peer: socket.socket) -> None:
        read_all(peer)
        client.break_off(between)
        peer.sendall(ANSWER)

    def ask_early() -> None:
        try:
            client.post("/run", json={"a": 1})
        except httpx.HTTPError as error:
            ends.append(error)

    with server(hang) as port, server(answer) as later:
        client = SingleUseClient(SingleUse(None, seconds=5), base_url=f"http://127.0.0.1:{port}", timeout=60)
        with client:
            waiting = threading.Thread(target=ask_early)
            waiting.start()
            assert arrived.wait(10)
            between = time.time()
            client.break_off(between)
            waiting.join(10)
            assert client.post(f"http://127.0.0.1:{later}/run", json={"a": 1}).status_code == 201
        over.set()
    assert [type(each) for each in ends] == [httpx.RemoteProtocolError]
