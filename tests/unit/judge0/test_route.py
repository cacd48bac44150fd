"""From a deployment to a route: which address, which way, and why; and what there is no route for."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from detect_samples import answering, master, reference, released

from harness.core.errors import CheckFailedError, EngineError, UsageError
from harness.judge0 import route as routes
from harness.judge0.api import IDS
from harness.judge0.client import Judge0
from harness.judge0.model import Address
from harness.judge0.route import callback_base, judge0_route, open_route
from harness.run.session import Session
from harness.target.target import Target
from harness.topology import load
from harness.topology.deployment import Deployment, Node
from harness.topology.model import Checks, RunnerEndpoint, Topology

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
PROXY = "socks5://127.0.0.1:1080"
UNIX = Address("unix", "/run/way")


@cache
def plan(name: str) -> Topology:
    """One of the plan's topologies, read once."""
    return load(TOPOLOGIES / f"{name}.yaml")


def setup_of(name: str = "standard", *, proxy: str | None = PROXY, **checks: Any) -> Session:
    """A deployment of a topology; what would touch a machine is missing."""
    topology = plan(name)
    topology = dataclasses.replace(topology, checks=dataclasses.replace(topology.checks, **checks))
    nodes = {
        each: Node(each, number, "active", f"203.0.113.{number}", f"10.0.0.{number}")
        for number, each in enumerate(topology.droplets, 1)
    }
    target = Target("local", "https://127.0.0.1:1", "token", proxy=proxy)
    nothing: Any = None
    deployment = Deployment(nodes=nodes, **_others(Deployment))
    return Session(nothing, target, topology, deployment, nothing)


def answered(request: httpx.Request) -> httpx.Response:
    """What the released Judge0 answers."""
    try:
        return httpx.Response(200, json=answering()(request.url.raw_path.decode()))
    except CheckFailedError as error:
        return httpx.Response(400, text=str(error))


def _others(kind: Any) -> dict[str, Any]:
    """None for every field that a test has no use for."""
    return {each.name: None for each in dataclasses.fields(kind) if each.name != "nodes"}


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No ssh: every way leads to /run/way. What was opened and closed."""
    told: list[str] = []

    @contextmanager
    def socket_to(_session: Session, endpoint: Any) -> Iterator[Path]:
        told.append(f"open {endpoint.service or endpoint.node}:{endpoint.port}")
        try:
            yield Path("/run/way")
        finally:
            told.append("close")

    def over_socket(_: Path) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(answered), base_url="http://judge0")

    monkeypatch.setattr(routes, "socket_to", socket_to)
    monkeypatch.setattr(routes, "over_socket", over_socket)
    return told


def test_the_front_door_is_reached_as_users_reach_it() -> None:
    """Through the emulator's proxy, or straight in a cloud; in the topology's own words."""
    with open_route(setup_of(), "client") as (route, capabilities):
        assert route.address == Address("socks", "203.0.113.1", 80, proxy="127.0.0.1:1080")
        assert (route.path, route.request["language"]) == ("/api/run", "language")
        assert route.reply["status"] == "status.description"
        assert capabilities is None
    cloud = setup_of(proxy=None)
    nodes = {"client": Node("client", 1, "active", "10.9.9.9", None)}
    cloud = dataclasses.replace(cloud, deployment=dataclasses.replace(cloud.deployment, nodes=nodes))
    assert routes.client_route(cloud).address == Address("tcp", "10.9.9.9", 80)


def test_documentation_addresses_are_not_loaded_without_a_proxy() -> None:
    """Packets for them would leave this machine."""
    with (
        pytest.raises(EngineError, match="documentation address"),
        open_route(setup_of(proxy=None), "client"),
    ):
        pass


@pytest.mark.parametrize(("name", "where"), [("standard", "runner:4000"), ("swarm", "runner-api:4000")])
def test_the_runner_is_asked_where_it_listens(sockets: list[str], name: str, where: str) -> None:
    """At the front door's path; the way there is closed afterwards."""
    with open_route(setup_of(name), "runner") as (route, capabilities):
        assert (route.entry_point, route.mode, route.path) == ("runner", "wait", "/api/run")
        assert route.address == Address("unix", "/run/way", host_header="runner")
        assert capabilities is None
        assert sockets == [f"open {where}"]
    assert sockets == [f"open {where}", "close"]


@pytest.mark.parametrize("entry_point", ["client", "runner"])
def test_front_doors_have_one_mode(sockets: list[str], entry_point: Any) -> None:
    """They answer when the program has ended."""
    with (
        pytest.raises(UsageError, match="use wait, or --entry-point judge0"),
        open_route(setup_of(), entry_point, "poll"),
    ):
        pass
    with open_route(setup_of(), entry_point, "wait") as (route, _):
        assert "answers when the program has ended" in route.why
    assert len(sockets) % 2 == 0


def test_judge0_is_recognised_before_it_is_loaded(sockets: list[str]) -> None:
    """What it is decides the way, and the report can say why."""
    with open_route(setup_of(), "judge0", "wait", token="secret") as (route, capabilities):
        assert capabilities == released()
        assert (route.mode, route.headers, route.batch) == ("poll", {"X-Auth-Token": "secret"}, 20)
        assert route.timestamps == released().timestamps
        assert "past queue and workers" in route.why
        assert "no disable_implicit_base64_encoding" in route.why
    assert sockets == ["open judge0-lb:2358", "close"]


@pytest.mark.parametrize(
    ("entry_point", "missing", "words"),
    [
        ("client", "front_door", "add checks.front_door"),
        ("runner", "runner", "add checks.runner"),
        ("runner", "front_door", "add checks.front_door"),
        ("judge0", "judge0", "add checks.judge0"),
    ],
)
def test_an_entry_point_that_the_topology_does_not_know_is_an_error(
    entry_point: Any, missing: str, words: str
) -> None:
    """With the key that is missing."""
    gone: Any = {missing: None}
    if (entry_point, missing) == ("runner", "front_door"):  # and nothing of its own
        gone["runner"] = RunnerEndpoint("runner", 4000, "client")
    with pytest.raises(UsageError, match=words), open_route(setup_of(**gone), entry_point):
        pass
    assert Checks().runner is None


def test_the_way_follows_what_is_found() -> None:
    """The reference one and master may be waited for; fields are those that it has."""
    assert judge0_route(UNIX, reference(), "wait").mode == "wait"
    assert judge0_route(UNIX, master(), None).timestamps[-1] == "started_at"
    assert judge0_route(UNIX, released(), "batch").mode == "batch"
    assert judge0_route(UNIX, released(), None).ids == IDS


def test_callbacks_are_heard_at_an_address_of_this_machine() -> None:
    """At a free port, and under a path that is this run's own."""
    first, second = (callback_base("http://127.0.0.1") for _ in range(2))
    assert urlsplit(first).hostname == "127.0.0.1"
    assert urlsplit(first).port
    assert urlsplit(first).path != urlsplit(second).path
    route = judge0_route(UNIX, released(), "callback", callback_url="http://127.0.0.1")
    assert (route.mode, route.callback_base.count("/")) == ("callback", 3)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "firewalls let workers reach only"),
        ("https://127.0.0.1:4444", "like http://10.0.0.9:4444"),
        ("127.0.0.1:4444", "like http://10.0.0.9:4444"),
        ("http://127.0.0.1:99999", "out of range"),
        ("http://203.0.113.9:4444", "name an address of this machine"),
    ],
)
def test_a_callback_address_that_cannot_be_is_told(url: str, words: str) -> None:
    """Before the run, with what would be right."""
    with pytest.raises(UsageError) as caught:
        callback_base(url)
    assert words in " ".join(str(caught.value).lower().split()).replace("The", "the")


def test_a_port_that_is_taken_is_told() -> None:
    """By whoever has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="cannot listen there"):
            callback_base(f"http://127.0.0.1:{port}")


def test_judge0_is_asked_with_the_token() -> None:
    """And a refusal is told with what was asked."""
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("X-Auth-Token"))
        return httpx.Response(200, content=json.dumps([1])) if len(asked) < 3 else httpx.Response(401)

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://judge0") as client:
        client.headers["X-Auth-Token"] = "secret"
        assert Judge0(client).get("/about") == [1]
        del client.headers["X-Auth-Token"]
        assert Judge0(client).get("/about") == [1]
        with pytest.raises(CheckFailedError, match="GET /about: 401"):
            Judge0(client).get("/about")
    assert asked == ["secret", None, None]
