"""Work that goes on while a swarm is changed: programs at the front door and cheap requests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.topology.model import FrontDoor
from harness.verify import frontdoor, shares
from harness.verify.endings import look_twice
from harness.verify.history import Entry, Journal, Judgement, judge
from harness.verify.setup import Setup
from harness.verify.steady import Request, Requests, Steady, Submissions
from harness.verify.way import to_judge0
from harness.wait import NotYet, wait_for

SUBMIT_EVERY, LIST_EVERY, REQUEST_EVERY = 0.35, 1.5, 0.1
# Longer than a program may take that is handed in at the wrong moment, until another worker has run it.
ANSWER_SECONDS = 90.0
BEGUN_DEADLINE = 30.0


class Load:
    """The streams while they go on. ``file`` keeps the history of the submissions, in lines of JSON."""

    def __init__(
        self, setup: Setup, door: FrontDoor, submissions: Submissions, requests: Requests, file: Path
    ) -> None:
        self._setup, self._submissions, self._requests, self.file = setup, submissions, requests, file
        self._listing = bool(door.history)
        self._streams = [
            Steady(submissions.submit, every=SUBMIT_EVERY),
            Steady(requests.ask, every=REQUEST_EVERY),
        ]
        if self._listing:
            self._streams.append(Steady(submissions.look_at_listing, every=LIST_EVERY))

    def go_on(self, number: int) -> None:
        """Let at least ``number`` more submissions be answered."""
        wanted = len(self._ended()) + number

        def probe() -> None:
            if len(self._ended()) < wanted:
                raise NotYet(f"{len(self._ended())} of {wanted} submissions are answered")

        wait_for("submissions to be answered", probe, deadline=BEGUN_DEADLINE, max_pause=0.2)

    def stop(self) -> None:
        """Begin nothing more, and wait for what was begun."""
        while self._streams:
            self._streams.pop(0).stop(ANSWER_SECONDS)
        if self._listing:
            self._submissions.look_at_listing()

    def judgement(self) -> Judgement:
        """What became of every submission: stops them, and asks Judge0 about each, twice."""
        self.stop()
        look_twice(self._submissions.journal, lambda: to_judge0(self._setup))
        return judge(self._submissions.journal.entries(), listing=self._listing)

    def failed(self) -> list[str]:
        """The submissions and requests that were not answered as they should, in words. Stops them first."""
        self.stop()
        return [*failed_submissions(self._ended()), *failed_requests(self._requests.made())]

    def __str__(self) -> str:
        made = self._requests.made()
        slowest = max((each.ended - each.begun for each in made), default=0.0)
        return f"{len(self._ended())} submissions and {len(made)} requests, the slowest took {slowest:.1f} s"

    def _ended(self) -> list[Entry]:
        return [each for each in self._submissions.journal.entries() if each.kind in ("ok", "fail", "info")]


def failed_submissions(ended: Sequence[Entry]) -> list[str]:
    """Those that were refused, not answered, or did not run well."""
    return [
        f"submission {each.op}: {each.status or each.code or 'no answer'} {each.said[:200]}".strip()
        for each in ended
        if each.kind != "ok" or each.status != "Accepted"
    ]


def failed_requests(made: Sequence[Request]) -> list[str]:
    """Those that were answered with an error, or not at all."""
    return [f"{each.asked}: {each.code or 'no answer'} {each.said}" for each in made if each.code != 200]


@contextmanager
def under_load(setup: Setup, door: FrontDoor, name: str, *, balancer: bool = False) -> Iterator[Load]:
    """Submissions at the front door and cheap requests, until the block ends.

    The requests go through Judge0's ``balancer``, or to the front door's history. ``name`` tells the file
    of the history from others.
    """
    file = setup.choice.run_dir.path / f"history-{name}.jsonl"
    address = setup.deployment.nodes[door.node].public_ip or ""
    journal = Journal(file)
    with ExitStack() as stack:
        stack.callback(journal.close)
        client = stack.enter_context(frontdoor.open_single(setup.target, address, timeout=ANSWER_SECONDS))
        asked = stack.enter_context(to_judge0(setup)) if balancer else client
        requests = Requests(asked, shares.PATH if balancer else _cheap(door))
        load = Load(setup, door, Submissions(client, door, journal, secrets.token_hex(4)), requests, file)
        stack.callback(load.stop)
        yield load


def _cheap(door: FrontDoor) -> str:
    return door.history or "/"
