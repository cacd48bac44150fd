"""The checks of the front door, on an application that is not ours: what is right, and what is found out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from other_app import OtherApp, Seen, serving

from harness.checks import test_front_door as checks
from harness.core.paths import PROJECT
from harness.target.target import Target
from harness.topology import load
from harness.topology.model import FrontDoor
from harness.topology.validation.application import imagined

STANDARD = load(PROJECT / "topologies/standard.yaml")
HERE = Target("local", "", "")
DEPLOYMENT: Any = SimpleNamespace(nodes={"client": SimpleNamespace(public_ip="127.0.0.1")})


class Echo(OtherApp):
    """It answers TRACE with the request, as a server does that was not told otherwise."""

    def answer(self, asked: Seen) -> tuple[int, Any]:
        """Headers and all."""
        return (200, asked.headers) if asked.method == "TRACE" else super().answer(asked)


@pytest.fixture
def door() -> Iterator[FrontDoor]:
    """The front door of an application that answers TRACE with a page."""
    with serving(OtherApp()) as app:
        yield FrontDoor("client", "/api/run", {}, {}, port=app.port)


def test_an_answer_to_trace_is_right_if_it_does_not_echo(door: FrontDoor) -> None:
    """A page for every method is no fault."""
    checks.test_port_80_speaks_http(HERE, door, DEPLOYMENT)


def test_an_echo_is_found_out() -> None:
    """With the headers that a script of another site could read that way."""
    with serving(Echo()) as app:
        door = FrontDoor("client", "/api/run", {}, {}, port=app.port)
        with pytest.raises(AssertionError, match="TRACE is echoed: 200"):
            checks.test_port_80_speaks_http(HERE, door, DEPLOYMENT)


@pytest.mark.parametrize(
    ("scheme", "location", "right"),
    [
        ("https", "https://code.example/", True),
        ("https", "http://code.example/login", False),
        ("http", "https://code.example/", False),
    ],
)
def test_plain_text_may_lead_to_tls_where_that_is_the_front_doors(
    scheme: Any, location: str, right: bool
) -> None:
    """A front door in plain text has to serve the page itself."""
    answer = httpx.Response(301, headers={"location": location})
    assert checks.leads_to_tls(answer, FrontDoor("client", "/", {}, {}, scheme=scheme)) is right
    assert not checks.leads_to_tls(httpx.Response(200), FrontDoor("client", "/", {}, {}, scheme=scheme))


def test_tls_is_asked_for_by_the_applications_name() -> None:
    """And what speaks TLS only has no page in plain text."""
    with serving(OtherApp(), tls=True) as app:
        door = FrontDoor("client", "/", {}, {}, scheme="https", port=app.port, server_name="code.example")
        checks.test_port_443_speaks_tls(HERE, door, DEPLOYMENT)
    assert app.names[0] == "code.example"


def probed(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the standard deployment from outside; its port 443 is in this state, what is open serves."""
    address = "203.0.113.1"

    def from_here(_: Target, asked: Any) -> dict[Any, str]:
        found = dict.fromkeys(asked, "filtered")
        return {**found, (address, 80): "open", (address, 443): state}

    nodes = imagined(STANDARD).nodes
    public = {
        name: replace(node, public_ip=f"203.0.113.{each}")
        for each, (name, node) in enumerate(nodes.items(), 1)
    }
    monkeypatch.setattr(checks, "from_here", from_here)
    outsider = replace(HERE, info={"internet_proxy": "socks5://127.0.0.1:1"})
    published: dict[str, set[int]] = {name: set() for name in nodes}
    deployment: Any = SimpleNamespace(nodes=public)
    checks.test_only_the_front_door_answers_the_internet(
        outsider, deployment, STANDARD, {**published, "client": {80, 443}}
    )


def test_a_port_that_the_intent_names_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Firewalls that open it to nobody's advantage are no front door."""
    probed("open", monkeypatch)
    with pytest.raises(AssertionError, match="nothing listens there"):
        probed("closed", monkeypatch)
    with pytest.raises(AssertionError):
        probed("filtered", monkeypatch)


def test_a_range_of_ports_says_nothing_of_what_listens() -> None:
    """Nor do all of them, as where members of a swarm are not covered."""
    flow = next(each for each in STANDARD.intent if each.ports == "443")
    wide = tuple(replace(flow, ports=each) for each in ("0", "8000-9000", "443"))
    plan = replace(STANDARD, intent=wide)
    assert [each.ports for each in checks.opened_by_name(plan, ["client"])] == ["443"]
    assert list(checks.opened_by_name(plan, ["runner"])) == []
