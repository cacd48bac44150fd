"""What Rails and Rack do around Judge0's own code, the reference Judge0 does as well: a row for each kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
import pytest
from judge0_stack import Stack, create, show, wait_until_finished

pytestmark = pytest.mark.docker

NOBODY = "00000000-0000-0000-0000-000000000000"
AUTH = {"AUTHN_TOKEN": "secret", "AUTHZ_TOKEN": "admin", "ENABLE_SUBMISSION_DELETE": "true"}
NOT_FOUND = {"status": 404, "error": "Not Found"}
BAD_REQUEST = {"status": 400, "error": "Bad Request"}
FRAMEWORK, JSON = "text/html; charset=UTF-8", "application/json; charset=utf-8"
FRAMEWORK_JSON = "application/json; charset=UTF-8"
ARCHIVED = "language with id 1 is archived and cannot be used anymore"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Databases, and a worker."""
    with Stack() as stack, stack.worker(COUNT="2"):
        yield stack


@pytest.fixture(scope="module")
def plain(stack: Stack) -> Iterator[httpx.Client]:
    """A server that asks for no token."""
    with stack.server() as client:
        yield client


@pytest.fixture(scope="module")
def guarded(stack: Stack) -> Iterator[httpx.Client]:
    """A server that asks for tokens."""
    with stack.server(AUTH) as client:
        yield client


class Row(NamedTuple):
    """A request and what must come back; a body of ... is any."""

    method: str
    path: str
    status: int
    kind: str | None
    body: object = ""
    json: object = None
    headers: Mapping[str, str] = MappingProxyType({})


def check(client: httpx.Client, row: Row) -> None:
    content = None if row.json is None else json.dumps(row.json)
    headers = {"Content-Type": "application/json"} if content else {}
    answer = client.request(row.method, row.path, content=content, headers={**headers, **row.headers})
    body = (
        answer.json() if "json" in answer.headers.get("content-type", "") and answer.content else answer.text
    )
    assert (answer.status_code, answer.headers.get("content-type")) == (row.status, row.kind)
    assert row.body is ... or body == row.body


ROWS = {
    "query": Row("POST", "/submissions?source_code=print(1)&language_id=71", 201, JSON, ...),
    "query-wins": Row(
        "POST",
        "/submissions?language_id=9999",
        422,
        JSON,
        {"language_id": ["language with id 9999 doesn't exist"]},
        {"source_code": "print(1)", "language_id": 71},
    ),
    "query-semicolon": Row(
        "POST",
        "/submissions?source_code=x;language_id=0",
        422,
        JSON,
        {"language_id": ["language with id 0 doesn't exist"]},
    ),
    "query-of-a-list": Row(
        "POST",
        "/submissions/batch?submissions[][source_code]=1&submissions[][language_id]=71",
        201,
        JSON,
        ...,
    ),
    "query-of-an-object": Row(
        "POST", "/submissions?source_code[a]=1&language_id=71", 422, JSON, {"source_code": ["can't be blank"]}
    ),
    "query-malformed": Row("GET", "/statuses?a=%zz", 400, FRAMEWORK),
    "body-of-a-get": Row("GET", "/submissions/batch", 200, JSON, {"submissions": [None]}, {"tokens": NOBODY}),
    "header-before-query": Row(
        "GET",
        f"/submissions/batch?tokens=a,{NOBODY}",
        200,
        JSON,
        {"submissions": [None]},
        headers={"tokens": NOBODY},
    ),
    "list-not-stripped": Row(
        "GET", "/submissions/batch?tokens=a,,b,,", 200, JSON, {"submissions": [None] * 3}
    ),
    "suffix-unknown-token": Row("GET", f"/submissions/{NOBODY}.json", 404, FRAMEWORK_JSON, NOT_FOUND),
    "suffix-no-route": Row("GET", "/no/such.json", 404, FRAMEWORK_JSON, NOT_FOUND, headers={"Accept": ""}),
    "suffix-no-route-all-types": Row("GET", "/no/such.json", 404, FRAMEWORK, headers={"Accept": "*/*"}),
    "suffix-malformed": Row(
        "GET", "/statuses.json?a=%zz", 400, FRAMEWORK_JSON, BAD_REQUEST, headers={"Accept": ""}
    ),
    "suffix-of-text": Row("GET", "/version.json", 200, "text/plain; charset=utf-8", "1.13.1"),
    "suffix-of-another-kind": Row("GET", f"/submissions/{NOBODY}.html", 404, FRAMEWORK),
    "suffix-language": Row("GET", "/languages/71.json", 200, JSON, ...),
    "format-parameter": Row("GET", f"/submissions/{NOBODY}?format=json", 404, FRAMEWORK_JSON, NOT_FOUND),
    "accept": Row(
        "GET",
        f"/submissions/{NOBODY}",
        404,
        FRAMEWORK_JSON,
        NOT_FOUND,
        headers={"Accept": "application/json"},
    ),
    "accept-of-a-browser": Row(
        "GET", f"/submissions/{NOBODY}", 404, FRAMEWORK, headers={"Accept": "application/json, */*"}
    ),
    "id-as-a-number": Row("GET", "/languages/71abc", 200, JSON, ...),
    "archived-shown": Row(
        "GET",
        "/languages/1",
        200,
        JSON,
        {
            "id": 1,
            "name": "Bash (4.4)",
            "is_archived": True,
            "source_file": "script.sh",
            "compile_cmd": None,
            "run_cmd": "/usr/local/bash-4.4/bin/bash script.sh",
        },
    ),
    "archived-refused": Row(
        "POST", "/submissions", 422, JSON, {"language_id": [ARCHIVED]}, {"source_code": "x", "language_id": 1}
    ),
    "archived-in-a-batch": Row(
        "POST",
        "/submissions/batch",
        422,
        JSON,
        [{"language_id": [ARCHIVED]}],
        {"submissions": [{"source_code": "x", "language_id": 1}]},
    ),
    "home": Row("GET", "/", 200, "text/html"),
    "home-head": Row("HEAD", "/", 200, "text/html"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_each_kind_of_request_is_answered_as_rails_does(plain: httpx.Client, row: Row) -> None:
    """Status, type and body."""
    check(plain, row)


GUARDED = {
    "token-in-the-query": Row(
        "GET", "/version?X-Auth-Token=secret", 200, "text/plain; charset=utf-8", "1.13.1"
    ),
    "token-in-the-body": Row("POST", "/authenticate", 200, "text/html", "", {"X-Auth-Token": "secret"}),
    "empty-header-is-one": Row(
        "GET", "/version?X-Auth-Token=secret", 401, "text/html", headers={"X-Auth-Token": ""}
    ),
    "no-token-as-json": Row("GET", "/languages.json", 401, "application/json", ...),
    "no-route-needs-no-token": Row("GET", "/nosuch", 404, FRAMEWORK),
    "home-needs-no-token": Row("GET", "/", 200, "text/html"),
    "malformed-before-token": Row("GET", "/version?a=%zz", 400, FRAMEWORK),
    "page": Row(
        "GET",
        "/submissions?page=abc&X-Auth-Token=secret&X-Auth-User=admin",
        400,
        JSON,
        {"error": "invalid page: 0"},
    ),
}


@pytest.mark.parametrize("row", GUARDED.values(), ids=GUARDED)
def test_tokens_are_found_where_rails_finds_them(guarded: httpx.Client, row: Row) -> None:
    """Header, query or body; a path that leads nowhere, and the home page, ask for none."""
    check(guarded, row)


def test_a_malformed_body_is_refused_wherever_it_is_sent(plain: httpx.Client) -> None:
    """Also where nothing of it would be used."""
    kind = {"Content-Type": "application/json"}
    answer = plain.post("/authenticate", content="{", headers=kind)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (400, FRAMEWORK, b"")


CONDITIONAL = [
    "/languages/71",
    "/languages",
    "/statuses",
    "/version",
    "/config_info",
    f"/submissions/batch?tokens={NOBODY}",
]


@pytest.mark.parametrize("path", CONDITIONAL)
def test_what_a_client_has_is_not_sent_again(plain: httpx.Client, path: str) -> None:
    """304 for the ETag that was sent, without a type; a list of tags and * are not understood."""
    first = plain.get(path)
    etag = first.headers["etag"]
    again = {
        method: plain.request(method, path, headers={"If-None-Match": etag}) for method in ("GET", "HEAD")
    }
    for answer in again.values():
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert "content-type" not in answer.headers
        assert answer.headers["cache-control"] == first.headers["cache-control"]
    for other in ("*", f'{etag}, W/"x"', 'W/"x"'):
        assert plain.get(path, headers={"If-None-Match": other}).status_code == 200


def test_a_finished_submission_is_not_sent_again(plain: httpx.Client) -> None:
    """Its ETag changes with its state, and then stays; a creation has one too, and is never 304."""
    token = create(plain, 71, "print(1)")
    wait_until_finished(plain, token)
    path = f"/submissions/{token}?fields=token,stdout"
    etag = plain.get(path).headers["etag"]
    assert plain.get(path, headers={"If-None-Match": etag}).status_code == 304
    created = plain.post("/submissions", json={}, headers={"If-None-Match": etag})
    assert created.status_code == 422


def test_unreadable_among_several_is_said_so(plain: httpx.Client) -> None:
    """The words for many are other words than those for one."""
    token = create(plain, 71, "print('\\u00e9')")
    wait_until_finished(plain, token)
    answer = plain.get("/submissions/batch", params={"tokens": token})
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error": "some attributes for one or more submissions cannot be converted to UTF-8,"
            " use base64_encoded=true query parameter"
        },
    )


def test_what_is_deleted_is_shown_in_base64(guarded: httpx.Client) -> None:
    """Whatever the request says, for nobody can ask again."""
    headers = {"X-Auth-Token": "secret", "X-Auth-User": "admin"}
    with httpx.Client(base_url=guarded.base_url, headers=headers, timeout=30) as client:
        token = create(client, 71, "print(1)")
        wait_until_finished(client, token)
        gone = client.delete(f"/submissions/{token}?base64_encoded=false&fields=stdout")
        assert (gone.status_code, gone.json()) == (200, {"stdout": "MQo=\n"})
        assert show(client, token) == [None]


def test_maintenance_stops_what_changes_something(stack: Stack) -> None:
    """Creating and deleting; asking is answered."""
    headers: dict[str, Any] = {"X-Auth-Token": "secret", "X-Auth-User": "admin"}
    with stack.server({**AUTH, "MAINTENANCE_MODE": "true"}) as client:
        said = {"error": "Judge0 is currently in maintenance."}
        for answer in (
            client.delete(f"/submissions/{NOBODY}", headers=headers),
            client.post("/submissions", headers=headers),
        ):
            assert (answer.status_code, answer.json()) == (503, said)
        assert client.get("/statuses", headers=headers).status_code == 200
