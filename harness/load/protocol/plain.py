"""A protocol for any HTTP server: each program is one request, and 2xx is a right answer.

``source`` is the body: GET without one, POST with. ``stdout``, if given, is the body that must come back.
It is used to measure the generator, and servers other than Judge0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.judge0.model import NEVER, Program, Route
from harness.load.model import Outcome, Workload
from harness.load.protocol.following import Recording, Transport
from harness.load.protocol.judging import refusal, unanswered

if TYPE_CHECKING:
    from harness.load.engine.request import Answer
    from harness.load.workload import Chosen


def workload(body: str = "", answer: str | None = None) -> Workload:
    """One request, over and over."""
    return Workload("plain", (Program("request", "http", body, stdout=answer),))


def open_plain(
    route: Route,
    workload: Workload,
    chosen: Chosen,
    record: Recording,
    engine: Transport,
    *,
    timeout: float = 60.0,
) -> Plain:
    """The protocol for ``route.path`` at ``route.address``. The timeout is the engine's own."""
    del timeout
    return Plain([_encoded(route, each) for each in workload.programs], workload, chosen, record, engine)


class Plain:
    """A request and an answer for each arrival."""

    def __init__(
        self, requests: list[bytes], workload: Workload, chosen: Chosen, record: Recording, engine: Transport
    ) -> None:
        self._requests, self._chosen, self._record, self._engine = requests, chosen, record, engine
        self._right = [None if each.stdout is None else each.stdout.encode() for each in workload.programs]

    def begin(self, number: int, _intended: int) -> None:
        """Send the arrival's request."""
        program = self._chosen[number]
        right = self._right[program]
        self._engine.ask(self._requests[program], lambda answer: self._answered(number, right, answer))

    def finish(self) -> None:
        """What is in flight stays unfinished."""

    def _answered(self, number: int, right: bytes | None, answer: Answer) -> None:
        record = self._record
        if answer.sent != NEVER:
            record.sent(number, answer.sent)
        if not answer.error and 200 <= answer.status < 300 and right in (None, answer.body):
            record.accepted(number, answer.answered)
            record.done(number, Outcome.OK, answer.answered)
            return
        outcome, message = unanswered(answer) or _outcome_of(answer)
        record.done(number, outcome, answer.answered, message=message)


def _outcome_of(answer: Answer) -> tuple[Outcome, str]:
    if 200 <= answer.status < 300:
        return Outcome.WRONG, f"another answer: {answer.body[:200].decode(errors='replace')}"
    return refusal(answer.status), f"{answer.status} {answer.body[:200].decode(errors='replace')}".strip()


def _encoded(route: Route, program: Program) -> bytes:
    host = route.address.host_header or route.address.host
    body = program.source.encode()
    if not body:
        return f"GET {route.path or '/'} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    head = f"POST {route.path or '/'} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
