"""Who does not know Judge0's token is refused; and its workers are counted without asking it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from harness.core.errors import InconclusiveError
from harness.core.paths import PROJECT
from harness.judge0.client import Judge0
from harness.topology import load
from harness.topology.model import Topology
from harness.verify import workers
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


def processes(titles: list[str], directory: Path) -> int:
    """How many workers the script counts among these processes."""
    for number, title in enumerate(titles, 1):
        (directory / f"proc/{number}").mkdir(parents=True)
        (directory / f"proc/{number}/cmdline").write_bytes(title.replace("|", "\0").encode())
    script = workers.PROCESSES.replace("/proc/", f"{directory}/proc/")

    def run(node: str, given: str) -> str:
        assert (node, given) == ("worker-1", workers.PROCESSES)
        return subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60
        ).stdout

    access: Any = SimpleNamespace(run=run)
    return workers.worker_processes(access, ["worker-1"])["worker-1"]


@pytest.mark.parametrize(
    ("titles", "count"),
    [
        (["resque-2.0.0: Waiting for 1.13.1|", "resque-2.0.0: Forked 17 at 1700000000|",
          "resque-2.0.0: Processing 1.13.1 since 1700000000 [Job]|", "ruby|bin/rake|resque:workers|"], 2),
        (["sh|-c|grep resque-2.0.0: Waiting|", "python|worker.py|"], 0),
        ([], 0),
    ],
    ids=["workers", "others", "none"],
)  # fmt: skip
def test_workers_are_counted_by_their_processes(titles: list[str], count: int, tmp_path: Path) -> None:
    """Each once, whether it waits or has forked a child for a job; the child is not one more."""
    (tmp_path / "proc").mkdir()
    assert processes(titles, tmp_path) == count


class Asked:
    """A Judge0 that notes what it is asked."""

    def __init__(self, maintainer: str) -> None:
        self.paths: list[str] = []
        self._pages: dict[str, Any] = {
            "/about": {"version": "1.13.1", "maintainer": maintainer},
            "/config_info": {},
            "/workers": [{"available": 3}],
        }

    def judge0(self) -> Judge0:
        """A client for it."""
        transport = httpx.MockTransport(self._answer)
        return Judge0(httpx.Client(transport=transport, base_url="http://judge0"))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        return httpx.Response(200, json=self._pages[request.url.path])


@pytest.fixture
def access() -> Any:
    """Two nodes with two processes each."""
    return SimpleNamespace(run=lambda *_: "2\n")


def test_judge0s_own_list_of_workers_is_left_alone(access: Any) -> None:
    """Asking for it unregisters them; the reference one's stays as it is."""
    real, reference = Asked("Herman"), Asked("Wavetank")
    assert workers.count(real.judge0(), access, ["worker-1", "worker-2"]) == 4
    assert "/workers" not in real.paths
    assert workers.count(reference.judge0(), access, []) == 3
