"""The load balancer where servers are found by a name: they come, go, and lose their power."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from app_names import (
    asked,
    balancer,
    going,
    shares,
    wait_for_answer,
    wait_until_known,
    wait_until_listening,
)
from docker.models.containers import Container
from judge0_stack import Stack

pytestmark = pytest.mark.docker

# Takes each connection, reads what was asked, and goes without a word.
RUDE = """
import socket
listening = socket.create_server(("0.0.0.0", 2358))
while True:
    connection, _ = listening.accept()
    connection.recv(65536)
    connection.close()
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Databases; each test starts its own servers and balancer."""
    with Stack() as stack:
        yield stack


@contextmanager
def servers(stack: Stack, count: int) -> Iterator[list[Container]]:
    """So many servers; those that the test has removed may be gone."""
    found = [stack.start_server() for _ in range(count)]
    try:
        yield found
    finally:
        for server in found:
            server.remove(force=True, v=True)


def addresses(stack: Stack, *containers: Container) -> list[str]:
    return [stack.address(container) for container in containers]


def get(client: httpx.Client) -> httpx.Response:
    """A request that every server can answer."""
    return client.get("/version").raise_for_status()


def test_two_servers_get_the_same_share(stack: Stack) -> None:
    """Half of the requests each, to a tenth."""
    with servers(stack, 2) as both, balancer(stack) as (_, client):
        wait_until_known(client, *addresses(stack, *both))
        found = shares(client, 200)
    assert len(found) == 2
    assert min(found.values()) >= 80, found


def test_a_balancer_without_servers_says_so_and_finds_them_when_they_come(stack: Stack) -> None:
    """It starts all the same, answers in JSON and says that the request was sent to nobody."""
    with balancer(stack) as (container, client):
        answer = wait_for_answer(client, "/version", 502)
        assert answer.json() == {"error": "no Judge0 server answers"}
        assert "retry-after" in answer.headers
        with servers(stack, 1):
            assert wait_for_answer(client, "/version").text == "1.13.1"
        assert b"tasks.judge0-server has other addresses" in container.logs()


def test_servers_come_and_go_without_a_failed_request(stack: Stack) -> None:
    """A rolling update: a new server, then the old one is told to stop. Every request is answered."""
    with servers(stack, 2) as (old, other), balancer(stack) as (_, client):
        wait_until_known(client, *addresses(stack, old, other))
        with going(lambda: get(client)) as requests, servers(stack, 1) as [new]:
            wait_until_known(client, *addresses(stack, old, other, new))
            old.stop(timeout=20)
            wait_until_known(client, *addresses(stack, other, new))
            requests.wait_for(50)


def test_a_server_without_power_costs_few_requests_a_second_and_none_its_answer(stack: Stack) -> None:
    """Its address is still in the name. The balancer remembers that it failed, and asks the other at once."""
    with servers(stack, 2) as (dead, other), balancer(stack) as (_, client):
        wait_until_known(client, *addresses(stack, dead, other))
        stack.lose_power(dead)
        tried = [len(asked(get(client))) for _ in range(200)]
    assert tried.count(2) <= 20, tried


def test_a_server_that_hangs_and_dies_costs_no_answer(stack: Stack) -> None:
    """What it had taken is asked of the other, as nothing but looks is under way."""
    with servers(stack, 2) as (dead, other), balancer(stack) as (_, client):
        wait_until_known(client, *addresses(stack, dead, other))
        with going(lambda: get(client)) as requests:
            requests.wait_for(10)
            dead.pause()
            dead.kill()
            wait_until_known(client, stack.address(other))
            requests.wait_for(50)


def test_what_was_sent_is_never_sent_again(stack: Stack) -> None:
    """A server that dies over a submission: 502 in JSON, without the word that it may be sent again."""
    with balancer(stack) as (_, client):
        rude = stack.start_server(command=["python3", "-c", RUDE])
        try:
            wait_until_known(client, stack.address(rude))
            wait_until_listening(stack.address(rude), 2358)
            answer = client.post("/submissions", json={"language_id": 46, "source_code": "true"})
        finally:
            rude.remove(force=True, v=True)
    assert (answer.status_code, answer.json()) == (502, {"error": "no Judge0 server answers"})
    assert "retry-after" not in answer.headers
