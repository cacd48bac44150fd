"""Programs submitted at a front door while something breaks, and the outcome of each."""

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
from harness.faults.final_status import read_twice, require_room
from harness.faults.history import Begun, Entry, Journal, Judgement, begun, judge
from harness.faults.pace import UNMEASURED, Measure, Pace
from harness.faults.steady import Request, Requests, Steady, Submissions
from harness.judge0 import frontdoor
from harness.judge0.api import ACCEPTED_TEXT
from harness.judge0.single import SingleUseClient
from harness.target.target import Target
from harness.topology.model import FrontDoor

LIST_EVERY, REQUEST_EVERY = 1.5, 0.1
# Longer than it takes until another worker has run a program that was submitted at the wrong moment.
ANSWER_SECONDS = 90.0
FIRST_ANSWERS, FIRST_SECONDS = 4, 30.0
GO_ON_SECONDS = 60.0


@dataclass(frozen=True)
class Source:
    """Where programs are submitted: ``address`` is the public one of the node whose front door is used.

    An answer is waited for ``answer_seconds``. ``seed`` makes the programs; the same one makes the same.
    """

    target: Target
    door: FrontDoor
    address: str
    answer_seconds: float = ANSWER_SECONDS
    seed: str = field(default_factory=partial(secrets.token_hex, 4))


class Workload:
    """A running stream of submissions, and with ``requests`` one of requests; ``file`` gets the history."""

    def __init__(
        self,
        client: SingleUseClient,
        source: Source,
        journal: Journal,
        file: Path,
        *,
        requests: bool = False,
        pace: Pace = UNMEASURED,
    ) -> None:
        self.pace = pace
        self.client, self.door, self.file = client, source.door, file
        self.journal, self.seed = journal, source.seed
        self._answer_seconds = source.answer_seconds
        self._submissions = Submissions(client, source.door, journal, source.seed)
        self._requests = Requests(client, source.door.path)
        self._streams = [Steady(self._submissions.submit, every=pace.every)]
        if requests:
            self._streams.append(Steady(self._requests.ask, every=REQUEST_EVERY))
        # It shows the newest entries only, so it is read until the last answer has come.
        listing = [Steady(self._submissions.read_listing, every=LIST_EVERY)] if source.door.history else []
        self._listing = listing

    def entries(self) -> tuple[Entry, ...]:
        """The history so far."""
        return self.journal.entries()

    def begun(self, since: float, until: float = math.inf) -> list[Begun]:
        """The submissions made within a time, each with its end if it has one by now."""
        return begun(self.entries(), since, until)

    def await_first_answers(self) -> None:
        """Wait until some were accepted. Raises ``WaitTimeoutError`` with the outcome of the last one."""

        def probe() -> None:
            ended = [end for _, end in self.begun(0) if end is not None]
            accepted = [each for each in ended if each.is_accepted]
            if len(accepted) < FIRST_ANSWERS:
                reason = f"; the last of {len(ended)}: {_describe_end(ended[-1])}" if ended else ""
                raise NotYet(f"{len(accepted)} were accepted{reason}")

        wait_for("submissions to be accepted", probe, deadline=FIRST_SECONDS, max_pause=0.1)

    def await_more(self, number: int) -> float:
        """Wait until ``number`` more submissions were begun and answered; returns the time."""
        since = time.time()

        def probe() -> float:
            submitted = self.begun(since)
            answered = len(submitted) - _open(submitted)
            if answered < number:
                raise NotYet(f"{answered} of {number} submissions are answered")
            return time.time()

        return wait_for("submissions to be answered", probe, deadline=GO_ON_SECONDS, max_pause=0.2)

    def await_answers(self, since: float, until: float, deadline: float = ANSWER_SECONDS) -> list[Entry]:
        """The ends of the submissions made within a time. Raises ``WaitTimeoutError`` where some hang."""

        def probe() -> list[Entry]:
            found = self.begun(since, until)
            if missing := _open(found):
                raise NotYet(f"{missing} submissions are without an answer")
            return [end for _, end in found if end is not None]

        return wait_for("answers to the submissions", probe, deadline=deadline, max_pause=0.3)

    def failed(self, since: float) -> list[str]:
        """Descriptions of what was begun since then and not answered well, once all of it has ended.

        Raises ``WaitTimeoutError`` where some of it hangs, ``InconclusiveError`` where Judge0's queue was
        full.
        """
        ended = self.await_answers(since, time.time())
        require_room(ended)
        return [*failed_submissions(ended), *failed_requests(self._asked(since))]

    def describe(self, since: float) -> str:
        """How many were answered since then, and how long it took at most."""
        asked, submitted = self._asked(since), self.begun(since)
        slowest = max((each.ended - each.begun for each in asked), default=0.0)
        answered = len(submitted) - _open(submitted)
        return f"{answered} submissions and {len(asked)} requests, of which the slowest took {slowest:.1f} s"

    def break_off(self, before: float) -> None:
        """Await no answers on connections that were made ``before``: what they led to has lost its power."""
        self.client.break_off(before)

    def start_nothing_more(self) -> None:
        """Submit nothing more, without waiting for the last answers; the front door's history is read on."""
        for each in self._streams:
            each.start_nothing_more()

    def stop(self) -> None:
        """Start nothing more, and wait for the last answers."""
        for streams in (self._streams, self._listing):
            while streams:
                streams.pop(0).stop(self._answer_seconds)
        if self.door.history:
            self._submissions.read_listing()

    def judged(self, open_judge0: Callable[[], AbstractContextManager[httpx.Client]]) -> Judgement:
        """Stop the stream, poll Judge0's own API (see ``open_judge0``), and judge every submission."""
        self.stop()
        read_twice(self.journal, open_judge0)
        return judge(self.entries(), listing=bool(self.door.history))

    def _asked(self, since: float) -> list[Request]:
        return [each for each in self._requests.made() if each.begun >= since]


@contextmanager
def submitting(
    source: Source, file: Path, *, requests: bool = False, pace: Measure | None = None
) -> Iterator[Workload]:
    """Submit programs, a few a second, until the block ends; ``file`` gets the history.

    With ``requests`` the front door also gets ten cheap requests a second. ``pace`` says first how often to
    submit.
    """
    journal = Journal(file)
    with ExitStack() as stack:
        stack.callback(journal.close)
        opened = frontdoor.open_client(
            source.target, source.address, source.door, timeout=source.answer_seconds
        )
        client = stack.enter_context(opened)
        found = pace(client, source.door) if pace else UNMEASURED
        workload = Workload(client, source, journal, file, requests=requests, pace=found)
        stack.callback(workload.stop)
        yield workload


@contextmanager
def requesting(requests: Requests) -> Iterator[Requests]:
    """Send requests to a load balancer, ten a second, until the block ends."""
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
    """Those that were not answered, or with an error of the server.

    A request that is refused as such, like a GET where programs are posted, did arrive.
    """
    return [
        f"{each.asked}: {each.code or 'no answer'} {each.said}" for each in made if not 200 <= each.code < 500
    ]


def _open(submitted: Sequence[Begun]) -> int:
    return sum(end is None for _, end in submitted)


def _describe_end(last: Entry) -> str:
    return f"{last.code or 'no answer'} {last.said[:200] or last.status}".strip()
