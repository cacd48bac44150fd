"""The requests for a program: data and bytes, no connections.

Judge0's API as 1.13.1 speaks it, https://github.com/judge0/judge0/tree/v1.13.1/docs/api, with texts
in Base64, and a front door's as the topology's ``checks.front_door.request`` maps it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.judge0.model import Program, Route

SUBMISSIONS, BATCH = "/submissions", "/submissions/batch"
ENCODED = "base64_encoded=true"
TEXTS = ("source_code", "stdin", "expected_output")


class Request(NamedTuple):
    """One HTTP request, without what all have in common."""

    method: str
    path: str
    body: bytes = b""


def headers(route: Route) -> dict[str, str]:
    """The headers of every request on this route."""
    address = route.address
    port = f":{address.port}" if address.port else ""
    host = address.host_header or ("judge0" if address.kind == "unix" else f"{address.host}{port}")
    given = {"Host": host, "Accept": "application/json", "Content-Type": "application/json"}
    return given | dict(route.headers)


def encode(route: Route, request: Request) -> bytes:
    """The bytes of an HTTP/1.1 request; the connection is kept."""
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers(route).items()]
    if request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join((*lines, "\r\n")).encode() + request.body


def submit(route: Route, program: Program, *, callback_url: str = "") -> Request:
    """The request that submits one program, at the route's entry point and in its mode."""
    if route.entry_point != "judge0":
        return Request("POST", route.path, dump(front_door_body(route.request, route.ids, program)))
    more = {"callback_url": callback_url} if callback_url else {}
    request = create(dump(submission_of(route, program, **more)))
    if route.mode == "wait":
        return request._replace(path=f"{request.path}&wait=true&fields={','.join(fields(route))}")
    return request


def create(submission: bytes) -> Request:
    """The request that creates one submission, given as JSON."""
    return Request("POST", f"{SUBMISSIONS}?{ENCODED}", submission)


def create_many(submissions: Sequence[bytes]) -> Request:
    """The request that creates several at once, each given as JSON."""
    body = b'{"submissions":[' + b",".join(submissions) + b"]}"
    return Request("POST", f"{BATCH}?{ENCODED}", body)


def fetch(tokens: Iterable[str], asked: Iterable[str]) -> Request:
    """The request for some fields of submissions, up to ``BATCH_LIMIT``: no server caches its answer."""
    return Request("GET", f"{BATCH}?tokens={','.join(tokens)}&{ENCODED}&fields={','.join(asked)}")


def fetch_one(token: str, asked: Iterable[str]) -> Request:
    """The request for some fields of one submission; the answer may be as old as Judge0's cache."""
    return Request("GET", f"{SUBMISSIONS}/{token}?{ENCODED}&fields={','.join(asked)}")


def fields(route: Route) -> tuple[str, ...]:
    """The fields of a submission to ask for: only those that this Judge0 has, for it refuses others."""
    return ("token", "status_id", "stdout", *route.timestamps)


def submission(source: str, language_id: int, **more: Any) -> dict[str, Any]:
    """The JSON that creates a submission, texts in Base64; ``more`` are further fields, by Judge0's names."""
    given = {"source_code": source, "language_id": language_id, **more}
    return {key: _encoded(value) if key in TEXTS else value for key, value in given.items()}


def submission_of(route: Route, program: Program, **more: Any) -> dict[str, Any]:
    """The JSON that creates the submission of a program. Without ``expected_output``: we judge."""
    stdin = {"stdin": program.stdin} if program.stdin else {}
    return submission(program.source, route.ids[program.language], **program.limits, **stdin, **more)


def as_json(route: Route, program: Program) -> bytes:
    """A submission as one element of a batch, or alone."""
    return dump(submission_of(route, program))


def front_door_body(request: Mapping[str, str], ids: Mapping[str, int], program: Program) -> dict[str, Any]:
    """The JSON that submits a program at a front door, with the keys of ``checks.front_door.request``.

    ``ids`` are the language ids by our names.
    """
    words = {
        "language": program.language,
        "language_id": ids.get(program.language),
        "source": program.source,
        "stdin": program.stdin,
    }
    return {key: words[word] for key, word in request.items()}


def runs_of(program: Program) -> float:
    """How often Judge0 runs it; the time that it reports is the mean of all runs."""
    return program.limits.get("number_of_runs", 1)


def dump(document: Mapping[str, Any]) -> bytes:
    """As JSON without spaces."""
    return json.dumps(document, separators=(",", ":")).encode()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
