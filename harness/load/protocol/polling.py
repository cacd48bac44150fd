"""Polling for the results of created submissions: one poller for all tokens, up to 20 tokens per request.

The cost is bounded: every ``route.poll_seconds`` at most ``POLLS_AT_ONCE`` requests (160 tokens) are sent; if
more are in flight, tokens take turns. So a final status is seen up to ``poll_seconds`` and one round trip
late, half of it on average, and with N > 160 in flight up to N / 160 times that: by Little's law no more than
the throughput over ``160 / poll_seconds`` of the latency itself, 2 % at 64 submissions a second. Judge0's own
timestamps (``judged_us``) do not have this error.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from harness.judge0 import reading, requests
from harness.judge0.api import BATCH_LIMIT, is_final
from harness.judge0.reading import Submission, UnreadableError
from harness.load.model import SECOND, Outcome
from harness.load.protocol.judging import declined, unanswered

if TYPE_CHECKING:
    from harness.load.engine.request import Answer
    from harness.load.protocol.following import Following

POLLS_AT_ONCE = 8
# A poll takes Judge0 some milliseconds; one that is lost delays the submissions that it asks for.
POLL_TIMEOUT = 10 * SECOND
Asked = tuple[int, str]


class Poller:
    """Polls for submissions until they have a final status, or are late."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self._every = round(following.route.poll_seconds * SECOND)
        self._waiting: deque[Asked] = deque()
        self._due = False
        self._trouble = ""

    def follow(self, number: int, token: str) -> None:
        """A submission was created."""
        self._waiting.append((number, token))
        self._wake()

    def _wake(self) -> None:
        if not self._due:
            self._due = True
            self._following.engine.later(self._every, self._round)

    def _round(self) -> None:
        """Ask for what has waited longest."""
        self._due = False
        for _ in range(POLLS_AT_ONCE):
            asked = self._next()
            if not asked:
                break
            self._poll(asked)
        if self._waiting:
            self._wake()

    def _next(self) -> list[Asked]:
        asked: list[Asked] = []
        while self._waiting and len(asked) < BATCH_LIMIT:
            number, token = self._waiting.popleft()
            if self._is_wanted(number):
                asked.append((number, token))
        return asked

    def _is_wanted(self, number: int) -> bool:
        following = self._following
        if following.is_under_way(number) and following.is_late(number):
            trouble = f"; polling: {self._trouble}" if self._trouble else ""
            following.give_up(number, f"no final status{trouble}")
        return following.is_under_way(number)

    def _poll(self, asked: list[Asked]) -> None:
        route = self._following.route
        request = requests.encode(
            route, requests.fetch([token for _, token in asked], requests.fields(route))
        )
        engine = self._following.engine
        engine.ask(request, lambda answer: self._polled(asked, answer), engine.now() + POLL_TIMEOUT)

    def _polled(self, asked: list[Asked], answer: Answer) -> None:
        """Poll again for what is unfinished, or for everything if there was no answer or a refusal."""
        failed = unanswered(answer) or declined(answer.status, answer.body)
        if failed:
            self._trouble = failed[1]
            if 400 <= answer.status < 500 and failed[0] is Outcome.FAILED:
                self._fail(asked, failed[1])
            else:
                self._again(asked)
            return
        runs = [requests.runs_of(self._following.program(number)) for number, _ in asked]
        try:
            found = reading.read_many(answer.body, runs)
        except UnreadableError as error:
            self._fail(asked, str(error))
            return
        for each, submission in zip(asked, found, strict=True):
            self._found(each, submission, answer.answered)

    def _found(self, asked: Asked, submission: Submission | None, at: int) -> None:
        number, token = asked
        if submission is None:
            message = f"Judge0 does not know what it accepted: token {token}"
            self._following.end(number, Outcome.FAILED, message, at)
        elif is_final(submission.status):
            self._following.judge(number, submission, at)
        else:
            self._again([asked])

    def _again(self, asked: list[Asked]) -> None:
        self._waiting.extend(asked)
        self._wake()

    def _fail(self, asked: list[Asked], message: str) -> None:
        for number, _ in asked:
            self._following.end(number, Outcome.FAILED, message)
