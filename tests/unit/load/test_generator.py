"""The generator's process: what it records, how it is stopped, and how it ends with whoever started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path

import numpy as np
import pytest
from load_web import OK, Web, says, unused_port, web

from harness.core.errors import ResourceError, UsageError
from harness.core.wait import NotYet, wait_for
from harness.judge0.model import Address, Program, Route
from harness.load.generator.generator import GeneratorError, generate
from harness.load.generator.ticks import ticker
from harness.load.model import SECOND, Order, Outcome, Tick, Workload
from harness.load.protocol.plain import open_plain, workload
from harness.load.recorder import Recorder
from harness.load.schedule import constant


def order(server: Web, rate: float = 200, seconds: float = 1.0) -> Order:
    """A plain load on a server."""
    return Order(
        Route("judge0", "wait", server.address),
        workload(answer="ok"),
        constant(rate, seconds),
        timeout=5,
        drain=5,
    )


def test_every_arrival_is_recorded_in_its_order() -> None:
    """With times that follow one another, and ticks that count up to the end."""
    ticks: list[Tick] = []
    with web(says(OK)) as server:
        recording = generate(order(server), on_tick=ticks.append, open_protocol=open_plain)
        assert len(server.requests) == 200
    samples = recording.samples
    assert np.array_equal(samples["intended"], constant(200, 1))
    assert set(samples["outcome"]) == {Outcome.OK}
    assert np.all(samples["intended"] <= samples["sent"])
    assert np.all(samples["sent"] <= samples["ended"])
    assert (recording.partial, recording.messages) == ("", {})
    assert recording.cpu_seconds > 0
    assert (ticks[-1].begun, ticks[-1].ended, ticks[-1].errors, ticks[-1].in_flight) == (200, 200, 0, 0)
    assert [one.ended for one in ticks] == sorted(one.ended for one in ticks)


def test_ctrl_c_does_not_end_a_generator_that_is_still_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the first one, for which multiprocessing starts a process of its own and unblocks signals."""
    start = SpawnProcess.start

    def start_and_interrupt(process: SpawnProcess) -> None:
        start(process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)

    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # the next is the first
    monkeypatch.setattr(SpawnProcess, "start", start_and_interrupt)
    with web(says(OK)) as server:
        recording = generate(order(server, 20, 0.2), open_protocol=open_plain)
    assert set(recording.samples["outcome"]) == {Outcome.OK}


def test_a_wrong_answer_is_an_error_with_its_words() -> None:
    """However fast it came."""
    with web(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")) as server:
        recording = generate(order(server, 20, 0.2), open_protocol=open_plain)
    assert set(recording.samples["outcome"]) == {Outcome.WRONG}
    assert recording.messages == {"WRONG": ("another answer: no",)}


def test_a_server_that_dies_half_way_breaks_what_follows() -> None:
    """No exception: what was right before stays, the rest is broken."""
    served = [0]

    def serve(_head: bytes, made: socket.socket) -> bool:
        served[0] += 1
        if served[0] == 50:
            server.listener.shutdown(socket.SHUT_RDWR)
            server.listener.close()
        if served[0] >= 50:
            return False
        made.sendall(OK)
        return True

    with web(serve) as server:
        recording = generate(replace(order(server, 100, 1), connections=1), open_protocol=open_plain)
    outcomes = recording.samples["outcome"].tolist()
    assert outcomes[:49] == [Outcome.OK] * 49
    assert set(outcomes[49:]) == {Outcome.BROKEN}
    assert len(outcomes) == 100
    assert all(text.startswith("broken:") for text in recording.messages["BROKEN"])


def test_a_run_that_is_stopped_returns_what_there_is_and_says_partial() -> None:
    """Long before its schedule ends."""
    stop = threading.Event()

    def serve(_head: bytes, made: socket.socket) -> bool:
        if len(server.requests) >= 20:
            stop.set()
        made.sendall(OK)
        return True

    with web(serve) as server:
        recording = generate(order(server, 100, 600), stop=stop, open_protocol=open_plain)
    assert recording.partial.startswith("stopped after ")
    assert 20 <= len(recording.samples) < 60_000
    assert np.sum(recording.samples["outcome"] == Outcome.OK) >= 19


def test_what_is_in_flight_at_the_end_is_unfinished() -> None:
    """It is not waited for beyond the drain."""
    gate = threading.Event()
    with web(lambda _head, _made: gate.wait(20)) as server:
        try:
            recording = generate(replace(order(server, 10, 0.3), drain=0.1), open_protocol=open_plain)
        finally:
            gate.set()
    assert recording.samples["outcome"].tolist() == [Outcome.UNFINISHED] * 3
    assert recording.samples["ended"].tolist() == [-1] * 3


def test_a_closed_loop_goes_on_for_its_time() -> None:
    """Arrivals are as many as the server allows; each begins when one ended."""
    with web(says(OK)) as server:
        wanted = replace(order(server), loop="closed", clients=2, seconds=0.5, arrivals=np.zeros(0, np.int64))
        recording = generate(wanted, open_protocol=open_plain)
    samples = recording.samples
    assert len(samples) > 2
    assert recording.peak_connections == 2
    assert np.all(samples["intended"][2:] >= np.sort(samples["ended"])[:-2])


def test_a_target_that_refuses_is_an_error_that_names_it() -> None:
    """Before anything is sent."""
    port = unused_port()
    refused = Order(Route("judge0", "wait", Address("tcp", "127.0.0.1", port)), workload(), constant(10, 1))
    with pytest.raises(ResourceError, match=rf"refuses connections at 127\.0\.0\.1:{port}"):
        generate(refused, open_protocol=open_plain)


def failing(*_given: object, **_named: object) -> object:
    """A talk that cannot be opened, in the process."""
    raise ZeroDivisionError("what went wrong")


def dying(*_given: object, **_named: object) -> object:
    """A process that ends without a word."""
    os._exit(7)


def test_the_process_tells_its_own_traceback() -> None:
    """And where it cannot, how it ended."""
    with web(says(OK)) as server:
        with pytest.raises(GeneratorError, match="ZeroDivisionError: what went wrong"):
            generate(order(server), open_protocol=failing)  # type: ignore[arg-type]
        with pytest.raises(GeneratorError, match="without a message: exit code 7"):
            generate(order(server), open_protocol=dying)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"arrivals": np.zeros(0, np.int64)}, "no arrivals"),
        ({"arrivals": np.array([5, 3], np.int64)}, "ascending"),
        ({"connections": 0}, "0 connections"),
        ({"timeout": 0}, "timeout of more than 0"),
        ({"loop": "closed"}, "1 client or more"),
    ],
)
def test_an_order_that_cannot_be_is_refused(change: dict[str, object], problem: str) -> None:
    """Before a process is started."""
    good = Order(Route("judge0", "wait", Address("tcp", "127.0.0.1", 1)), workload(), constant(10, 1))
    with pytest.raises(UsageError, match=problem):
        generate(replace(good, **change), open_protocol=open_plain)  # type: ignore[arg-type]


PARENT = """
import sys
from harness.load.generator.generator import generate
from harness.judge0.model import Address, Route
from harness.load.model import Order
from harness.load.schedule import constant
from harness.load.protocol.plain import open_plain, workload
if __name__ == "__main__":
    route = Route("judge0", "wait", Address("tcp", "127.0.0.1", int(sys.argv[1])))
    generate(Order(route, workload(), constant(50, 600)), open_protocol=open_plain)
"""


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    """Even one that is killed: no connection stays open."""
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with web(says(OK)) as server:
        port = server.listener.getsockname()[1]
        with subprocess.Popen([sys.executable, str(script), str(port)]) as parent:
            _until(lambda: len(server.requests) >= 5, "requests", parent)
            child = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            parent.kill()
        _until(lambda: not any(map(_alive, child)), "its processes to end")


def _alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _until(so: Callable[[], bool], awaited: str, process: subprocess.Popen[bytes] | None = None) -> None:
    def probe() -> None:
        assert process is None or process.poll() is None
        if not so():
            raise NotYet("not yet")

    wait_for(awaited, probe, deadline=30)


def test_a_tick_tells_of_the_last_second_only() -> None:
    """Quantiles in ms; counts since the start."""
    wanted = Order(Route("judge0", "wait", Address("tcp", "x")), workload(), constant(10, 1))
    record = Recorder(10)
    tick = ticker(wanted, record, 1000)
    assert np.isnan(tick(1000).p50)
    record.begin(0, 0)
    record.sent(0, 2_000_000)
    record.done(0, Outcome.OK, 8_000_000)
    record.begin(1, 100_000_000)
    told = tick(1000 + SECOND // 4)
    assert (told.at, told.due, told.begun, told.ended, told.in_flight) == (0.25, 3, 2, 1, 1)
    assert (told.p50, told.p99, told.late_p99) == (8.0, 8.0, 2.0)
    for _ in range(4):
        told = tick(1000 + SECOND)
    assert told.due == 10
    assert np.isnan([told.p50, told.p99, told.late_p99]).all()


def test_submissions_are_judged_by_default() -> None:
    """The talk with Judge0 is the one that is taken by itself."""
    body = b'{"token":"t","status":{"id":3},"stdout":"aGVsbG8K","time":"0.01","wall_time":"0.02"}'
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    program = Program("hello", "python", "print('hello')", stdout="hello")
    with web(says(answer)) as server:
        route = Route("judge0", "wait", server.address, ids={"python": 71})
        recording = generate(Order(route, Workload("one", (program,)), constant(50, 0.2), timeout=5))
        assert all(b"/submissions?" in head for head in server.requests)
    assert recording.samples["outcome"].tolist() == [Outcome.OK] * 10
    assert recording.samples["status"].tolist() == [3] * 10
