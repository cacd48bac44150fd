"""The engine against real servers on loopback, one behaviour of a server at a time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from load_web import OK, Web, says, unused_port, web

from harness.core.errors import ResourceError
from harness.judge0.model import NEVER, Address
from harness.load.engine import Answer, Engine
from harness.load.engine.deadlines import FOREVER, SLOT_BITS, Deadlines
from harness.load.engine.responses import Responses
from harness.load.model import SECOND
from tests.bench.judge0_tls import certificates

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
MS = SECOND // 1000


def asked(
    address: Address,
    count: int = 1,
    *,
    gap_ms: int = 20,
    connections: int = 8,
    timeout: float = 5.0,
    request: bytes = GET,
    ahead: int = 0,
) -> tuple[list[Answer], Engine]:
    """Answers to ``count`` requests, one each ``gap_ms``; the engine is closed by then."""
    engine = Engine(address, connections=connections, timeout=timeout)
    answers: list[Answer] = []
    try:
        engine.connect(ahead)
        engine.run(
            np.arange(count, dtype=np.int64) * gap_ms * MS,
            lambda _number, _intended: engine.ask(request, answers.append),
            over=lambda: len(answers) == count,
            drain=10,
        )
    finally:
        engine.close()
    return answers, engine


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["length", "chunked", "1xx first", "no content"],
)
def test_a_connection_is_kept_whatever_form_an_answer_has(answer: bytes, body: bytes) -> None:
    """Three requests, one connection, all answers whole."""
    with web(says(answer)) as server:
        answers, _ = asked(server.address, 3, connections=1)
        assert [one.body for one in answers] == [body] * 3
        assert [one.error for one in answers] == [""] * 3
        assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
    ids=["length", "until the end", "HTTP/1.0"],
)
def test_a_connection_that_is_to_be_closed_is_replaced(answer: bytes) -> None:
    """Each request has one of its own."""
    with web(says(answer, keep=False)) as server:
        answers, _ = asked(server.address, 3)
        assert [(one.status, one.body, one.error) for one in answers] == [(200, b"ok", "")] * 3
        assert server.connections == 3


def test_a_large_body_each_way_arrives_whole() -> None:
    """More than any buffer holds."""
    size = 3_000_000
    body = b"x" * size
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + body
    with web(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)) as server:
        answers, _ = asked(server.address, 2, request=request, gap_ms=1)
        assert [one.body for one in answers] == [body, body]
        assert all(one.endswith(body) for one in server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half the chunks", "not HTTP"],
)
def test_a_connection_that_breaks_is_reported_and_the_request_not_repeated(answer: bytes) -> None:
    """It may have been taken, so it is sent once."""
    with web(says(answer, keep=False)) as server:
        ((status, body, sent, answered, error),) = asked(server.address)[0]
        assert (status, body) == (0, b"")
        assert 0 <= sent <= answered
        assert error.startswith("broken:")
        assert len(server.requests) == 1


def test_an_idle_connection_that_the_server_closed_is_replaced_silently() -> None:
    """The second request goes over another connection, and nobody hears of it."""
    with web(says(OK, keep=False)) as server:
        engine = Engine(server.address)
        answers: list[Answer] = []

        def again() -> None:
            """Once the server has closed, and the loop has had a turn to see it."""
            if server.closed:
                engine.later(MS, lambda: engine.ask(GET, answers.append))
            else:
                engine.later(MS, again)

        def begin(_number: int, _intended: int) -> None:
            engine.ask(GET, answers.append)
            again()

        engine.connect(1)
        engine.run(np.zeros(1, np.int64), begin, over=lambda: len(answers) == 2, drain=20)
        engine.close()
        assert [one.error for one in answers] == ["", ""]
        assert server.connections == 2


def test_no_answer_in_time_is_a_timeout_counted_from_the_intended_start() -> None:
    """Both the request that is under way and the one that waits for its connection."""
    with web(lambda _head, _made: time.sleep(3) is None) as server:
        answers, engine = asked(server.address, 2, gap_ms=1, connections=1, timeout=0.2)
        assert [one.error.partition(":")[0] for one in answers] == ["timeout", "timeout"]
        assert [one.sent == NEVER for one in answers].count(True) == 1
        assert all(one.answered >= 0.2 * SECOND for one in answers)
        assert engine.starved == 1


def test_requests_beyond_the_limit_queue_in_order() -> None:
    """One connection carries all, first come first served."""
    gate = threading.Event()
    requests = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(6)]

    def serve(_head: bytes, made: socket.socket) -> bool:
        gate.wait(5)
        made.sendall(OK)
        return True

    with web(serve) as server:
        engine = Engine(server.address, connections=1)
        answers: list[Answer] = []
        engine.connect(1)
        engine.later(50 * MS, gate.set)
        engine.run(
            np.zeros(6, np.int64),
            lambda number, _: engine.ask(requests[number], answers.append),
            over=lambda: len(answers) == 6,
        )
        engine.close()
        assert [head.split()[1] for head in server.requests] == [b"/%d" % number for number in range(6)]
        assert (engine.starved, engine.peak_connections) == (5, 1)


def test_a_target_that_refuses_is_reported_before_the_clock_starts() -> None:
    """Ahead of the run it is an error; within it an answer that is broken."""
    address = Address("tcp", "127.0.0.1", unused_port())
    with pytest.raises(ResourceError, match=r"refuses connections at 127\.0\.0\.1"):
        asked(address, ahead=1)
    answers, _ = asked(address, 2)
    assert [one.error.startswith("broken: connecting:") for one in answers] == [True, True]
    assert [one.sent for one in answers] == [NEVER, NEVER]


def test_a_unix_socket_is_spoken_to(tmp_path: Path) -> None:
    """Dialled in a thread, used in the loop."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "s"))
    listener.listen()
    with web(says(OK), listener) as server:
        answers, _ = asked(server.address, 3, connections=1)
        assert [one.body for one in answers] == [b"ok"] * 3
        assert server.connections == 1
    with pytest.raises(ResourceError, match="refuses connections"):
        asked(Address("unix", str(tmp_path / "none")), ahead=1)


@pytest.mark.parametrize("size", [2, 300_000], ids=["small", "many records"])
def test_tls_is_spoken_and_not_verified(size: int, tmp_path: Path) -> None:
    """A certificate of nobody will do; an answer of many records arrives whole."""
    for name, content in certificates("droplet").items():
        (tmp_path / name).write_bytes(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size
    plain = socket.create_server(("127.0.0.1", 0))
    listener = context.wrap_socket(plain, server_side=True)
    with web(says(answer), listener) as server:
        answers, _ = asked(replace(server.address, tls=True, host_header="droplet"), 3, connections=1)
        assert [(one.error, len(one.body)) for one in answers] == [("", size)] * 3
        assert server.connections == 1


def test_a_socks_proxy_is_passed_through() -> None:
    """The target's name is the proxy's to resolve."""
    with web(says(OK)) as server:
        with _socks(server) as (proxy, wanted):
            answers, _ = asked(Address("socks", "judge0.test", 80, proxy=proxy), 2)
        assert [one.body for one in answers] == [b"ok"] * 2
        assert wanted == [b"judge0.test"]


class _socks:  # noqa: N801 (a context manager, used as a function)
    """A SOCKS5 proxy that leads everyone to one server."""

    def __init__(self, server: Web) -> None:
        self._target = server.listener.getsockname()
        self._wanted: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> tuple[str, list[bytes]]:
        threading.Thread(target=self._serve, daemon=True).start()
        host, port = self._listener.getsockname()
        return f"{host}:{port}", self._wanted

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        made, _ = self._listener.accept()
        made.recv(64)
        made.sendall(b"\x05\x00")
        request = made.recv(256)
        self._wanted.append(request[5 : 5 + request[4]])
        made.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        target = socket.create_connection(self._target)
        threading.Thread(target=_pump, args=(made, target), daemon=True).start()
        _pump(target, made)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError), source, sink:  # whichever way ends first closes both
        while data := source.recv(65536):
            sink.sendall(data)


def test_a_closed_loop_has_as_many_in_flight_as_clients() -> None:
    """Never more, and the next begins when one ended."""
    with web(says(OK)) as server:
        engine = Engine(server.address, connections=3)
        ended, begun, most = [0], [0], [0]

        def then(_answer: Answer) -> None:
            ended[0] += 1

        def begin(_number: int, _intended: int) -> None:
            begun[0] += 1
            most[0] = max(most[0], begun[0] - ended[0])
            engine.ask(GET, then)

        engine.connect(0)
        whole = engine.run_closed(3, 60, begin, ended=lambda: ended[0], most=200, drain=5)
        engine.close()
        assert (whole, begun[0], ended[0], most[0]) == (True, 200, 200, 3)


def test_what_is_asked_of_a_stalled_server_waits_from_its_intended_start() -> None:
    """Coordinated omission: 500 a second for 2 s, the server stands still for 0.5 s in between.

    With 20 connections most arrivals of the stall are not even sent within it; every one must be counted
    from when it was due, so it ends after the stall, and only once.
    """
    gate, stall = threading.Event(), []
    gate.set()

    def serve(_head: bytes, made: socket.socket) -> bool:
        gate.wait(10)
        made.sendall(OK)
        return True

    def hold() -> None:
        gate.clear()
        stall.append(engine.now())
        engine.later(SECOND // 2, release)

    def release() -> None:
        stall.append(engine.now())
        gate.set()

    with web(serve) as server:
        engine = Engine(server.address, connections=20)
        arrivals = np.arange(1000, dtype=np.int64) * 2 * MS
        answers: dict[int, Answer] = {}
        engine.connect(20)
        engine.later(SECOND // 2, hold)
        engine.run(
            arrivals,
            lambda number, _: engine.ask(GET, _noted(answers, number)),
            over=lambda: len(answers) == 1000,
        )
        engine.close()
    begin, end = stall
    within = [number for number in range(1000) if begin < arrivals[number] < end]
    assert len(within) >= 240
    assert all(answers[number].answered - arrivals[number] >= end - arrivals[number] for number in within)
    assert not any(one.error for one in answers.values())
    hidden = [number for number in within if answers[number].sent >= end]
    assert len(hidden) > len(within) / 2
    assert engine.starved >= len(hidden)


def _noted(answers: dict[int, Answer], number: int) -> Callable[[Answer], None]:
    def then(answer: Answer) -> None:
        assert number not in answers
        answers[number] = answer

    return then


def test_deadlines_come_in_time_and_only_if_not_lifted() -> None:
    """Late by one slot at most, never early."""
    told: list[str] = []

    class Who:
        def __init__(self, name: str) -> None:
            self.name = name

        def expire(self) -> None:
            told.append(self.name)

    deadlines, slot = Deadlines(), 1 << SLOT_BITS
    one, two, three = Who("one"), Who("two"), Who("three")
    deadlines.add(one, 5 * slot + 7)
    deadlines.add(two, 2 * slot)
    deadlines.add(three, 2 * slot + 1)
    deadlines.lift(two, 2 * slot)
    deadlines.lift(two, 77 * slot)
    deadlines.expire(3 * slot - 1)
    assert told == []
    assert deadlines.next() == 3 * slot
    deadlines.expire(3 * slot)
    assert told == ["three"]
    deadlines.expire(6 * slot)
    assert told == ["three", "one"]
    assert deadlines.next() == FOREVER


@pytest.mark.parametrize("cut", range(1, 60))
def test_responses_are_read_wherever_they_are_cut(cut: int) -> None:
    """A head or a chunk may come in any two pieces."""
    whole = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    responses = Responses()
    assert [responses.feed(whole[:cut]), responses.feed(whole[cut:])] == [False, True]
    assert (responses.status, responses.body, responses.keep) == (201, b"abc", True)


def test_two_answers_to_one_request_make_a_connection_useless() -> None:
    """The second would be taken for the answer to whatever is asked next."""
    responses = Responses()
    assert responses.feed(OK + OK)
    assert not responses.keep


def test_a_connection_of_which_the_server_said_that_it_ends_is_not_used_again() -> None:
    """Even if it is still open when the next request is due."""
    with web(says(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")) as server:
        answers, _ = asked(server.address, 3, connections=1)
        assert [one.body for one in answers] == [b"ok"] * 3
        assert server.connections == 3
