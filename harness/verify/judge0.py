"""Judge0's HTTP API, as 1.13.1 speaks it: created without waiting, polled by batch (not cached)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from harness.errors import CheckFailedError, InconclusiveError
from harness.wait import NotYet, wait_for

IN_QUEUE, PROCESSING, ACCEPTED, WRONG_ANSWER, TIME_LIMIT, COMPILATION_ERROR = 1, 2, 3, 4, 5, 6
RUNTIME_ERRORS = range(7, 13)
TEXTS = ("stdout", "stderr", "compile_output", "message")
ENCODED = {"base64_encoded": "true"}
FULL = 503
NO_BATCHES = "batched submissions are not allowed"
FIELDS = ",".join(("token", "status", "time", "memory", "finished_at", *TEXTS))


@dataclass(frozen=True)
class Submission:
    """A submission in its final status. ``status`` is Judge0's number, ``description`` its text."""

    token: str
    status: int
    description: str
    stdout: str
    stderr: str
    compile_output: str
    message: str
    finished_at: str = ""


class Judge0:
    """A Judge0 behind an HTTP client whose base URL is its own."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        """The JSON at ``path``. Raises ``CheckFailedError``."""
        return self._json(self._client.get(path))

    def post(self, body: Mapping[str, Any]) -> httpx.Response:
        """Ask for a submission as it stands, and return the bare answer."""
        return self._client.post("/submissions", json=body)

    def run(self, source: str, language_id: int, *, deadline: float = 60.0, **extra: Any) -> Submission:
        """Create one submission and wait for its final status; ``extra`` are further fields."""
        return self.wait([self.create(source, language_id, **extra)], deadline=deadline)[0]

    def create(self, source: str, language_id: int, **extra: Any) -> str:
        """Create one submission and return its token. A full queue is a doubt, other refusals a failure."""
        body = submission_body(source, language_id, **extra)
        response = self._client.post("/submissions", params=ENCODED, json=body)
        if response.status_code == FULL:
            raise InconclusiveError(f"Judge0 takes no submission now: {response.text[:200]}")
        return str(self._json(response)["token"])

    def create_many(self, bodies: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Create several at once, as `submission_body` makes them, and return their tokens; None: it is full.

        A single one is created the plain way, which a Judge0 without batches has, too. Raises
        ``CheckFailedError`` where one of them is refused.
        """
        many = len(bodies) > 1
        path = "/submissions/batch" if many else "/submissions"
        asked = {"submissions": list(bodies)} if many else bodies[0]
        response = self._client.post(path, params=ENCODED, json=asked)
        if response.status_code == FULL:
            return None
        told = self._json(response) if many else [self._json(response)]
        if refused := [each for each in told if "token" not in each]:
            raise CheckFailedError(f"POST {path}: {len(refused)} of {len(bodies)} refused: {refused[0]}")
        return [str(each["token"]) for each in told]

    def wait(self, tokens: Sequence[str], *, deadline: float = 60.0) -> list[Submission]:
        """The submissions in their final status, in order. Raises ``WaitTimeoutError``."""

        def probe() -> list[Submission]:
            found = self._batch(tokens)
            lagging = [each for each in found if each["status"]["id"] in (IN_QUEUE, PROCESSING)]
            if lagging:
                raise NotYet(
                    ", ".join(f"{each['token']} {each['status']['description']}" for each in lagging)
                )
            return [_submission(each) for each in found]

        return wait_for(f"{len(tokens)} submissions to be judged", probe, deadline=deadline, max_pause=0.5)

    def look(self, tokens: Sequence[str]) -> list[Submission | None]:
        """The submissions as they are now, at most 20, in order; None for one that Judge0 does not know."""
        return [None if each is None else _submission(each) for each in self._asked(tokens)]

    def _batch(self, tokens: Sequence[str]) -> list[Mapping[str, Any]]:
        found = self._asked(tokens)
        lost = [token for token, each in zip(tokens, found, strict=True) if each is None]
        if lost:
            raise CheckFailedError(f"Judge0 does not know what it accepted: {', '.join(lost)}")
        return [each for each in found if each is not None]

    def _asked(self, tokens: Sequence[str]) -> list[Mapping[str, Any] | None]:
        params = {"tokens": ",".join(tokens), "fields": FIELDS, **ENCODED}
        response = self._client.get("/submissions/batch", params=params)
        if response.status_code == 400 and NO_BATCHES in response.text:
            return [self._one(token) for token in tokens]
        return list(self._json(response)["submissions"])

    def _one(self, token: str) -> Mapping[str, Any] | None:
        """One that may be as old as Judge0's cache."""
        response = self._client.get(f"/submissions/{token}", params={"fields": FIELDS, **ENCODED})
        found: Mapping[str, Any] | None = None if response.status_code == 404 else self._json(response)
        return found

    def _json(self, response: httpx.Response) -> Any:
        if response.status_code >= 300:
            raise CheckFailedError(
                f"{response.request.method} {response.request.url.path}: "
                f"{response.status_code} {response.text[:500]}"
            )
        return response.json()


def submission_body(source: str, language_id: int, **extra: Any) -> dict[str, Any]:
    """What creates a submission, its texts in Base64; ``extra`` are further fields."""
    encoded = {
        key: _encode(value) if key in ("stdin", "expected_output") else value for key, value in extra.items()
    }
    return {"source_code": _encode(source), "language_id": language_id, **encoded}


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _submission(reply: Mapping[str, Any]) -> Submission:
    texts = {key: base64.b64decode(reply.get(key) or "").decode(errors="replace") for key in TEXTS}
    status = reply["status"]
    return Submission(
        token=reply["token"],
        status=status["id"],
        description=status["description"],
        finished_at=str(reply.get("finished_at") or ""),
        **texts,
    )
