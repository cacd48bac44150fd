"""Programs handed in at a front door while something breaks, and what came of each."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from harness.core.wait import NotYet, wait_for
from harness.faults.final_status import look_twice
from harness.faults.history import Begun, Entry, Journal, Judgement, begun, judge
from harness.faults.steady import Request, Requests, Steady, Submissions
from harness.judge0 import frontdoor
from harness.judge0.api import ACCEPTED_TEXT
from harness.target.target import Target
from harness.topology.model import FrontDoor

SUBMIT_EVERY, LIST_EVERY, REQUEST_EVERY = 0.35, 1.5, 0.1
# Longer than a program may take that is handed in at the wrong moment, until another worker has run it.
ANSWER_SECONDS = 90.0
FIRST_ANSWERS, FIRST_SECONDS = 4, 30.0
GO_ON_SECONDS = 60.0


@dataclass(frozen=True)
class Source:
    """Where programs are handed in: ``address`` is the public one of the node whose door is used.

    An answer is waited for ``answer_seconds``. ``seed`` makes the programs; the same one makes the same.
    """

    target: Target
    door: FrontDoor
    address: str
    answer_seconds: float = ANSWER_SECONDS
    seed: str = field(default_factory=partial(secrets.token_hex, 4))


class Workload:
    """The submissions, and with ``requests`` those too, while they go on; ``file`` keeps the history."""

    def __init__(
        self, client: httpx.Client, source: Source, journal: Journal, file: Path, *, requests: bool = False
    ) -> None:
        self.client, self.door, self.file = client, source.door, file
        self.journal, self.seed = journal, source.seed
        self._answer_seconds = source.answer_seconds
        self._submissions = Submissions(client, source.door, journal, source.seed)
        self._requests = Requests(client, source.door.path)
        self._streams = [Steady(self._submissions.submit, every=SUBMIT_EVERY)]
        if requests:
            self._streams.append(Steady(self._requests.ask, every=REQUEST_EVERY))
        if source.door.history:
            self._streams.append(Steady(self._submissions.look_at_listing, every=LIST_EVERY))

    def entries(self) -> tuple[Entry, ...]:
        """The history so far."""
        return self.journal.entries()

    def begun(self, since: float, until: float = math.inf) -> list[Begun]:
        """The submissions handed in within a time, each with its end if it has one by now."""
        return begun(self.entries(), since, until)

    def await_first_answers(self) -> None:
        """Wait until some were accepted. Raises ``WaitTimeoutError`` with what the last one met instead."""

        def probe() -> None:
            ended = [end for _, end in self.begun(0) if end is not None]
            accepted = [each for each in ended if each.kind == "ok"]
            if len(accepted) < FIRST_ANSWERS:
                met = f"; the last of {len(ended)}: {_met(ended[-1])}" if ended else ""
                raise NotYet(f"{len(accepted)} were accepted{met}")

        wait_for("submissions to be accepted", probe, deadline=FIRST_SECONDS, max_pause=0.1)

    def go_on(self, number: int) -> float:
        """Let ``number`` more submissions be begun and answered; returns when that was so."""
        since = time.time()

        def probe() -> float:
            handed_in = self.begun(since)
            answered = len(handed_in) - _open(handed_in)
            if answered < number:
                raise NotYet(f"{answered} of {number} submissions are answered")
            return time.time()

        return wait_for("submissions to be answered", probe, deadline=GO_ON_SECONDS, max_pause=0.2)

    def await_answers(self, since: float, until: float, deadline: float = ANSWER_SECONDS) -> list[Entry]:
        """The ends of what was handed in within a time. Raises ``WaitTimeoutError`` where some hang."""

        def probe() -> list[Entry]:
            found = self.begun(since, until)
            if missing := _open(found):
                raise NotYet(f"{missing} submissions are without an answer")
            return [end for _, end in found if end is not None]

        return wait_for("answers to what was handed in", probe, deadline=deadline, max_pause=0.3)

    def failed(self, since: float) -> list[str]:
        """What was begun since then and not answered as it should be, in words, once all of that has ended.

        Raises ``WaitTimeoutError`` where some of it hangs.
        """
        ended = self.await_answers(since, time.time())
        return [*failed_submissions(ended), *failed_requests(self._asked(since))]

    def describe(self, since: float) -> str:
        """How much was answered since then, and how long it took at most."""
        asked, handed_in = self._asked(since), self.begun(since)
        slowest = max((each.ended - each.begun for each in asked), default=0.0)
        answered = len(handed_in) - _open(handed_in)
        return f"{answered} submissions and {len(asked)} requests, of which the slowest took {slowest:.1f} s"

    def stop(self) -> None:
        """Begin nothing more, and wait for the last answers."""
        while self._streams:
            self._streams.pop(0).stop(self._answer_seconds)
        if self.door.history:
            self._submissions.look_at_listing()

    def judged(self, way: Callable[[], AbstractContextManager[httpx.Client]]) -> Judgement:
        """What became of every submission: stops them, and asks Judge0, to which ``way`` leads, twice."""
        self.stop()
        look_twice(self.journal, way)
        return judge(self.entries(), listing=bool(self.door.history))

    def _asked(self, since: float) -> list[Request]:
        return [each for each in self._requests.made() if each.begun >= since]


@contextmanager
def handing_in(source: Source, file: Path, *, requests: bool = False) -> Iterator[Workload]:
    """Hand programs in, a few a second, until the block ends; ``file`` gets the history.

    With ``requests`` the door is also asked, ten times a second, for what nobody would have to work for.
    """
    journal = Journal(file)
    with ExitStack() as stack:
        stack.callback(journal.close)
        single = frontdoor.open_single(source.target, source.address, timeout=source.answer_seconds)
        workload = Workload(stack.enter_context(single), source, journal, file, requests=requests)
        stack.callback(workload.stop)
        yield workload


@contextmanager
def asking(requests: Requests) -> Iterator[Requests]:
    """Ask a load balancer, ten times a second, until the block ends."""
    steady = Steady(requests.ask, every=REQUEST_EVERY)
    try:
        yield requests
    finally:
        steady.stop(frontdoor.TIMEOUT)


def failed_submissions(ended: Sequence[Entry]) -> list[str]:
    """Those that were refused, not answered, or did not run well."""
    return [
        f"submission {each.op}: {each.status or each.code or 'no answer'} {each.said[:200]}".strip()
        for each in ended
        if each.kind != "ok" or each.status != ACCEPTED_TEXT
    ]


def failed_requests(made: Sequence[Request]) -> list[str]:
    """Those that were not answered, or with an error of the server's.

    That a request is refused for what it is, like a GET where programs are posted, shows that it got there.
    """
    return [
        f"{each.asked}: {each.code or 'no answer'} {each.said}" for each in made if not 200 <= each.code < 500
    ]


def _open(handed_in: Sequence[Begun]) -> int:
    return sum(end is None for _, end in handed_in)


def _met(last: Entry) -> str:
    return f"{last.code or 'no answer'} {last.said[:200]}".strip()
