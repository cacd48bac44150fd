"""Requests of an application's own at its front door, and whether their answers are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

from harness.core.errors import CheckFailedError
from harness.topology.model import AppRequest

SHOWN = 300


def labels(requests: Iterable[AppRequest]) -> list[str]:
    """A name for each, of its method and path as written; a second one of the same has its number."""
    times: Counter[str] = Counter()
    found = []
    for name in map(str, requests):
        times[name] += 1
        found.append(f"{name} ({times[name]})" if times[name] > 1 else name)
    return found


class Visit:
    """Requests that are made once each and in order, whichever is asked for: later ones rely on earlier ones.

    ``request_of`` gives the request of a number, from 0.
    """

    def __init__(self, client: httpx.Client, request_of: Callable[[int], AppRequest]) -> None:
        self._client, self._request_of = client, request_of
        self._made: list[httpx.Response | CheckFailedError] = []

    def require_answer(self, number: int) -> httpx.Response:
        """The answer to a request, after all before it were made, however those were answered.

        Raises ``CheckFailedError`` where it is not as the request says.
        """
        while len(self._made) <= number:
            request = self._request_of(len(self._made))
            try:
                self._made.append(require_answer(self._client, request))
            except CheckFailedError as error:
                self._made.append(error)
        found = self._made[number]
        if isinstance(found, CheckFailedError):
            raise found
        return found


def require_answer(client: httpx.Client, request: AppRequest) -> httpx.Response:
    """Make a request. Raises ``CheckFailedError`` where it is not answered as it says."""
    try:
        answer = client.request(request.method.upper(), request.path, json=request.json)
    except httpx.HTTPError as error:
        raise CheckFailedError(f"{request}: {error!r}") from error
    if problem := wrong(request, answer):
        raise CheckFailedError(f"{request}: {problem}; it answered {answer.text[:SHOWN]!r}")
    return answer


def wrong(request: AppRequest, answer: httpx.Response) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if answer.status_code != request.status:
        return f"status {answer.status_code}, not {request.status}"
    if request.expected is None:
        return ""
    try:
        document = answer.json()
    except ValueError:
        return "it is not JSON"
    return _missing(request.expected, document, "the answer")


def _missing(expected: Any, found: Any, where: str) -> str:
    """Where ``found`` has not what is expected: of a mapping those keys at least, of a list each item."""
    parts: list[tuple[str, Any, Any]] = []
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        parts = [(f"{where}.{key}", value, found.get(key)) for key, value in expected.items()]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        both = zip(expected, found, strict=True)
        parts = [(f"{where}[{index}]", value, other) for index, (value, other) in enumerate(both)]
    elif not _same(expected, found):
        return f"{where} is {found!r:.{SHOWN}}, not {expected!r:.{SHOWN}}"
    return next((problem for place, a, b in parts if (problem := _missing(a, b, place))), "")


def _same(expected: Any, found: Any) -> bool:
    """Equal, where 1 and true are not."""
    return isinstance(expected, bool) == isinstance(found, bool) and bool(expected == found)
