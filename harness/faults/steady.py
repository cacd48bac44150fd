"""A stream at a constant rate: each call in a thread of its own, without waiting for the one before.

``Steady`` keeps the rate, ``Submissions`` submits programs at the front door and records their history,
``Requests`` asks a load balancer and records the outcome of each request.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Any

import httpx

from harness.core.errors import CheckFailedError
from harness.core.parallel import Pool
from harness.core.wait import scaled
from harness.faults.history import Entry, Journal
from harness.judge0 import frontdoor
from harness.judge0.api import FINAL_TEXTS, IDS
from harness.judge0.model import Program
from harness.judge0.programs import COMPILED, sleeping
from harness.judge0.reading import UnreadableError, token_in, value_at
from harness.topology.model import FrontDoor

THREADS = 256
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.PoolTimeout)
NAPS = (0, 0, 0, 0.2, 0.5, 1, 4)
CHEAPEST_FIRST = ("bash", "python", "javascript", "c", "cpp")
LONGEST = 2000
SLOW = 10.0  # a request that takes longer than this counts as hanging


class Steady:
    """Calls ``act`` with 0, 1, 2, ... every ``every`` seconds until stopped. ``act`` raises nothing.

    ``WAVETANK_TIMEOUT_SCALE`` stretches the pace: a stream must not disturb a slow machine either.
    """

    def __init__(self, act: Callable[[int], None], *, every: float) -> None:
        self._act, self._every = act, scaled(every)
        self._over = threading.Event()
        self._pool = Pool(THREADS, thread_name_prefix="steady")
        self._pace = threading.Thread(target=self._run, daemon=True)
        self._begun: list[Any] = []
        self._pace.start()

    def start_nothing_more(self) -> None:
        """Let what was started go on, without waiting for it."""
        self._over.set()
        self._pace.join()

    def stop(self, deadline: float) -> None:
        """Start nothing more, and wait up to ``deadline`` seconds for what was started. Raises its errors."""
        self.start_nothing_more()
        done, late = wait(self._begun, timeout=scaled(deadline))
        self._pool.shutdown(wait=not late, cancel_futures=True)
        for each in done:
            each.result()

    def _run(self) -> None:
        number, due = 0, time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._begun.append(self._pool.submit(self._act, number))
            number += 1
            due = max(due + self._every, time.monotonic() - 1)  # a machine that fell behind need not catch up


def program(seed: str, op: int, languages: Collection[str] = IDS) -> Program:
    """The submission number ``op`` of a stream: the same for the same seed, with a nap of up to 4 s.

    Two of three are in the cheapest of ``languages``, by our names, the others in the next one. What must be
    compiled is left aside where there is anything else: a busy machine gives up on a compiler first.
    """
    expected, nap = f"{seed}-{op:05d}", random.Random(f"{seed}:{op}").choice(NAPS)  # noqa: S311 (no secret)
    known = [each for each in CHEAPEST_FIRST if each in languages]
    cheapest = ([each for each in known if each not in COMPILED] or known)[:2]
    language = cheapest[0 if op % 3 else -1]
    return Program(expected, language, sleeping(language, nap, expected), stdout=expected)


class Submissions:
    """Submits programs at the front door, one for each number, and records the outcome of each.

    ``client`` must use a new connection for each request: on an open one to a machine without power, it would
    be unknown what was sent and what was not.
    """

    def __init__(self, client: httpx.Client, door: FrontDoor, journal: Journal, seed: str) -> None:
        self._client, self._door, self.journal, self.seed = client, door, journal, seed
        self._listed: dict[tuple[int, str], int] = {}
        self._pattern = re.compile(rf"{re.escape(seed)}-(\d{{5}})")

    def submit(self, op: int) -> None:
        """One submission, from its invocation to its end."""
        chosen = program(self.seed, op, frontdoor.languages(self._door))
        self.journal.add(Entry("invoke", time.time(), op, via="front door", expected=chosen.stdout or ""))
        self.journal.add(self._outcome(op, chosen))

    def _outcome(self, op: int, chosen: Program) -> Entry:
        def entry(kind: Any, **more: Any) -> Entry:
            return Entry(kind, time.time(), op, via="front door", **more)

        body = frontdoor.body(self._door, chosen)
        try:
            response = self._client.post(self._door.path, json=body)
        except NOT_SENT as error:
            return entry("fail", said=repr(error))
        except httpx.HTTPError as error:
            return entry("info", said=repr(error))
        token = token_in(response.content, self._door.reply)
        if response.status_code >= 300:
            return entry("fail", code=response.status_code, token=token, said=response.text[:LONGEST])
        try:
            answer = frontdoor.read_answer(self._door, response.json())
        except (ValueError, CheckFailedError) as error:
            return entry("info", code=response.status_code, token=token, said=str(error)[:LONGEST])
        return entry(
            "ok",
            code=response.status_code,
            token=answer.token,
            status=answer.status,
            final=answer.status in FINAL_TEXTS,
            output=answer.stdout,
        )

    def read_listing(self, _: int = 0) -> None:
        """Ask the front door for its history, and record which of our submissions it has, and how often."""
        try:
            document = self._client.get(self._door.history).json()
        except (httpx.HTTPError, ValueError):
            return  # it is down; the next one counts
        for key, count in self._count(document).items():
            if count > self._listed.get(key, 0):
                self._listed[key] = count
                self.journal.add(Entry("listed", time.time(), key[0], token=key[1], count=count))

    def _count(self, document: Any) -> Mapping[tuple[int, str], int]:
        counts: dict[tuple[int, str], int] = {}
        for item in items(document):
            found = self._pattern.search(json.dumps(item))
            if found:
                key = (int(found[1]), self._token(item))
                counts[key] = counts.get(key, 0) + 1
        return counts

    def _token(self, item: Mapping[str, Any]) -> str:
        try:
            return str(value_at(item, self._door.reply["token"]) or "")
        except (UnreadableError, KeyError):
            return ""


def items(document: Any) -> Iterator[Mapping[str, Any]]:
    """The entries of a listing: the objects of the outermost lists in a JSON document."""
    if isinstance(document, list):
        yield from (each for each in document if isinstance(each, Mapping))
    elif isinstance(document, Mapping):
        for value in document.values():
            yield from items(value)


def is_json_object(text: str) -> bool:
    """Whether a body is a JSON object, as an API's error is; a page of HTML is not."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


@dataclass(frozen=True)
class Request:
    """One request and its outcome: begun and ended in seconds since 1970; ``code`` 0: no answer."""

    begun: float
    ended: float
    asked: str
    code: int
    said: str = ""


class Requests:
    """Sends the same cheap request to a load balancer over and over, and records each outcome."""

    def __init__(self, client: httpx.Client, path: str) -> None:
        self._client, self._path = client, path
        self._lock = threading.Lock()
        self._made: list[Request] = []

    def ask(self, number: int) -> None:
        """One request."""
        begun = time.time()
        try:
            response = self._client.get(self._path, params={"wt": number}, timeout=scaled(SLOW))
        except httpx.HTTPError as error:
            made = Request(begun, time.time(), f"GET {self._path}", 0, repr(error))
        else:
            made = Request(begun, time.time(), f"GET {self._path}", response.status_code, response.text[:200])
        with self._lock:
            self._made.append(made)

    def made(self) -> tuple[Request, ...]:
        """All that have ended so far."""
        with self._lock:
            return tuple(self._made)
