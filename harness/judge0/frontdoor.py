"""Submitting a program at the front door, as a user's browser would, and reading the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.wait import scaled
from harness.judge0.api import ACCEPTED_TEXT, IDS, IN_QUEUE, STATUSES
from harness.judge0.model import Program
from harness.judge0.reading import UnreadableError, pick
from harness.judge0.requests import front_door_body
from harness.judge0.single import SingleUse, SingleUseClient
from harness.target.target import Target
from harness.topology.model import FrontDoor

TIMEOUT = 30.0
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True)
class Answer:
    """The answer: Judge0's token and status text, the program's output, and the whole reply."""

    token: str
    status: str
    stdout: str
    reply: Mapping[str, Any]


# Programs that print their input doubled, by our names of languages.
DOUBLING: Mapping[str, str] = {
    "python": "print(2 * int(input()))",
    "c": '#include <stdio.h>\nint main(void) { int n; scanf("%d", &n); printf("%d\\n", 2 * n); }',
    "cpp": "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << 2 * n << std::endl; }",
    "bash": "read n; echo $((2 * n))",
    "javascript": "process.stdin.on('data', text => console.log(2 * parseInt(text.toString(), 10)))",
}


def open_client(target: Target, address: str, *, scheme: str = "http") -> httpx.Client:
    """An HTTP client for a public address, reached as the target says.

    A droplet's certificate names no IP address, so TLS is spoken but not verified.
    """
    target.require_machines(address)
    return httpx.Client(
        base_url=f"{scheme}://{address}",
        proxy=target.proxy,
        verify=False,  # noqa: S501 (see above)
        trust_env=False,
        timeout=scaled(TIMEOUT),
    )


def open_single(target: Target, address: str, *, timeout: float) -> SingleUseClient:
    """The same with a connection for each request, which takes at most ``CONNECT_TIMEOUT`` seconds."""
    target.require_machines(address)
    transport = SingleUse(target.proxy, seconds=scaled(CONNECT_TIMEOUT))
    return SingleUseClient(transport, base_url=f"http://{address}", timeout=scaled(timeout))


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
    return front_door_body(door.request, IDS, program)


def read_answer(door: FrontDoor, reply: Mapping[str, Any]) -> Answer:
    """Pick the answer out of a reply. Raises ``CheckFailedError`` naming what is missing."""
    try:
        found = {key: str(value or "") for key, value in pick(door.reply, reply).items()}
    except UnreadableError as error:
        raise CheckFailedError(str(error)) from error
    return Answer(found.get("token", ""), found.get("status", ""), found.get("stdout", ""), reply)


def double(client: httpx.Client, door: FrontDoor, language: str, number: int) -> Answer:
    """Submit a language's doubling program and require that it was run: Accepted, and the right output."""
    answer = submit(client, door, language, DOUBLING[language], str(number))
    if answer.status == STATUSES[IN_QUEUE]:
        raise InconclusiveError(f"{language}: still in the queue when the front door answered")
    if answer.status != ACCEPTED_TEXT or answer.stdout.strip() != str(2 * number):
        raise CheckFailedError(f"{language}: expected Accepted and {2 * number}, got {answer.reply}")
    return answer
