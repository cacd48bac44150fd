"""Clients that mean harm, on real sockets: half requests, endless ones, floods, and garbage."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.api import server as server_module
from emulator.api.app import Api
from emulator.api.bodies import MOST_BODY
from emulator.api.guard import Limits
from emulator.api.tls import server_files
from emulator.cloud.core import Cloud
from emulator.planes.memory import MemoryPlane

SHORT = Limits(head_seconds=0.3, body_seconds=0.3, unread_seconds=0.3, idle_seconds=30)
PATIENT = Limits(connections=8)


@contextmanager
def serving(cloud: Cloud, limits: Limits, **tls: str) -> Iterator[int]:
    """Serve a cloud in a thread; the port."""
    sock = server_module.listen("127.0.0.1", 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # what nobody reads soon comes to the server
    server = server_module.Server(server_module._config(server_module._asgi(Api(cloud)), limits, **tls))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def account() -> Iterator[Cloud]:
    """A cloud to be attacked."""
    cloud = Cloud(None, MemoryPlane(), transitions="immediate")
    cloud.start()
    yield cloud
    cloud.close()


@pytest.fixture(scope="module")
def hurried(account: Cloud) -> Iterator[int]:
    """The port of a server that waits a third of a second for what must come."""
    with serving(account, SHORT) as port:
        yield port


@pytest.fixture(scope="module")
def steady(account: Cloud) -> Iterator[int]:
    """The port of a server with the usual times, and room for eight."""
    with serving(account, PATIENT) as port:
        yield port


def connect(port: int) -> socket.socket:
    """A connection; twenty seconds of silence are an error, so that nothing hangs."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def everything(client: socket.socket) -> bytes:
    """What the server says until it hangs up, however it does that."""
    said = b""
    try:
        while more := client.recv(65536):
            said += more
    except ConnectionResetError:
        pass
    return said


def answer(client: socket.socket) -> bytes:
    """One answer of a connection that stays."""
    said = b""
    while not said.endswith(b"}"):
        more = client.recv(65536)
        assert more, said
        said += more
    return said


def pushed(client: socket.socket, part: bytes, most: int) -> int:
    """How many bytes the server takes, part by part, before it breaks off."""
    sent = 0
    try:
        while sent < most:
            client.sendall(part)
            sent += len(part)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return sent


def refused(said: bytes) -> tuple[int, str]:
    """Status and id of an error in DigitalOcean's shape."""
    head, _, body = said.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert set(told) >= {"id", "message"}, told
    return int(head.split()[1]), told["id"]


@pytest.mark.parametrize(
    "half",
    [
        b"G",
        b"GET /v2/account HTTP/1.1\r\n",
        b"GET /v2/account HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST /_wavetank/health HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        b"POST /_wavetank/health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
    ],
)
def test_half_a_request_is_timed_out(hurried: int, half: bytes) -> None:
    """408, and the connection ends."""
    with connect(hurried) as client:
        client.sendall(half)
        assert refused(everything(client)) == (408, "request_timeout")


def test_a_request_that_trickles_is_timed_out(hurried: int) -> None:
    """A byte now and then wins no time: it is counted from the first."""
    with connect(hurried) as client:
        client.settimeout(0.05)
        said, byte = b"", iter(b"GET /v2/account HTTP/1.1\r\nX: " + b"x" * 400)
        while not said:
            try:
                client.sendall(bytes([next(byte)]))
                said = client.recv(65536)
            except TimeoutError:
                continue
        assert refused(said)[0] == 408


def test_who_never_reads_is_cut_off(hurried: int, account: Cloud) -> None:
    """Answers that pile up are not kept for ever."""
    ask = b"GET /v2/sizes?per_page=200 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n"
    with socket.socket() as client:
        # Before it connects: where a window shrinks while answers come, the kernel drops what acknowledges.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", hurried))
        assert pushed(client, ask % account.account.token.encode(), 64 * MOST_BODY) < 64 * MOST_BODY


def test_an_idle_connection_is_left_alone(hurried: int, account: Cloud) -> None:
    """Between requests a client may pause for longer than a request may take."""
    headers = {"Authorization": f"Bearer {account.account.token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{hurried}", headers=headers, trust_env=False) as client:
        assert client.get("/v2/account").status_code == 200
        with connect(hurried) as other:  # ends no sooner than the time for half a request is over
            other.sendall(b"G")
            everything(other)
        before = client._transport._pool.connections  # type: ignore[attr-defined]
        assert [connection.is_idle() for connection in before] == [True]
        assert client.get("/v2/account").status_code == 200
        assert client._transport._pool.connections == before  # type: ignore[attr-defined]


def test_without_the_token_no_body_is_read(steady: int) -> None:
    """The answer is there before the body is: 401, whatever was going to come."""
    for size in (600 * 1024**2, 100):
        with connect(steady) as client:
            client.sendall(b"POST /v2/tags HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            head = client.recv(65536)
            assert head.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("way", ["length", "chunks"])
def test_a_flood_is_cut_off(steady: int, way: str) -> None:
    """Without a token little more than a body's worth is taken off the wire."""
    kind = b"Content-Length: 629145600" if way == "length" else b"Transfer-Encoding: chunked"
    part = b"x" * 65536
    with connect(steady) as client:
        client.sendall(b"POST /v2/tags HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % kind)
        one = part if way == "length" else b"10000\r\n%b\r\n" % part
        assert pushed(client, one, 64 * MOST_BODY) < 64 * MOST_BODY


@pytest.mark.parametrize("way", ["length", "chunks"])
def test_a_body_that_is_too_large_is_refused_early(steady: int, account: Cloud, way: str) -> None:
    """413 from what the head says, or from the part that has come."""
    kind = b"Content-Length: 629145600" if way == "length" else b"Transfer-Encoding: chunked"
    with connect(steady) as client:
        client.sendall(
            b"POST /v2/tags HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n%b\r\n\r\n"
            % (account.account.token.encode(), kind)
        )
        if way == "chunks":
            client.sendall(b"%x\r\n%b\r\n" % (MOST_BODY + 1, b"x" * (MOST_BODY + 1)))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(9000)) + b"\r\n", 431),
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET http://[::1/v2 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_what_is_not_http_or_too_long_is_refused(steady: int, sent: bytes, status: int) -> None:
    """In DigitalOcean's shape, and the connection ends."""
    with connect(steady) as client:
        client.sendall(sent)
        assert refused(everything(client))[0] == status


@pytest.mark.parametrize("host", [b"[::1", b"a:99999", b"a\r\nHost: b", b"\xff", b"a/b"])
def test_a_malformed_host_is_a_bad_request(steady: int, account: Cloud, host: bytes) -> None:
    """It was a 500, and not in DigitalOcean's shape."""
    token = account.account.token.encode()
    head = b"GET /v2/sizes HTTP/1.1\r\nAuthorization: Bearer %b\r\nConnection: close\r\nHost: %b\r\n\r\n"
    with connect(steady) as client:
        client.sendall(head % (token, host))
        assert refused(everything(client)) == (400, "bad_request")


def test_connections_beyond_the_limit_are_refused(account: Cloud) -> None:
    """429, and those that are there go on; room that is given back is given to others."""
    with (
        serving(account, replace(PATIENT, connections=2)) as port,
        connect(port) as one,
        connect(port) as two,
    ):
        ask = b"GET /_wavetank/health HTTP/1.1\r\nHost: a\r\n\r\n"
        for each in (one, two):  # an answer says that the server has taken it
            each.sendall(ask)
            assert answer(each).startswith(b"HTTP/1.1 200 ")
        with connect(port) as third:
            assert refused(everything(third)) == (429, "too_many_requests")
        one.sendall(ask)
        assert answer(one).startswith(b"HTTP/1.1 200 ")


PIECES = st.lists(
    st.sampled_from(
        [
            b"GET ", b"POST ", b"/v2/account", b"/v2/tags/%00", b"/_wavetank/info", b"?page=",
            b" HTTP/1.1\r\n", b"\r\n", b"Host: a\r\n", b"Host: [::1\r\n", b"Content-Length: 5\r\n",
            b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n",
            b"0\r\n\r\n", b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n",
            b"Authorization: Bearer x\r\n", b"Authorization: ", b"\x00", b"Connection: close\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"{}", b"hello",
        ]
    )
    | st.binary(max_size=12),
    max_size=14,
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=PIECES)
def test_no_bytes_are_a_fault_of_ours(steady: int, pieces: list[bytes]) -> None:
    """Whatever comes: no 5xx, and the next client is answered."""
    with connect(steady) as client:
        client.sendall(b"".join(pieces))
        client.shutdown(socket.SHUT_WR)
        said = everything(client)
    statuses = [int(line.split()[1]) for line in said.split(b"\n") if line.startswith(b"HTTP/1.")]
    assert all(status < 500 for status in statuses), said
    with connect(steady) as client:
        client.sendall(b"GET /_wavetank/health HTTP/1.0\r\n\r\n")
        assert everything(client).startswith(b"HTTP/1.1 200 ")


def test_the_limits_hold_behind_tls(account: Cloud, tmp_path: Path) -> None:
    """The same on the port that speaks TLS."""
    certificate, key = server_files(tmp_path, "127.0.0.1")
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with serving(account, SHORT, ssl_certfile=str(certificate), ssl_keyfile=str(key)) as port:
        for half, status in ((b"GET /", 408), (b"GET /" + b"a" * 70_000, 431)):
            with closing(context.wrap_socket(connect(port), server_hostname="127.0.0.1")) as client:
                client.sendall(half)
                assert refused(everything(client))[0] == status
