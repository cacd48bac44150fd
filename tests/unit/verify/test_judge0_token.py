"""Who does not know Judge0's token is refused; and its workers are counted without asking it."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from harness.core.errors import InconclusiveError
from harness.core.paths import PROJECT
from harness.topology import load
from harness.topology.model import Topology
from harness.verify.judge0_token import admitted, token_headers
from harness.verify.kinds import has

STANDARD = load(PROJECT / "topologies/standard.yaml")
TOKEN = "let-me-in"
NAMES = ["X-Auth-Token"]


def with_headers(**headers: str) -> Topology:
    """The standard topology, whose Judge0 has these headers."""
    judge0 = STANDARD.checks.judge0
    assert judge0 is not None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(STANDARD, checks=replace(STANDARD.checks, judge0=replace(judge0, headers=named)))


class FakeJudge0:
    """A Judge0 that wants a token on all paths but those in ``free``."""

    def __init__(self, *free: str, strict: bool = True) -> None:
        self.free, self.strict = free, strict
        self.posted: list[bytes] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """401 as the real one's, else anything."""
        if request.method == "POST":
            self.posted.append(request.content)
        given = request.headers.get("x-auth-token")
        right = given == TOKEN or (not self.strict and given is not None)
        if right or request.url.path in self.free:
            return httpx.Response(422 if request.method == "POST" else 200, json={})
        return httpx.Response(401)

    def client(self, token: str = TOKEN) -> httpx.Client:
        """A client that knows the token."""
        transport = httpx.MockTransport(self.answer)
        return httpx.Client(transport=transport, base_url="http://judge0", headers={"X-Auth-Token": token})


def test_who_does_not_know_the_token_is_refused_everywhere() -> None:
    """Nothing that could be run is sent, and the client knows its token afterwards."""
    judge0 = FakeJudge0()
    with judge0.client() as client:
        assert list(admitted(client, NAMES)) == []
        assert client.get("/about").status_code == 200
    assert judge0.posted == [b"{}", b"{}"]


def test_a_path_that_is_open_to_everybody_is_named() -> None:
    """One that runs programs above all: that it finds the program wanting shows that it would have run."""
    with FakeJudge0("/submissions", "/about").client() as client:
        found = list(admitted(client, NAMES))
    assert found == [
        "GET /about with no X-Auth-Token answers 200, not 401",
        "POST /submissions with no X-Auth-Token answers 422, not 401",
        "GET /about with a wrong X-Auth-Token answers 200, not 401",
        "POST /submissions with a wrong X-Auth-Token answers 422, not 401",
    ]


def test_any_token_will_not_do() -> None:
    """A Judge0 that only looks whether there is one admits everybody."""
    with FakeJudge0(strict=False).client() as client:
        assert [each for each in admitted(client, NAMES) if "a wrong" not in each] == []
        assert len(list(admitted(client, NAMES))) == 4


def test_a_judge0_that_refuses_us_shows_nothing() -> None:
    """It might be down, or the topology's token wrong."""
    with FakeJudge0().client("old") as client, pytest.raises(InconclusiveError, match="answers 401"):
        list(admitted(client, NAMES))


def test_the_check_is_for_a_judge0_that_has_a_token() -> None:
    """Headers that only say how an answer is to look do not count."""
    assert token_headers(STANDARD) == []
    assert token_headers(replace(STANDARD, checks=replace(STANDARD.checks, judge0=None))) == []
    plan = with_headers(X_Auth_Token=TOKEN, Accept="application/json")
    assert token_headers(plan) == NAMES == has(plan)["judge0_token"]
