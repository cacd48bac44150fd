"""What checks are written with: the front door, Judge0's API, probes, and the benchmark's arithmetic."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Callable, Iterator

import httpx
import pytest

from harness.core.errors import CheckFailedError, InconclusiveError, WaitTimeoutError
from harness.judge0 import frontdoor
from harness.judge0.client import Judge0
from harness.judge0.programs import DOUBLING
from harness.target.target import Target
from harness.topology.model import FrontDoor
from harness.verify.network import probe

DOOR = FrontDoor(
    node="client",
    path="/api/run",
    request={"lang": "language_id", "code": "source", "input": "stdin"},
    reply={"token": "token", "status": "status.description", "stdout": "out.text"},
)
HERE = Target("local", "", "")


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    """A client whose server is a function."""
    return httpx.Client(base_url="http://door", transport=httpx.MockTransport(answer))


def replying(status: str, text: str) -> httpx.Client:
    """A front door that always says the same."""
    body = {"token": "t", "status": {"description": status}, "out": {"text": text}}
    return client(lambda _: httpx.Response(200, json=body))


def test_the_door_is_asked_in_the_topologys_words() -> None:
    """The body's keys and the reply's paths are the topology's."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, json.loads(request.content)))
        return httpx.Response(
            200, json={"token": "t", "status": {"description": "Accepted"}, "out": {"text": "42\n"}}
        )

    told = frontdoor.double(client(answer), DOOR, "python", 21)
    assert asked == [("/api/run", {"lang": 71, "code": DOUBLING["python"], "input": "21"})]
    assert (told.token, told.status, told.stdout) == ("t", "Accepted", "42\n")


@pytest.mark.parametrize(
    ("status", "text"), [("Accepted", "41"), ("Wrong Answer", "42"), ("Internal Error", "")]
)
def test_a_wrong_answer_fails(status: str, text: str) -> None:
    """Only Accepted with the right output will do."""
    with pytest.raises(CheckFailedError, match="expected Accepted and 42"):
        frontdoor.double(replying(status, text), DOOR, "python", 21)


def test_an_answer_that_came_too_early_is_a_doubt() -> None:
    """A submission that still waits says nothing about the program."""
    with pytest.raises(InconclusiveError, match="still in the queue"):
        frontdoor.double(replying("In Queue", ""), DOOR, "python", 21)


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.Response(502, text="no runner"), "502 no runner"),
        (httpx.Response(200, text="<html>"), "not JSON"),
        (httpx.Response(200, json={"token": "t"}), "no 'status.description'"),
    ],
    ids=["error", "page", "shape"],
)
def test_a_door_that_answers_otherwise_fails(response: httpx.Response, said: str) -> None:
    """Refusals, pages and other shapes are told as what they are."""
    with pytest.raises(CheckFailedError, match=said):
        frontdoor.submit(client(lambda _: response), DOOR, "python", "21")


def test_a_door_that_does_not_answer_fails() -> None:
    """Nobody there is a failed check, not a crash."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(CheckFailedError, match="refused"):
        frontdoor.submit(client(answer), DOOR, "python", "21")


def judged(*rounds: int) -> Judge0:
    """A Judge0 whose one submission has these statuses, one a look."""
    statuses: Iterator[int] = iter(rounds)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201, json={"token": "t"})
        assert request.url.path == "/submissions/batch"
        found: dict[str, object] = {"token": "t", "status": {"id": next(statuses), "description": "?"}}
        found |= {"stdout": base64.b64encode(b"42\n").decode() + "\n", "stderr": None}
        return httpx.Response(200, json={"submissions": [found]})

    return Judge0(client(answer))


def test_judge0_is_polled_by_batch_until_it_has_judged() -> None:
    """In Queue and Processing are waited out; texts come decoded."""
    told = judged(1, 2, 3).run("print(42)", 71)
    assert (told.token, told.status, told.stdout, told.stderr) == ("t", 3, "42\n", "")


def test_judge0_that_never_judges_is_told_by_token() -> None:
    """The deadline passes with the submissions that lag."""
    with pytest.raises(WaitTimeoutError, match=r"last observed: t "):
        judged(*[2] * 100).run("print(42)", 71, deadline=0.2)


def test_judge0_that_forgets_fails() -> None:
    """A token that was given and is not known any more is a lost submission."""
    lost = client(lambda _: httpx.Response(200, json={"submissions": [None]}))
    with pytest.raises(CheckFailedError, match="does not know what it accepted: t"):
        Judge0(lost).wait(["t"])


def test_judge0_with_a_full_queue_is_a_doubt() -> None:
    """503 says nothing about whether programs are run rightly."""
    full = client(lambda _: httpx.Response(503, json={"error": "queue is full"}))
    with pytest.raises(InconclusiveError, match="queue is full"):
        Judge0(full).create("x", 71)


def test_ports_of_this_machine_are_told_apart() -> None:
    """A listener is open, a port without one is closed."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        listening, silent = server.getsockname(), reserved.getsockname()
        found = probe.from_here(HERE, [listening, silent])
    assert found == {listening: "open", silent: "closed"}


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("10.0.0.2 22 0 ", "open"),
        ("10.0.0.2 22 124 ", "filtered"),
        ("10.0.0.2 22 1 Connection refused", "closed"),
        ("10.0.0.2 22 1 No route to host", "filtered"),
    ],
)
def test_a_nodes_probe_is_read(line: str, state: str) -> None:
    """The four ways in which bash ends are four facts."""
    assert probe._read(line, "runner") == (("10.0.0.2", 22), state)


def test_a_broken_probe_is_a_doubt() -> None:
    """What is neither of them is no fact about a firewall."""
    with pytest.raises(InconclusiveError, match="Temporary failure in name resolution"):
        probe._read("db.example 25060 1 Temporary failure in name resolution", "client")


def test_a_control_must_be_open() -> None:
    """A vantage that does not see what must be open is not believed about the rest."""
    seen: dict[probe.Address, probe.State] = {("10.0.0.2", 22): "filtered"}
    with pytest.raises(InconclusiveError, match="proves nothing"):
        probe.require_control(seen, ("10.0.0.2", 22), "runner")
