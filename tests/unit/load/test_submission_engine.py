"""Talks on the real engine and recorder, against a Judge0 on loopback that remembers and judges at once."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from submission_samples import MS, WORKLOAD, FakeJudge0, route

from harness.judge0.model import Address, SubmissionMode
from harness.judge0.requests import Request
from harness.judge0.route import callback_base
from harness.load.engine import Engine
from harness.load.model import SECOND, Outcome
from harness.load.protocol.opening import open_protocol
from harness.load.recorder import Recorder
from harness.load.workload import choose

COUNT = 120


class Server(ThreadingHTTPServer):
    """A `FakeJudge0` behind a socket; it calls back at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.judge0 = FakeJudge0(ready=2)
        self.lock = threading.Lock()


def call_back(url: str, body: str) -> None:
    """As Judge0 does."""
    where = urlsplit(url)
    with closing(HTTPConnection(where.hostname or "", where.port, timeout=20)) as connection:
        connection.request("PUT", where.path, body)
        assert connection.getresponse().status == 200


class Handler(BaseHTTPRequestHandler):
    """Hands requests on."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Also for `do_POST`."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            found: Any = self.server.judge0(Request(self.command, self.path, body))
        status, document = found
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        url = json.loads(body).get("callback_url") if body else None
        if url:
            call_back(url, json.dumps(self.server.judge0.told(document["token"])))

    do_POST = do_GET  # noqa: N815 (the library's own name)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One for all tests of this module."""
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def recorded(mode: SubmissionMode, port: int) -> Recorder:
    """`COUNT` arrivals at 400 a second, each followed to its end."""
    base = callback_base("http://127.0.0.1") if mode == "callback" else ""
    address = Address("tcp", "127.0.0.1", port)
    taken = route(mode, address, callback_base=base)
    record, chosen = Recorder(COUNT), choose(WORKLOAD, COUNT)
    record.programs(chosen)
    with closing(Engine(address, connections=16, timeout=20.0)) as engine:
        protocol = open_protocol(taken, WORKLOAD, chosen, record, engine, timeout=20.0)

        def begin(number: int, intended: int) -> None:
            record.begin(number, intended)
            protocol.begin(number, intended)

        engine.connect(1)
        arrivals = np.arange(COUNT, dtype=np.int64) * (SECOND // 400)
        engine.run(arrivals, begin, over=lambda: record.ended == COUNT, drain=20.0)
        protocol.finish()
    return record


@pytest.mark.parametrize("mode", ["wait", "poll", "batch", "callback"])
def test_every_arrival_is_followed_to_its_end(server: Server, mode: SubmissionMode) -> None:
    """By real requests: in order intended, sent, accepted, ended, and right."""
    record = recorded(mode, server.server_address[1])
    samples = record.samples()
    assert set(samples["outcome"]) == {Outcome.OK}, record.messages()
    assert set(samples["status"]) == {3, 11}
    assert (samples["intended"] <= samples["sent"]).all()
    assert (samples["sent"] < samples["accepted"]).all()
    assert (samples["sent"] < samples["ended"]).all()
    if mode != "callback":
        assert (samples["accepted"] <= samples["ended"]).all()
    assert set(samples["judged_us"]) == {60_000}


def test_a_server_that_is_gone_breaks_arrivals_and_no_more() -> None:
    """Each is told, and the run goes on to its end."""
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
        address = Address("tcp", "127.0.0.1", port)
        with closing(Engine(address, connections=4, timeout=5.0)) as engine:
            record, chosen = Recorder(4), choose(WORKLOAD, 4)
            protocol = open_protocol(route("wait", address), WORKLOAD, chosen, record, engine)
            engine.connect(1)
            once.close()
            arrivals = np.arange(4, dtype=np.int64) * 50 * MS

            def begin(number: int, intended: int) -> None:
                record.begin(number, intended)
                protocol.begin(number, intended)

            engine.run(arrivals, begin, over=lambda: record.ended == 4, drain=10.0)
            protocol.finish()
    assert set(record.samples()["outcome"]) == {Outcome.BROKEN}
    assert record.messages()["BROKEN"][0].startswith("broken:")
