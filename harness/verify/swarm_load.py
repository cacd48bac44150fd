"""Work that goes on while a swarm is changed: programs at the front door, and cheap requests."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.faults.final_status import look_twice
from harness.faults.history import Entry, Journal, Judgement, judge
from harness.faults.steady import Request, Requests, Steady, Submissions
from harness.judge0 import frontdoor
from harness.judge0.api import ACCEPTED_TEXT
from harness.judge0.route import to_judge0
from harness.topology.model import FrontDoor
from harness.verify import shares
from harness.verify.setup import Setup
from harness.wait import NotYet, wait_for

SUBMIT_EVERY, LIST_EVERY, REQUEST_EVERY = 0.35, 1.5, 0.1
# Longer than a program may take that is handed in at the wrong moment, until another worker has run it.
ANSWER_SECONDS = 90.0
GO_ON_SECONDS = 60.0


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

    def go_on(self, number: int) -> float:
        """Let ``number`` more submissions be begun and answered; returns when that was so."""
        since = time.time()

        def probe() -> float:
            answered = sum(end is not None for _, end in self._begun(since))
            if answered < number:
                raise NotYet(f"{answered} of {number} submissions are answered")
            return time.time()

        return wait_for("submissions to be answered", probe, deadline=GO_ON_SECONDS, max_pause=0.2)

    def failed(self, since: float) -> list[str]:
        """What was begun since then and not answered as it should be, in words, once all of that has ended.

        Raises ``WaitTimeoutError`` where some of it hangs.
        """
        until = time.time()

        def probe() -> list[Entry]:
            ends = [end for begun, end in self._begun(since) if begun.at <= until]
            if None in ends:
                raise NotYet(f"{ends.count(None)} submissions are without an answer")
            return [end for end in ends if end is not None]

        ended = wait_for("answers to what was handed in", probe, deadline=ANSWER_SECONDS, max_pause=0.3)
        return [*failed_submissions(ended), *failed_requests(self._asked(since))]

    def told(self, since: float) -> str:
        """How much was answered since then, and how long it took at most."""
        asked = self._asked(since)
        slowest = max((each.ended - each.begun for each in asked), default=0.0)
        answered = sum(end is not None for _, end in self._begun(since))
        return f"{answered} submissions and {len(asked)} requests, of which the slowest took {slowest:.1f} s"

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

    def _begun(self, since: float) -> list[tuple[Entry, Entry | None]]:
        """The submissions that were begun since then, each with its end if it has one."""
        entries = self._submissions.journal.entries()
        ends = {each.op: each for each in entries if each.kind in ("ok", "fail", "info")}
        return [(each, ends.get(each.op)) for each in entries if each.kind == "invoke" and each.at >= since]

    def _asked(self, since: float) -> list[Request]:
        return [each for each in self._requests.made() if each.begun >= since]


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


@contextmanager
def under_load(setup: Setup, door: FrontDoor) -> Iterator[Load]:
    """Submissions and requests at the front door until the block ends; the history is kept with the run.

    The requests go where programs are handed in, and ask for nothing that anybody would have to work for.
    """
    file = setup.choice.run_dir.path / "history-swarm.jsonl"
    address = setup.deployment.nodes[door.node].public_ip or ""
    journal = Journal(file)
    with ExitStack() as stack:
        stack.callback(journal.close)
        client = stack.enter_context(frontdoor.open_single(setup.target, address, timeout=ANSWER_SECONDS))
        submissions = Submissions(client, door, journal, secrets.token_hex(4))
        load = Load(setup, door, submissions, Requests(client, door.path), file)
        stack.callback(load.stop)
        yield load


@contextmanager
def balancer_asked(setup: Setup) -> Iterator[Requests]:
    """Requests straight to Judge0's load balancer until the block ends; it must not move meanwhile.

    Each takes a connection of its own: a standing one may be closed just as it is used again, which is no
    fault of the balancer's.
    """
    with to_judge0(setup) as client:
        client.headers["connection"] = "close"
        requests = Requests(client, shares.PATH)
        steady = Steady(requests.ask, every=REQUEST_EVERY)
        try:
            yield requests
        finally:
            steady.stop(frontdoor.TIMEOUT)
