"""Real masters and workers of Locust, against a Judge0 on loopback."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from submission_samples import WORKLOAD, FakeJudge0, route

from harness.judge0.model import Address, SubmissionMode
from harness.judge0.requests import Request
from harness.load.locust import generator
from harness.load.locust.processes import WorkerProcesses
from harness.load.model import SECOND, Order, Outcome, Tick

COUNT = 240


class Server(ThreadingHTTPServer):
    """A `FakeJudge0` behind a socket."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.judge0 = FakeJudge0(ready=2)
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """Hands requests on."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Also for `do_POST`."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.server.lock:
            found: Any = self.server.judge0(Request(self.command, self.path, body))
        data = json.dumps(found[1]).encode()
        self.send_response(found[0])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

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


@pytest.fixture
def pids(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Of each process that was started, by name."""
    found: dict[str, int] = {}
    start = WorkerProcesses.start

    def noting(worker_processes: WorkerProcesses, name: str, *args: Any, **more: Any) -> None:
        start(worker_processes, name, *args, **more)
        found[name] = worker_processes.pid(name)

    monkeypatch.setattr(WorkerProcesses, "start", noting)
    return found


def order(server: Server, mode: SubmissionMode, rate: int) -> Order:
    """`COUNT` arrivals."""
    address = Address("tcp", "127.0.0.1", server.server_address[1])
    arrivals = np.arange(COUNT, dtype=np.int64) * SECOND // rate
    return Order(route(mode, address), WORKLOAD, arrivals, connections=16, timeout=20.0, drain=20.0)


def test_a_load_is_handed_in_by_two_workers_and_merged(server: Server, pids: dict[str, int]) -> None:
    """Each arrival once, in order, right; and nothing of Locust is left, nor was ever in this process."""
    before = len(server.judge0.looks)
    found = generator(2)(order(server, "poll", 200))
    samples = found.samples
    assert samples["intended"].tolist() == order(server, "poll", 200).arrivals.tolist()
    assert set(samples["outcome"]) == {Outcome.OK}, found.messages
    assert len(server.judge0.looks) - before == COUNT
    assert set(samples["status"]) == {3, 11}
    assert (samples["intended"] <= samples["sent"]).all()
    assert (samples["sent"] < samples["accepted"]).all()
    assert (samples["accepted"] < samples["ended"]).all()
    assert set(samples["judged_us"]) == {60_000}
    assert (found.partial, found.messages) == ("", {})
    assert found.seconds > 1.0
    assert found.cpu_seconds > 0
    assert sorted(pids) == ["master", "worker 0", "worker 1"]
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]
    assert not {"locust", "gevent"} & set(sys.modules)


def test_a_worker_that_dies_and_a_stop_leave_a_partial_recording(
    server: Server, pids: dict[str, int]
) -> None:
    """What the other one recorded is kept, and so is that the first one was lost."""
    stop, ticks = threading.Event(), list[Tick]()

    def look(tick: Tick) -> None:
        ticks.append(tick)
        if len(ticks) == 1:
            os.kill(pids["worker 0"], signal.SIGKILL)
        elif len(ticks) == 2:
            stop.set()

    found = generator(2)(order(server, "batch", 10), on_tick=look, stop=stop)
    outcomes = found.samples["outcome"]
    assert 0 < len(outcomes) < COUNT
    assert Outcome.OK in outcomes
    assert Outcome.UNFINISHED in outcomes
    assert "worker 0 was lost: killed by signal 9" in found.partial
    assert "stopped after" in found.partial
    assert 0 < ticks[0].begun <= ticks[1].begun < COUNT
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]
