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
        encoded = {
            key: _encode(value) if key in ("stdin", "expected_output") else value
            for key, value in extra.items()
        }
        body = {"source_code": _encode(source), "language_id": language_id, **encoded}
        response = self._client.post("/submissions", params={"base64_encoded": "true"}, json=body)
        if response.status_code == 503:
            raise InconclusiveError(f"Judge0 takes no submission now: {response.text[:200]}")
        return str(self._json(response)["token"])

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
        params = {"tokens": ",".join(tokens), "base64_encoded": "true", "fields": FIELDS}
        return list(self._json(self._client.get("/submissions/batch", params=params))["submissions"])

    def _json(self, response: httpx.Response) -> Any:
        if response.status_code >= 300:
            raise CheckFailedError(
                f"{response.request.method} {response.request.url.path}: "
                f"{response.status_code} {response.text[:500]}"
            )
        return response.json()


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
