"""The HTTP surface: tokens, errors, pages, limits, and what is not implemented."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import TOKEN, call

from emulator.api.app import Allowance, Api, all_routes
from emulator.api.coverage import table
from emulator.api.http import Request, Response, make_request
from emulator.api.operations import operations
from emulator.api.pages import page
from emulator.cloud import tags
from emulator.cloud.core import Cloud
from emulator.cloud.models import Tag

COVERAGE = Path(__file__).parents[3] / "docs" / "api-coverage.md"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
def test_without_the_token_nobody_gets_in(cloud: Cloud, header: dict[str, str]) -> None:
    """Not even to the emulator's own paths."""
    for path in ("/v2/account", "/_wavetank/info", "/v2/nowhere"):
        response = Api(cloud).handle(make_request("GET", f"https://localhost{path}", header, b""))
        assert response.status == 401
        assert response.body["id"] == "Unauthorized"
        assert response.body["message"] == "Unable to authenticate you"
    assert Api(cloud).handle(make_request("GET", "http://h/_wavetank/health", header, b"")).status == 200


def test_with_the_token_everyone_does(cloud: Cloud) -> None:
    """It is the account's."""
    header = {"authorization": f"Bearer {cloud.account.token}"}
    assert Api(cloud).handle(make_request("GET", "http://h/v2/account", header, b"")).status == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe", b"{'name': 1}"])
def test_what_is_not_a_json_object_is_a_bad_request(cloud: Cloud, body: bytes) -> None:
    """400, and nothing is made."""
    response = call(cloud, "POST", "/v2/tags", body)
    assert (response.status, response.body["id"]) == (400, "bad_request")
    assert not cloud.store.all(Tag)


def test_what_is_nowhere_is_not_found(cloud: Cloud) -> None:
    """A path that DigitalOcean does not have is a 404, also with an unknown method."""
    for method, path in (
        ("GET", "/v2/nowhere"),
        ("GET", "/"),
        ("GET", "/v3/droplets"),
        ("POST", "/v2/account"),
    ):
        assert call(cloud, method, path).status == 404


def test_every_operation_is_implemented_or_says_that_it_is_not(cloud: Cloud) -> None:
    """501 with an error body for each one that is missing, and a route for each that is not."""
    implemented = {route.operation for route in all_routes()}
    for method, path, name in operations():
        if name in implemented:
            continue
        response = call(cloud, method, path.replace("{", "").replace("}", ""), {})
        assert (response.status, response.body["id"]) == (501, "not_implemented"), (name, response)
        assert response.body["message"].endswith("is not implemented by the Wavetank emulator")
        assert response.body["request_id"] == response.headers["x-request-id"]


def test_a_fault_of_ours_leaves_nothing_behind(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that cannot be made takes its effect back: a client that tries again makes one, not two."""

    def broken(*_args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("emulator.api.tags.tag_view", broken)
    response = call(cloud, "POST", "/v2/tags", {"name": "web"})
    assert (response.status, response.body["id"]) == (500, "server_error")
    assert "broken" not in str(response.body)
    assert not cloud.store.all(Tag)


def test_a_trailing_slash_does_not_matter(cloud: Cloud) -> None:
    """Some clients send one."""
    assert call(cloud, "GET", "/v2/droplets/").status == 200


def test_the_allowance_is_counted_and_ends_when_it_is_enforced() -> None:
    """429 tells when to come back; without enforcement it only counts."""
    strict = Allowance(enforce=True, limit=1)
    passes, headers = strict.take()
    assert (passes, headers["ratelimit-remaining"], "retry-after" in headers) == (True, "0", False)
    passes, headers = strict.take()
    assert not passes
    assert 0 < int(headers["retry-after"]) <= 3600
    lenient = Allowance(limit=1)
    taken = [lenient.take() for _ in range(3)]
    assert [passes for passes, _ in taken] == [True, True, True]
    assert [headers["ratelimit-remaining"] for _, headers in taken] == ["1", "1", "1"]


def test_what_is_the_emulators_own_has_no_limit(cloud: Cloud) -> None:
    """Where the allowance is enforced and used up, its health can still be asked for."""
    api = Api(cloud, any_token=True, enforce_limit=True)

    def ask(path: str) -> Response:
        return api.handle(make_request("GET", f"https://api.digitalocean.com{path}", TOKEN, b""))

    answers = [ask("/v2/account") for _ in range(251)]
    assert [answer.status for answer in answers] == [200] * 250 + [429]
    assert answers[-1].body["id"] == "too_many_requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert ask("/_wavetank/health").status == 200


def test_a_minute_has_an_allowance_of_its_own() -> None:
    """What is refused is not counted, so that the hour's lasts; the next minute begins anew."""
    now = 1000.0
    strict = Allowance(enforce=True, limit=5, burst=2, clock=lambda: now)
    assert [strict.take()[0] for _ in range(3)] == [True, True, False]
    now += 20
    passes, headers = strict.take()
    assert (passes, headers["retry-after"], headers["ratelimit-remaining"]) == (False, "40", "3")
    now += 40
    assert [strict.take()[0] for _ in range(2)] == [True, True]
    now += 60
    assert [strict.take()[0] for _ in range(2)] == [True, False]
    passes, headers = strict.take()
    assert (headers["ratelimit-remaining"], headers["retry-after"]) == ("0", "3480")


@given(total=st.integers(0, 100), size=st.integers(1, 200))
def test_following_next_meets_everything_once(total: int, size: int) -> None:
    """Pages are complete and end; their links are absolute and only those that mean something."""
    items, url = [], f"https://here:1/v2/things?per_page={size}&tag_name=a%3Ab"
    for number in range(1, total + 2):
        request = make_request("GET", url, {}, b"")
        body = page(request, "things", range(total)).body
        items += body["things"]
        links = body["links"].get("pages", {})
        assert body["meta"] == {"total": total}
        assert ("prev" in links) == ("first" in links) == (number > 1)
        assert ("next" in links) == ("last" in links) == (number * size < total)
        for link in links.values():
            parts = urlsplit(link)
            assert (parts.scheme, parts.netloc, parts.path) == ("https", "here:1", "/v2/things")
            assert dict(parse_qsl(parts.query))["tag_name"] == "a:b"
        if "next" not in links:
            break
        url = links["next"]
    assert items == list(range(total))


@pytest.mark.parametrize(
    "query", ["page=0", "page=x", "per_page=0", "per_page=201", "per_page=-1", "page=1.5"]
)
def test_pages_that_cannot_be_are_refused(cloud: Cloud, query: str) -> None:
    """422, with the parameter's name."""
    response = call(cloud, "GET", f"/v2/tags?{query}")
    assert (response.status, query.partition("=")[0] in response.body["message"]) == (422, True)


def test_twenty_are_a_page(cloud: Cloud) -> None:
    """Unless more are asked for; a page beyond the last is empty."""
    for number in range(21):
        tags.create(cloud, f"t{number}")
    assert len(call(cloud, "GET", "/v2/tags").body["tags"]) == 20
    assert len(call(cloud, "GET", "/v2/tags?per_page=200").body["tags"]) == 21
    beyond = call(cloud, "GET", "/v2/tags?page=9").body
    assert (beyond["tags"], beyond["links"]["pages"]["prev"]) == (
        [],
        "https://api.digitalocean.com/v2/tags?page=2",
    )


def test_a_request_is_taken_apart_as_it_was_sent() -> None:
    """Scheme and host are the client's; a quoted slash does not end a segment."""
    request = make_request("get", "http://h:8/v2/tags/a%2Fb?x=1&y=", {"X-Y": "z"}, b"")
    assert request == Request(
        "GET", "/v2/tags/a%2Fb", {"x": "1", "y": ""}, {"x-y": "z"}, b"", base_url="http://h:8"
    )


def test_the_emulator_tells_of_itself(cloud: Cloud) -> None:
    """What the plane is, and its counters."""
    info = call(cloud, "GET", "/_wavetank/info").body
    assert set(info) >= {"plane", "proxy", "operator_ip", "internet_ip", "capabilities", "version"}
    assert info["plane"] == "memory"
    assert call(cloud, "GET", "/_wavetank/counters").body == {"counters": [], "flows": []}
    assert call(cloud, "GET", "/_wavetank/usage").body == {"databases": []}


def test_the_published_table_is_up_to_date() -> None:
    """docs/api-coverage.md is what the routes say."""
    assert COVERAGE.read_text() == table(), "run: python -m emulator.api.coverage > docs/api-coverage.md"
