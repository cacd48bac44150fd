"""What talks are tried with: an engine whose time passes only in tests, a Judge0 in memory, a recorder."""

from __future__ import annotations

import base64
import heapq
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from harness.judge0.api import IDS
from harness.judge0.model import Address, Program, Route, SubmissionMode
from harness.judge0.requests import Request
from harness.load.engine.request import Answer
from harness.load.model import Outcome, Workload
from harness.load.protocol.opening import SubmissionProtocol, open_protocol

MS = 1_000_000
TRIP = 2 * MS
UNIX = Address("unix", "/run/way")

HELLO = Program("hello", "python", "print('hello')", stdout="hello")
FAILING = Program("failing", "bash", "exit 3", status=11, stdout="")
WORKLOAD = Workload("two", (HELLO, FAILING))

Server = Callable[[Request], tuple[int, Any] | str | None]


class FakeEngine:
    """Answers each request `TRIP` after it was asked; `server` gives status and JSON, or an error."""

    def __init__(self, server: Server) -> None:
        self.server, self.time = server, 0
        self.requests: list[tuple[int, Request]] = []
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def now(self) -> int:
        """The time."""
        return self.time

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Put an event into the queue."""
        heapq.heappush(self._events, (self.time + after_ns, next(self._order), action))

    def ask(self, request: bytes, then: Callable[[Answer], None], give_up_at: int = 0) -> None:
        """Ask the server at once, pass its answer on later; `None` is none, until it is given up."""
        head, _, body = request.partition(b"\r\n\r\n")
        method, path, _ = head.decode().split(" ", 2)
        asked = Request(method, path, body)
        self.requests.append((self.time, asked))
        found, sent = self.server(asked), self.time
        if found is None:
            self.later(give_up_at - sent, lambda: then(self._answer("timeout: no answer in time", sent)))
        else:
            self.later(TRIP, lambda: then(self._answer(found, sent)))

    def _answer(self, found: tuple[int, Any] | str, sent: int) -> Answer:
        if isinstance(found, str):
            return Answer(0, b"", sent, self.time, found)
        status, document = found
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return Answer(status, body, sent, self.time, "")

    def run(self, until: int) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until:
            self.time, _, action = heapq.heappop(self._events)
            action()
        self.time = until

    def asked(self, method: str) -> list[tuple[int, Request]]:
        """Requests of one method, with the time of each."""
        return [(at, each) for at, each in self.requests if each.method == method]


@dataclass
class Row:
    """What was recorded of one arrival."""

    sent: int = -1
    accepted: int = -1
    ended: int = -1
    outcome: Outcome | None = None
    status: int = 0
    message: str = ""
    durations: dict[str, int] = field(default_factory=dict)


class FakeRecord:
    """Rows by number; ending one twice is an error."""

    def __init__(self, count: int) -> None:
        self.rows = [Row() for _ in range(count)]

    def sent(self, number: int, at: int) -> None:
        """Its first byte went."""
        self.rows[number].sent = at

    def accepted(self, number: int, at: int) -> None:
        """It was taken."""
        assert self.rows[number].outcome is None
        self.rows[number].accepted = at

    def done(
        self, number: int, outcome: Outcome, at: int, *, status: int = 0, message: str = "", **durations: int
    ) -> None:
        """It ended."""
        row = self.rows[number]
        assert row.outcome is None, f"arrival {number} ended twice: {row}, then {outcome} {message}"
        row.outcome, row.ended, row.status, row.message = outcome, at, status, message
        row.durations = durations

    def outcomes(self) -> list[Outcome | None]:
        """Of all, in order."""
        return [each.outcome for each in self.rows]


class FakeJudge0:
    """Judges at the `ready`-th look. `unknown` tokens were forgotten; `refuse` is an answer to creations."""

    def __init__(self, *, ready: int = 1, stdout: str = "hello\n") -> None:
        self.ready, self.stdout = ready, stdout
        self.looks: dict[str, int] = {}
        self.unknown: set[str] = set()
        self.refuse: tuple[int, Any] | str | None = None
        self.refuse_looks: list[tuple[int, Any] | str | None] = []

    def __call__(self, request: Request) -> tuple[int, Any] | str | None:
        """The answer to a request."""
        split = urlsplit(request.path)
        query = parse_qs(split.query)
        if request.method == "GET":
            return self.refuse_looks.pop() if self.refuse_looks else (200, self._looked(query["tokens"][0]))
        if self.refuse is not None:
            return self.refuse
        body = json.loads(request.body)
        if split.path == "/submissions/batch":
            return 201, [{"token": self._create(each)} for each in body["submissions"]]
        token = self._create(body)
        return 201, self.told(token) if "wait" in query else {"token": token}

    def _create(self, submission: Any) -> str:
        token = f"{submission['language_id']}-{len(self.looks)}"
        self.looks[token] = 0
        return token

    def _looked(self, tokens: str) -> dict[str, Any]:
        found = []
        for token in tokens.split(","):
            self.looks[token] += 1
            shown = self.told(token) if self.looks[token] >= self.ready else {"token": token, "status_id": 2}
            found.append(None if token in self.unknown else shown)
        return {"submissions": found}

    def told(self, token: str) -> dict[str, Any]:
        """A submission with its final status."""
        failing = token.startswith("46-")
        return {
            "token": token,
            "status_id": 11 if failing else 3,
            "stdout": None if failing else base64.encodebytes(self.stdout.encode()).decode(),
            "created_at": "2026-11-23T21:28:44.840Z",
            "finished_at": "2026-11-23T21:28:44.900Z",
            "wall_time": "0.02",
        }


def route(mode: SubmissionMode, address: Address = UNIX, **more: Any) -> Route:
    """A route to Judge0's API."""
    return Route("judge0", mode, address, ids=IDS, **more)


def begun(
    mode: SubmissionMode, judge0: Server, count: int, *, every: int = 0, timeout: float = 60.0, **more: Any
) -> tuple[FakeEngine, FakeRecord, SubmissionProtocol]:
    """A talk in which ``count`` arrivals, every second one failing, are due ``every`` ns."""
    engine, record = FakeEngine(judge0), FakeRecord(count)
    chosen = np.arange(count, dtype=np.int16) % 2
    protocol = open_protocol(route(mode, **more), WORKLOAD, chosen, record, engine, timeout=timeout)
    for number in range(count):
        engine.later(number * every, partial(protocol.begin, number, number * every))
    return engine, record, protocol
