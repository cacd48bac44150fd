"""Does Judge0 refuse who does not know its token? Whatever reaches it could run programs otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import httpx

from harness.core.errors import InconclusiveError
from harness.judge0.requests import SUBMISSIONS
from harness.topology.model import Topology
from harness.topology.rendering.headers import is_secret

PATHS = ("/languages", "/about", "/config_info")
WRONG = "wavetank-does-not-know-it"
REFUSALS = (401, 403)


def token_headers(topology: Topology) -> list[str]:
    """The headers of Judge0's that may say who asks, by name."""
    judge0 = topology.checks.judge0
    return [name for name in judge0.headers if is_secret(name)] if judge0 else []


def admitted(client: httpx.Client, names: Sequence[str]) -> Iterator[str]:
    """Descriptions of what Judge0 answers without its headers of these names, and with wrong ones.

    ``client`` has the right ones. Raises ``InconclusiveError`` where it is refused with them, too.
    """
    right = client.get(PATHS[0])
    if not right.is_success:
        raise InconclusiveError(
            f"with its headers {PATHS[0]} answers {right.status_code}: this shows nothing"
        )
    for described, value in (("no", None), ("a wrong", WRONG)):
        given = f"{described} {' and '.join(names)}"
        for path in PATHS:
            yield from _answered(client, client.build_request("GET", path), names, value, given)
        # Without a program in it, so that nothing is run where it is let in.
        post = client.build_request("POST", SUBMISSIONS, json={})
        yield from _answered(client, post, names, value, given)


def _answered(
    client: httpx.Client, request: httpx.Request, names: Sequence[str], value: str | None, given: str
) -> Iterator[str]:
    for name in names:
        request.headers.pop(name, None)
        if value is not None:
            request.headers[name] = value
    code = client.send(request).status_code
    if code not in REFUSALS:
        yield f"{request.method} {request.url.path} with {given} answers {code}, not 401"
