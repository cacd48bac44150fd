"""Servers and workers that are told to stop, as in a rolling update or when a service is scaled down."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from app_names import balancer, connecting, wait_for_answer, wait_until_known, wait_until_working
from docker.models.containers import Container
from judge0_stack import APP, Stack, create, run, show, wait_for_all

from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

BASH = 46


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Databases; each test starts its own servers and workers."""
    with Stack() as stack:
        yield stack


@pytest.fixture
def server(stack: Stack) -> Iterator[Container]:
    """A server that answers."""
    container = stack.start_server()
    try:
        with connecting(f"http://{stack.address(container)}:2358") as client:
            wait_for_answer(client, "/workers")
        yield container
    finally:
        container.remove(force=True, v=True)


def wait_until_running(client: httpx.Client, *tokens: str) -> None:
    """Until workers have taken all of these."""

    def probe() -> None:
        found = [item["status"]["description"] for item in show(client, *tokens, fields="status")]
        if set(found) != {"Processing"}:
            raise NotYet(str(found))

    wait_for("submissions to be run", probe, deadline=60)


def test_a_server_that_stops_answers_what_it_was_asked(stack: Stack, server: Container) -> None:
    """A submission that is waited for, and a request that is only half sent by then."""
    address = stack.address(server)
    with (
        connecting(f"http://{address}:2358") as client,
        stack.worker(COUNT="1"),
        ThreadPoolExecutor(2) as pool,
        socket.create_connection((address, 2358), timeout=30) as slow,
    ):
        waited = pool.submit(run, client, BASH, "sleep 3; echo done")
        wait_for_answer(client, "/version")
        slow.sendall(b"GET /version HTTP/1.1\r\nHost: server\r\n")
        server.kill("SIGTERM")
        slow.sendall(b"\r\n")
        assert b" 200 OK" in slow.recv(4096)
        assert waited.result()["stdout"] == "done\n"
    assert server.wait(timeout=30)["StatusCode"] == 0


def test_a_server_that_stops_answers_whoever_still_comes(stack: Stack, server: Container) -> None:
    """On connections made before and after it was told to stop; then no more, and it ends well."""
    address = (stack.address(server), 2358)
    with ExitStack() as context:
        before = [context.enter_context(socket.create_connection(address, timeout=30)) for _ in range(10)]
        server.kill("SIGTERM")
        after = [context.enter_context(socket.create_connection(address, timeout=30)) for _ in range(10)]
        for connection in (*before, *after):
            connection.sendall(b"GET /version HTTP/1.1\r\nHost: server\r\n\r\n")
        answers = [connection.recv(4096) for connection in (*before, *after)]
    assert all(b" 200 OK" in answer for answer in answers), answers
    assert server.wait(timeout=30)["StatusCode"] == 0


def test_a_balancer_that_stops_hands_on_the_answer_it_waits_for(stack: Stack, server: Container) -> None:
    """A submission that is waited for is answered though the balancer was told to stop meanwhile."""
    with (
        balancer(stack) as (container, client),
        connecting(f"http://{stack.address(server)}:2358") as direct,
        stack.worker(COUNT="1"),
        ThreadPoolExecutor(1) as pool,
    ):
        wait_until_known(client, stack.address(server))
        waited = pool.submit(run, client, BASH, "sleep 3; echo done")
        wait_until_working(direct, 1)
        container.stop(timeout=30)
        assert waited.result()["stdout"] == "done\n"


def test_every_process_of_a_server_stops_in_peace(stack: Stack) -> None:
    """WEB_CONCURRENCY=3: whichever process has the request answers it, and the container ends well."""
    server = stack.start_server({"WEB_CONCURRENCY": "3"})
    try:
        with (
            connecting(f"http://{stack.address(server)}:2358") as client,
            stack.worker(COUNT="6"),
            ThreadPoolExecutor(6) as pool,
        ):
            wait_for_answer(client, "/workers")
            waited = [pool.submit(run, client, BASH, f"sleep 3; echo {number}") for number in range(6)]
            wait_until_working(client, 6)
            server.kill("SIGTERM")
            assert [each.result()["stdout"] for each in waited] == [f"{number}\n" for number in range(6)]
        assert server.wait(timeout=30)["StatusCode"] == 0
    finally:
        server.remove(force=True, v=True)


def test_workers_that_stop_lose_nothing_and_run_nothing_twice(stack: Stack) -> None:
    """Three of five stop and run on beyond their lease. MAX_ATTEMPTS=1: to run it again is an error."""
    only = {"JUDGE0_VERSION": "scaled", "MAX_ATTEMPTS": "1", "WORKER_LEASE": "1", "COUNT": "1"}
    with stack.server({"JUDGE0_VERSION": "scaled"}) as client:
        workers = [stack.start_worker(**only) for _ in range(5)]
        try:
            tokens = [create(client, BASH, f"sleep {6 - number}; echo {number}") for number in range(6)]
            tokens += [create(client, BASH, f"echo {number}") for number in range(6, 12)]
            wait_until_working(client, 5)
            with ThreadPoolExecutor(3) as pool:
                list(pool.map(lambda worker: worker.stop(timeout=20), workers[:3]))
            found = wait_for_all(client, *tokens)
            [told] = client.get("/workers").json()
        finally:
            for worker in workers:
                worker.remove(force=True, v=True)
    assert [item["stdout"] for item in found] == [f"{number}\n" for number in range(12)]
    assert (told["available"], told["working"], told["size"]) == (2, 0, 0)


def test_a_worker_without_time_hands_back_what_it_runs(stack: Stack) -> None:
    """STOP_SECONDS are over: it is In Queue as if nobody had tried, so that MAX_ATTEMPTS=2 leaves two."""
    only = {"JUDGE0_VERSION": "handed", "MAX_ATTEMPTS": "2", "WORKER_LEASE": "1", "COUNT": "1"}
    with stack.server({"JUDGE0_VERSION": "handed"}) as client:
        with stack.worker(STOP_SECONDS="1", **only) as first:
            token = create(client, BASH, "sleep 5; echo done")
            wait_until_running(client, token)
            first.stop(timeout=20)
            assert first.wait()["StatusCode"] == 0
            [left] = show(client, token)
        assert left["status"]["description"] == "In Queue"
        with stack.worker(**only) as second:
            wait_until_running(client, token)
            second.kill()
        with stack.worker(**only):
            [found] = wait_for_all(client, token)
    assert (found["status"]["description"], found["stdout"]) == ("Accepted", "done\n")


def test_a_worker_needs_one_capability(stack: Stack) -> None:
    """CAP_SYS_ADMIN, as a swarm gives it; limits are kept by control groups all the same."""
    with stack.server({"JUDGE0_VERSION": "alone"}) as client:
        worker = stack.start_worker(JUDGE0_VERSION="alone", COUNT="1")
        try:
            found = run(client, BASH, "echo works")
            logs = worker.logs().decode()
        finally:
            worker.remove(force=True, v=True)
    assert found["stdout"] == "works\n"
    assert "no control groups" not in logs


@pytest.mark.parametrize("name", ["runner", "judge0"])
def test_the_health_check_tells_one_that_answers_from_one_that_does_not(
    stack: Stack, server: Container, name: str
) -> None:
    """The image's own program: well where the port answers, also with 404, unwell where nobody listens."""
    script = (APP / name / "healthy").read_text()

    def check(port: str, path: str) -> int:
        return int(server.exec_run(["bash", "-c", script, "healthy", port, path]).exit_code)

    assert check("2358", "/version") == 0
    assert check("2358", "/nothing") == 0
    assert check("4000", "/version") != 0
