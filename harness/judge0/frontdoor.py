"""Submitting a program at the front door, as a user's browser would, and reading the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.wait import scaled
from harness.judge0.api import ACCEPTED_TEXT, IDS, IN_QUEUE, STATUSES, name_of
from harness.judge0.model import Program
from harness.judge0.programs import DOUBLING
from harness.judge0.reading import UnreadableError, pick, status_of
from harness.judge0.requests import front_door_body
from harness.judge0.single import SingleUse, SingleUseClient
from harness.target.target import Target
from harness.topology.model import PORTS_OF, FrontDoor, RunnerEndpoint, Scheme

TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True)
class Answer:
    """The answer: Judge0's token and status text, the program's output, and the whole reply.

    ``found`` are the values that the topology's ``reply`` names, as they are.
    """

    token: str
    status: str
    stdout: str
    reply: Mapping[str, Any]
    found: Mapping[str, Any] = field(default_factory=dict)


def languages(end: FrontDoor | RunnerEndpoint) -> dict[str, int]:
    """The ids of the languages that programs may be written in, by our names.

    Those that the topology names; Judge0's own of all our languages where it names none.
    """
    return {name: end.languages[name] for name in IDS if name in end.languages} or dict(IDS)


def main_language(end: FrontDoor | RunnerEndpoint) -> str:
    """The language for a single program."""
    return next(iter(languages(end)))


def port_of(door: FrontDoor, scheme: Scheme) -> int:
    """Where a scheme is spoken: the front door's own at its port, another one at that one's usual port."""
    return door.port if scheme == door.scheme else PORTS_OF[scheme]


def authority(host: str, scheme: Scheme, port: int) -> str:
    """``host``, with the port where it is not the scheme's usual one."""
    return host if port == PORTS_OF[scheme] else f"{host}:{port}"


def open_client(
    target: Target,
    host: str,
    door: FrontDoor,
    *,
    scheme: Scheme | None = None,
    port: int = 0,
    timeout: float = TIMEOUT,
) -> SingleUseClient:
    """An HTTP client for the front door at the public address ``host``, reached as the target says.

    By default it speaks the front door's own scheme; ``port`` 0: where that is spoken. Each request has a
    connection of its own, which takes at most ``CONNECT_TIMEOUT`` seconds, and the topology's headers and
    server name. A droplet's certificate names no IP address, so TLS is spoken but not verified.
    """
    target.require_machines(host)
    spoken = scheme or door.scheme
    where = authority(door.server_name or host, spoken, port or port_of(door, spoken))
    return SingleUseClient(
        SingleUse(target.proxy, seconds=scaled(CONNECT_TIMEOUT), host=host),
        base_url=f"{spoken}://{where}",
        headers=door.headers,
        timeout=scaled(timeout),
    )


def submit(client: httpx.Client, door: FrontDoor, language: str, source: str, stdin: str = "") -> Answer:
    """Run one program through the front door.

    Raises ``CheckFailedError`` when the front door refuses or answers in another form.
    """
    asked = body(door, Program("submitted", language, source, stdin))
    try:
        response = client.post(door.path, json=asked)
    except httpx.HTTPError as error:
        raise CheckFailedError(f"POST {client.base_url}{door.path}: {error!r}") from error
    if response.status_code >= 300:
        raise CheckFailedError(f"POST {response.request.url}: {response.status_code} {response.text[:500]}")
    try:
        reply = response.json()
    except ValueError as error:
        raise CheckFailedError(f"POST {response.request.url}: not JSON: {response.text[:200]}") from error
    return read_answer(door, reply)


def body(door: FrontDoor, program: Program) -> dict[str, Any]:
    """The JSON that submits a program, with the front door's own keys."""
    return front_door_body(door.request, languages(door), program)


def read_answer(door: FrontDoor, reply: Mapping[str, Any]) -> Answer:
    """Pick the answer out of a reply. Raises ``CheckFailedError`` naming what is missing.

    A status is Judge0's text, whatever the application calls it; a word without such a meaning stays.
    """
    try:
        found = pick(door.reply, reply)
    except UnreadableError as error:
        raise CheckFailedError(str(error)) from error
    status = found.get("status")
    number = status_of(status, door.statuses)
    text = name_of(number) if number is not None else str(status or "")
    return Answer(str(found.get("token") or ""), text, str(found.get("stdout") or ""), reply, found)


def double(client: httpx.Client, door: FrontDoor, language: str, number: int) -> Answer:
    """Submit a language's doubling program and require that it was run: Accepted, and the right output."""
    answer = submit(client, door, language, DOUBLING[language], str(number))
    if answer.status == STATUSES[IN_QUEUE]:
        raise InconclusiveError(f"{language}: still in the queue when the front door answered")
    if answer.status != ACCEPTED_TEXT or answer.stdout.strip() != str(2 * number):
        raise CheckFailedError(f"{language}: expected Accepted and {2 * number}, got {answer.reply}")
    for word in ("time", "memory"):
        if word in door.reply and not _is_measured(answer.found.get(word)):
            given = f"{door.reply[word]} is {answer.found.get(word)!r}"
            raise CheckFailedError(f"{language}: its {word} is not a number of 0 or more: {given}")
    return answer


def _is_measured(value: Any) -> bool:
    """Whether this is a number, or the text of one as Judge0 gives its seconds."""
    try:
        return not isinstance(value, bool) and 0 <= float(value) < math.inf
    except (TypeError, ValueError):
        return False
