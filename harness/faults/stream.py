"""Programs handed in at the front door all the while, as in every disturbing check, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from harness.faults.final_status import look_twice
from harness.faults.history import Entry, Journal, Judgement, judge
from harness.faults.steady import Steady, Submissions
from harness.judge0 import frontdoor
from harness.target import Target
from harness.topology.model import FrontDoor
from harness.wait import NotYet, wait_for

SUBMIT_EVERY, LIST_EVERY = 0.35, 1.5
# Longer than a program takes whose worker died, until another worker has run it.
ANSWER_SECONDS = 45.0
FIRST_ANSWERS, FIRST_SECONDS = 4, 30.0


@dataclass(frozen=True)
class Source:
    """Where programs are handed in: ``address`` is the public one of the node whose door is used.

    ``seed`` makes the programs; the same one makes the same.
    """

    target: Target
    door: FrontDoor
    address: str
    seed: str


class Stream:
    """The stream of one trial while it goes on."""

    def __init__(self, submissions: Submissions, *, listing: bool) -> None:
        self._submissions, self._listing = submissions, listing
        self._steady = [Steady(submissions.submit, every=SUBMIT_EVERY)]
        if listing:
            self._steady.append(Steady(submissions.look_at_listing, every=LIST_EVERY))

    def entries(self) -> tuple[Entry, ...]:
        """The history so far."""
        return self._submissions.journal.entries()

    def await_first_answers(self) -> None:
        """Wait until some were accepted. Raises ``WaitTimeoutError`` with what the last one met instead."""

        def probe() -> None:
            ended = [each for each in self.entries() if each.kind in ("ok", "fail", "info")]
            accepted = [each for each in ended if each.kind == "ok"]
            if len(accepted) < FIRST_ANSWERS:
                met = f"; the last of {len(ended)}: {_met(ended)}" if ended else ""
                raise NotYet(f"{len(accepted)} were accepted{met}")

        wait_for("submissions to be accepted", probe, deadline=FIRST_SECONDS, max_pause=0.1)

    def stop(self) -> None:
        """Hand nothing more in, and wait for the last answers."""
        while self._steady:
            self._steady.pop(0).stop(ANSWER_SECONDS)
        if self._listing:
            self._submissions.look_at_listing()

    def judged(self, way: Callable[[], AbstractContextManager[httpx.Client]]) -> Judgement:
        """What became of every submission: stops them, and asks Judge0, to which ``way`` leads, twice."""
        self.stop()
        look_twice(self._submissions.journal, way)
        return judge(self.entries(), listing=self._listing)


@contextmanager
def streaming(source: Source, file: Path) -> Iterator[Stream]:
    """Hand programs in until the block ends; ``file`` gets the history."""
    journal = Journal(file)
    try:
        with frontdoor.open_single(source.target, source.address, timeout=ANSWER_SECONDS) as client:
            submissions = Submissions(client, source.door, journal, source.seed)
            stream = Stream(submissions, listing=bool(source.door.history))
            try:
                yield stream
            finally:
                stream.stop()
    finally:
        journal.close()


def _met(ended: Sequence[Entry]) -> str:
    last = ended[-1]
    return f"{last.code or 'no answer'} {last.said[:200]}".strip()
