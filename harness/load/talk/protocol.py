"""What is sent for a program, and whether what came back is right: data and bytes, no connections.

Judge0's API as 1.13.1 speaks it, https://github.com/judge0/judge0/tree/v1.13.1/docs/api, with texts
in Base64, and the front door's as the topology's ``checks.front_door.request`` maps it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from harness.load.judge0 import UNFINISHED, name_of
from harness.load.model import Outcome, Program, Route
from harness.load.talk.reading import SHOWN, Told

# A token travels as 36 characters and a comma; a request line of 20 stays far below any server's limit.
MOST_TOKENS = 20


class Request(NamedTuple):
    """One HTTP request, without what all have in common."""

    method: str
    path: str
    body: bytes = b""


def headers(route: Route) -> dict[str, str]:
    """What every request on this route says of itself."""
    address = route.address
    port = f":{address.port}" if address.port else ""
    host = address.host_header or ("judge0" if address.kind == "unix" else f"{address.host}{port}")
    given = {"Host": host, "Accept": "application/json", "Content-Type": "application/json"}
    return {**given, "X-Auth-Token": route.token} if route.token else given


def encode(route: Route, request: Request) -> bytes:
    """The bytes of an HTTP/1.1 request; the connection is kept."""
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers(route).items()]
    if request.method != "GET":
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join((*lines, "\r\n")).encode() + request.body


def hand_in(route: Route, program: Program, *, callback_url: str = "") -> Request:
    """The request that hands one program in, at the route's door and in its way."""
    if route.door != "judge0":
        return Request("POST", route.path, _dump(_at_door(route, program)))
    body = _dump(submission(route, program, callback_url=callback_url))
    if route.way == "wait":
        return Request("POST", f"/submissions?base64_encoded=true&wait=true&fields={fields(route)}", body)
    return Request("POST", "/submissions?base64_encoded=true", body)


def submission(route: Route, program: Program, *, callback_url: str = "") -> dict[str, Any]:
    """A submission in Judge0's words, its texts in Base64. Without ``expected_output``: we judge."""
    body: dict[str, Any] = {
        "language_id": route.ids[program.language],
        "source_code": _encoded(program.source),
        **program.limits,
    }
    if program.stdin:
        body["stdin"] = _encoded(program.stdin)
    if callback_url:
        body["callback_url"] = callback_url
    return body


def as_json(route: Route, program: Program) -> bytes:
    """A submission as one element of a batch."""
    return _dump(submission(route, program))


def hand_in_many(submissions: Sequence[bytes]) -> Request:
    """The request that creates several at once, each given as JSON."""
    body = b'{"submissions":[' + b",".join(submissions) + b"]}"
    return Request("POST", "/submissions/batch?base64_encoded=true", body)


def look(route: Route, tokens: Sequence[str]) -> Request:
    """The request that asks how submissions are, up to ``MOST_TOKENS``: no server caches its answer."""
    asked = f"tokens={','.join(tokens)}&base64_encoded=true&fields={fields(route)}"
    return Request("GET", f"/submissions/batch?{asked}")


def fields(route: Route) -> str:
    """What is asked of a submission: only fields that this Judge0 has, for it refuses others."""
    return ",".join(("token", "status_id", "stdout", *route.timestamps))


def runs_of(program: Program) -> float:
    """How often Judge0 runs it; what it tells of time is the mean of all."""
    return program.limits.get("number_of_runs", 1)


def is_final(told: Told) -> bool:
    """Whether nothing more will come of it."""
    return told.status not in UNFINISHED


def judge(program: Program, status: int, stdout: str | None) -> Outcome:
    """Whether an answer is the right one; ``status`` 0, not told, is not held against it."""
    if status in UNFINISHED:
        return Outcome.UNANSWERED
    wrong = status not in (0, program.status) or not _is_right_output(program, stdout)
    return Outcome.WRONG if wrong else Outcome.OK


def complaint(program: Program, told: Told) -> str:
    """What is wrong with an answer that is, in words."""
    if told.status not in (0, program.status):
        wanted = name_of(program.status)
        return f"{program.name}: {name_of(told.status)} in place of {wanted} (token {told.token})"
    printed, right = (told.stdout or "")[:SHOWN], (program.stdout or "")[:SHOWN]
    return f"{program.name}: printed {printed!r} in place of {right!r} (token {told.token})"


def _at_door(route: Route, program: Program) -> dict[str, Any]:
    words = {
        "language": program.language,
        "language_id": route.ids.get(program.language),
        "source": program.source,
        "stdin": program.stdin,
    }
    return {key: words[word] for key, word in route.request.items()}


def _is_right_output(program: Program, stdout: str | None) -> bool:
    return program.stdout is None or _normal(stdout or "") == _right(program.stdout)


def _normal(text: str) -> str:
    """Without what Judge0 overlooks: space at the end of each line, then of the whole."""
    return "\n".join([line.rstrip() for line in text.split("\n")]).rstrip()


_right = lru_cache(maxsize=1000)(_normal)


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
