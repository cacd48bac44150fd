"""The application's own requests: what is sent, repeated, kept from one to the next, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from other_app import OtherApp, serving

from harness.checks import test_requests as checks
from harness.core.errors import CheckFailedError
from harness.core.paths import PROJECT
from harness.judge0 import frontdoor
from harness.target.target import Target
from harness.topology import load
from harness.topology.model import AppRequest, FrontDoor, Topology
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.requests import evaluated
from harness.verify.kinds import has, parameters
from harness.verify.requests import Visit, labels, require_answer, wrong

STANDARD = load(PROJECT / "topologies/standard.yaml")
EMAIL = "{{ nonce }}@example.com"
SIGNUP = AppRequest("post", "/api/auth/signup", {"email": EMAIL, "age": 7}, 201, {"user": {"email": EMAIL}})
USER = AppRequest("get", f"/api/users/{EMAIL}", None, 200, {"success": True})
GONE = AppRequest("delete", f"/api/users/{EMAIL}")


def topology(*requests: AppRequest) -> Topology:
    """The standard one with these requests."""
    return replace(STANDARD, checks=replace(STANDARD.checks, requests=requests))


@pytest.fixture
def app() -> Iterator[OtherApp]:
    """The application."""
    with serving(OtherApp()) as running:
        yield running


@pytest.fixture
def client(app: OtherApp) -> Iterator[httpx.Client]:
    """A client for its front door."""
    door = FrontDoor("client", "/api/run", {}, {}, port=app.port)
    with frontdoor.open_client(Target("local", "", ""), "127.0.0.1", door) as made:
        yield made


def test_requests_are_made_in_order_and_can_be_repeated(app: OtherApp, client: httpx.Client) -> None:
    """With a nonce of its own each run finds what it made, and nothing of the run before."""
    plan = topology(SIGNUP, USER)
    for nonce in ("first", "second"):
        for number in range(2):
            require_answer(client, evaluated(plan, imagined(plan), number, nonce))
    assert list(app.accounts) == ["first@example.com", "second@example.com"]
    assert app.accounts["first@example.com"] == {"email": "first@example.com", "age": 7}
    with pytest.raises(CheckFailedError, match=r"POST /api/auth/signup: status 409, not 201; .*taken"):
        require_answer(client, evaluated(plan, imagined(plan), 0, "first"))


@pytest.mark.parametrize("order", [(1,), (2, 0, 1), (0, 1, 2, 0, 1, 2)])
def test_any_selection_is_answered_as_the_whole(
    order: tuple[int, ...], app: OtherApp, client: httpx.Client
) -> None:
    """What is before a request is made first, and nothing is made twice."""
    plan = topology(SIGNUP, replace(SIGNUP, status=409, expected=None), USER)
    visit = Visit(client, partial(evaluated, plan, imagined(plan), nonce="x"))
    session: Any = SimpleNamespace(topology=plan)
    for number in order:
        checks.test_request_is_answered(labels(plan.checks.requests)[number], session, visit)
    assert len(app.seen) == max(order) + 1


def test_each_request_has_its_own_answer(app: OtherApp, client: httpx.Client) -> None:
    """One that was answered wrongly stays so, and those after it are made all the same."""
    plan = topology(replace(SIGNUP, status=200), USER)
    visit = Visit(client, partial(evaluated, plan, imagined(plan), nonce="x"))
    assert visit.require_answer(1).status_code == 200
    for _ in range(2):
        with pytest.raises(CheckFailedError, match="status 201, not 200"):
            visit.require_answer(0)
    assert len(app.seen) == 2


def test_what_a_request_removes_is_gone(app: OtherApp, client: httpx.Client) -> None:
    """Each method is sent as what it is."""
    plan = topology(SIGNUP, GONE, replace(USER, status=404, expected={"success": False}))
    for number in range(3):
        require_answer(client, evaluated(plan, imagined(plan), number, "x"))
    assert [each.method for each in app.seen] == ["POST", "DELETE", "GET"]
    assert app.accounts == {}


def test_nobody_there_fails() -> None:
    """By name, and not as a crash."""
    with (
        httpx.Client(base_url="http://127.0.0.1:9") as other,
        pytest.raises(CheckFailedError, match="GET /a"),
    ):
        require_answer(other, AppRequest("get", "/a"))


@pytest.mark.parametrize(
    ("expected", "found", "problem"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 2, "d": 3}]}}, ""),
        ({"a": 1}, {"b": 1}, "the answer.a is None, not 1"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "the answer.a.b is 2, not 1"),
        ([1, 2], [1], "the answer is [1], not [1, 2]"),
        ([1, {"a": 1}], [1, {"a": 2}], "the answer[1].a is 2, not 1"),
        ({"a": True}, {"a": 1}, "the answer.a is 1, not True"),
        ({"a": 1}, [], "the answer is [], not {'a': 1}"),
    ],
)
def test_an_answer_must_have_what_is_expected_and_may_have_more(
    expected: Any, found: Any, problem: str
) -> None:
    """The place of the first difference is named."""
    request = AppRequest("get", "/", expected=expected)
    assert wrong(request, httpx.Response(200, json=found)) == problem


def test_a_page_is_no_json() -> None:
    """It will do where none is asked for."""
    page = httpx.Response(200, text="<html>")
    assert wrong(AppRequest("get", "/", expected={}), page) == "it is not JSON"
    assert wrong(AppRequest("get", "/"), page) == ""


def test_each_request_is_a_check_by_its_name() -> None:
    """As it is written; the second of the same has its number. Without any, there is no check."""
    plan = topology(SIGNUP, USER, SIGNUP)
    names = ["POST /api/auth/signup", f"GET /api/users/{EMAIL}", "POST /api/auth/signup (2)"]
    assert labels(plan.checks.requests) == names == parameters(plan)["app_request"]
    assert has(STANDARD)["app_request"] == []


def test_requests_are_read_from_the_file(tmp_path: Path) -> None:
    """The short form of what is expected, and the long one."""
    text = (PROJECT / "topologies/standard.yaml").read_text().replace("app: app", f"app: {STANDARD.app}")
    own = """\
checks:
  requests:
    - {post: /api/auth/signup, json: {email: "{{ nonce }}@example.com"}, expect: 201}
    - {get: /api/users, expect: {json: [{name: a}]}}
    - {delete: /api/users}
"""
    (tmp_path / "own.yaml").write_text(text.replace("checks:\n", own))
    assert load(tmp_path / "own.yaml").checks.requests == (
        AppRequest("post", "/api/auth/signup", {"email": EMAIL}, 201),
        AppRequest("get", "/api/users", None, 200, [{"name": "a"}]),
        AppRequest("delete", "/api/users"),
    )
