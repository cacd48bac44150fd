"""A synchronous client of Judge0: it creates submissions without waiting, and polls by batch (not cached)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.wait import NotYet, wait_for
from harness.judge0 import reading, requests
from harness.judge0.api import BATCH_LIMIT, is_final
from harness.judge0.reading import Submission, UnreadableError
from harness.judge0.requests import Request

T = TypeVar("T")

FULL = 503
NO_BATCHES = "batched submissions are not allowed"
FIELDS = (
    "token", "status", "time", "memory", "finished_at", "stdout", "stderr", "compile_output", "message",
)  # fmt: skip


class Judge0:
    """A Judge0 behind an HTTP client whose base URL is its own, and whose headers are those it requires."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        """The JSON at ``path``. Raises ``CheckFailedError``."""
        return _taken(self._ask(Request("GET", path))).json()

    def post(self, body: Mapping[str, Any]) -> httpx.Response:
        """Post a submission as it is, and return the raw response."""
        return self._ask(Request("POST", requests.SUBMISSIONS, requests.dump(body)))

    def run(self, source: str, language_id: int, *, deadline: float = 60.0, **extra: Any) -> Submission:
        """Create one submission and wait for its final status; ``extra`` are further fields."""
        return self.wait([self.create(source, language_id, **extra)], deadline=deadline)[0]

    def create(self, source: str, language_id: int, **extra: Any) -> str:
        """Create one submission and return its token. A full queue is a doubt, other refusals a failure."""
        response = self._create([requests.submission(source, language_id, **extra)])
        if response.status_code == FULL:
            raise InconclusiveError(f"Judge0 takes no submission now: {response.text[:200]}")
        return _read(response, reading.read_created)

    def create_many(self, bodies: Sequence[Mapping[str, Any]]) -> list[str] | None:
        """Create several at once, as `requests.submission` makes them; their tokens, or None if it is full.

        A single one is created without a batch, which a Judge0 without batches can do, too. Raises
        ``CheckFailedError`` where one of them is refused.
        """
        response = self._create(bodies)
        if response.status_code == FULL:
            return None
        if len(bodies) == 1:
            return [_read(response, reading.read_created)]
        found = _read(response, lambda body: reading.read_created_many(body, len(bodies)))
        refused = [each for each in found if isinstance(each, UnreadableError)]
        if refused:
            raise CheckFailedError(
                f"{_describe(response)}: {len(refused)} of {len(bodies)} refused: {refused[0]}"
            )
        return [str(each) for each in found]

    def wait(self, tokens: Sequence[str], *, deadline: float = 60.0) -> list[Submission]:
        """The submissions in their final status, in order. Raises ``WaitTimeoutError``."""

        def probe() -> list[Submission]:
            found = self._known(tokens)
            lagging = [each for each in found if not is_final(each.status)]
            if lagging:
                raise NotYet(", ".join(f"{each.token} {each.description}" for each in lagging))
            return found

        return wait_for(f"{len(tokens)} submissions to be judged", probe, deadline=deadline, max_pause=0.5)

    def fetch(self, tokens: Sequence[str]) -> list[Submission | None]:
        """Up to ``BATCH_LIMIT`` submissions as they are now; None for one that Judge0 does not know."""
        response = self._ask(requests.fetch(tokens, FIELDS))
        if response.status_code == 400 and NO_BATCHES in response.text:
            return [self._fetch_one(token) for token in tokens]
        return _read(response, lambda body: reading.read_many(body, [1] * len(tokens)))

    def _known(self, tokens: Sequence[str]) -> list[Submission]:
        found = self.fetch(tokens)
        lost = [token for token, each in zip(tokens, found, strict=True) if each is None]
        if lost:
            raise CheckFailedError(f"Judge0 does not know what it accepted: {', '.join(lost)}")
        return [each for each in found if each is not None]

    def _fetch_one(self, token: str) -> Submission | None:
        response = self._ask(requests.fetch_one(token, FIELDS))
        return None if response.status_code == 404 else _read(response, reading.read_one)

    def _create(self, bodies: Sequence[Mapping[str, Any]]) -> httpx.Response:
        made = [requests.dump(each) for each in bodies]
        return self._ask(requests.create(made[0]) if len(made) == 1 else requests.create_many(made))

    def _ask(self, request: Request) -> httpx.Response:
        if request.method == "GET":
            return self._client.get(request.path)
        headers = {"Content-Type": "application/json"}
        return self._client.post(request.path, content=request.body, headers=headers)


def batches(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    """Tokens, in groups that one ``fetch`` takes."""
    return (tokens[at : at + BATCH_LIMIT] for at in range(0, len(tokens), BATCH_LIMIT))


def _read(response: httpx.Response, read: Callable[[bytes], T]) -> T:
    """An answer, parsed by ``read``. Raises ``CheckFailedError`` for a refusal, or an unexpected form."""
    try:
        return read(_taken(response).content)
    except UnreadableError as error:
        raise CheckFailedError(f"{_describe(response)}: {error}") from error


def _taken(response: httpx.Response) -> httpx.Response:
    if response.status_code >= 300:
        raise CheckFailedError(f"{_describe(response)}: {response.status_code} {response.text[:500]}")
    return response


def _describe(response: httpx.Response) -> str:
    return f"{response.request.method} {response.request.url.path}"
