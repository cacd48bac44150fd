"""Names instead of addresses: the client follows the runner, and the runner follows the load balancer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import yaml
from app_names import SWARM_CONF, connecting, going, wait_for_answer, wait_until_working
from docker.models.containers import Container
from judge0_stack import APP, Stack

from emulator.docker.engine import execute
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

MONGO_URL = "mongodb://doadmin:secret@mongo:27017/defaultdb?authSource=admin&tls=true"
Judge0 = tuple[Stack, httpx.Client]

RUNNER = {
    "JUDGE0_URL": "http://judge0-lb:2358",
    "MONGO_URL": MONGO_URL,
    "MONGO_CA_FILE": "ca.pem",
    "JUDGE0_TIMEOUT": "5",
    "JUDGE0_PATIENCE": "50",
}


@pytest.fixture(scope="module")
def judge0() -> Iterator[Judge0]:
    """Databases, two servers and two workers; the rest is started by the test."""
    with Stack() as stack, ExitStack() as context:
        stack.mongo()
        for _ in range(2):
            server = context.enter_context(stack.server())
            context.enter_context(stack.worker(COUNT="2"))
        yield stack, server


@pytest.fixture
def stack(judge0: Judge0) -> Stack:
    """The same, where nothing is asked of a server directly."""
    return judge0[0]


def start(context: ExitStack, stack: Stack, name: str, environment: Mapping[str, str] = RUNNER) -> Container:
    """A runner, balancer or client, for as long as `context` lasts."""
    files = {"nginx.conf": SWARM_CONF.read_bytes()} if name == "judge0-lb" else {}
    given = environment if name == "runner" else {"RUNNER_API_URL": "http://runner:4000"}
    return context.enter_context(stack.service(name, given, files))


@contextmanager
def front_door(stack: Stack, url: str = "http://runner:4000", **options: Any) -> Iterator[httpx.Client]:
    """The client, as a client of it that makes a connection for each request."""
    with (
        stack.service("client", {"RUNNER_API_URL": url}, **options) as container,
        connecting(f"http://{stack.address(container)}") as client,
    ):
        wait_for_answer(client, "/healthz")
        yield client


def handed_in(client: httpx.Client, source: str, expected: str) -> dict[str, Any]:
    """A program handed in at the front door; it must have run well and be in the history."""
    answer = client.post("/api/run", json={"language": "bash", "source": source})
    assert answer.status_code == 200, answer.text
    found = dict(answer.json())
    assert (found["status"]["description"], found["stdout"]) == ("Accepted", expected), found
    assert found["id"], found
    return found


def test_a_client_that_starts_first_finds_the_runner_when_it_comes(stack: Stack) -> None:
    """Until then it answers in JSON that the runner cannot be reached."""
    with front_door(stack) as client, ExitStack() as context:
        answer = wait_for_answer(client, "/api/languages", 502)
        assert answer.json()["error"]["service"] == "runner"
        start(context, stack, "runner")
        wait_for_answer(client, "/api/languages")


def test_a_client_takes_an_address_as_well(stack: Stack) -> None:
    """As in the standard topology, where there is no name."""
    with ExitStack() as context:
        runner = start(context, stack, "runner")
        client = context.enter_context(front_door(stack, f"http://{stack.address(runner)}:4000/"))
        assert wait_for_answer(client, "/api/languages?x=a%20b").json()["languages"]


@pytest.mark.parametrize("url", ["", "runner:4000", "http://runner:4000/api", "http://run ner", "http://a;b"])
def test_a_client_refuses_what_is_no_address_of_a_runner(stack: Stack, url: str) -> None:
    """It ends at once and says what would be right."""
    with stack.service("client", {"RUNNER_API_URL": url}) as container:
        assert container.wait(timeout=30)["StatusCode"] == 1
        assert f"RUNNER_API_URL={url} must be" in container.logs().decode()


def test_the_runner_moves_without_a_failed_request(stack: Stack) -> None:
    """Another runner takes over while programs are handed in; what the first one runs it finishes."""
    with ExitStack() as context:
        start(context, stack, "judge0-lb")
        first = start(context, stack, "runner")
        client = context.enter_context(front_door(stack))
        wait_for_answer(client, "/api/languages")
        with going(lambda: handed_in(client, "sleep 0.5; echo on", "on\n"), threads=3) as requests:
            requests.wait_for(3)
            second = start(context, stack, "runner")
            wait_until_healthy(second)
            first.stop(timeout=60)
            requests.wait_for(6)
        assert first.wait()["StatusCode"] == 0


def wait_until_healthy(runner: Container) -> None:
    """Until its own health check says so, as a swarm waits."""

    def probe() -> None:
        code, output = execute(runner.client, runner.id, ["healthy", "4000", "/healthz"])
        if code:
            raise NotYet(output.decode())

    wait_for("the runner to be healthy", probe, deadline=60)


@pytest.mark.parametrize("dies", [False, True], ids=["stops", "loses power"])
def test_a_balancer_that_moves_costs_no_submission(judge0: Judge0, dies: bool) -> None:
    """What was created is waited for, and what could not be is created when there is one again."""
    stack, server = judge0
    with ExitStack() as context:
        first = start(context, stack, "judge0-lb")
        start(context, stack, "runner")
        client = context.enter_context(front_door(stack))
        wait_for_answer(client, "/api/languages")
        pool = context.enter_context(ThreadPoolExecutor(6))
        created = [pool.submit(handed_in, client, "sleep 5; echo ran", "ran\n") for _ in range(3)]
        wait_until_working(server, 3)
        # One that lost its power stays in the name, beside the one that takes its place.
        stack.lose_power(first) if dies else first.stop(timeout=30)
        uncreated = [pool.submit(handed_in, client, "echo ran", "ran\n") for _ in range(3)]
        start(context, stack, "judge0-lb")
        for each in (*created, *uncreated):
            each.result()


def test_a_runner_without_a_balancer_says_so_in_time(stack: Stack) -> None:
    """JUDGE0_PATIENCE, then an error that names who could not be reached and for how long it was tried."""
    with ExitStack() as context:
        start(context, stack, "runner", {**RUNNER, "JUDGE0_PATIENCE": "2"})
        client = context.enter_context(front_door(stack))
        wait_for_answer(client, "/api/languages")
        answer = client.post("/api/run", json={"language": "bash", "source": "true"})
    assert answer.status_code == 502
    assert answer.json()["error"]["service"] == "judge0"
    assert "cannot be reached" in answer.json()["error"]["message"]
    assert "tried for 2 s" in answer.json()["error"]["message"]


def test_a_runner_that_loses_its_power_in_the_midst_of_an_answer_is_told_as_such(judge0: Judge0) -> None:
    """As soon as the kernel has noticed. The compose file says when that is; it is as soon as can be here."""
    stack, server = judge0
    compose = yaml.safe_load((APP / "client/docker-compose.yml").read_text())
    sysctls = dict.fromkeys(compose["services"]["client"]["sysctls"], "1")
    with ExitStack() as context:
        start(context, stack, "judge0-lb")
        runner = start(context, stack, "runner")
        client = context.enter_context(front_door(stack, sysctls=sysctls))
        wait_for_answer(client, "/api/languages")
        pool = context.enter_context(ThreadPoolExecutor(1))
        code = {"language": "bash", "source": "sleep 9"}
        asked = pool.submit(client.post, "/api/run", json=code)
        wait_until_working(server, 1)
        stack.lose_power(runner)
        answer = asked.result()
    assert answer.status_code == 502
    assert answer.json()["error"]["service"] == "runner"
