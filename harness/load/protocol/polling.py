"""Following what was created: one poller for all tokens, which asks for up to 20 of them at a time.

What that costs is bounded: every ``route.poll_seconds`` at most ``LOOKS`` requests, 160 tokens, begin; with
more under way, tokens take turns. So a final status is seen up to ``poll_seconds`` and one round trip late,
half of it on average, and with N > 160 under way up to N / 160 times that: by Little's law no more than the
throughput over ``160 / poll_seconds`` of the latency itself, 2 % at 64 submissions a second. Judge0's own
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

LOOKS = 8
# A look takes Judge0 some milliseconds; one that got lost holds up those that it asks for.
LOOK_PATIENCE = 10 * SECOND
Asked = tuple[int, str]


class Poller:
    """Asks for what it follows until that has a final status, or is late."""

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
        for _ in range(LOOKS):
            asked = self._next()
            if not asked:
                break
            self._look(asked)
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
            trouble = f"; looking for it: {self._trouble}" if self._trouble else ""
            following.give_up(number, f"no final status{trouble}")
        return following.is_under_way(number)

    def _look(self, asked: list[Asked]) -> None:
        route = self._following.route
        request = requests.encode(
            route, requests.fetch([token for _, token in asked], requests.fields(route))
        )
        engine = self._following.engine
        engine.ask(request, lambda answer: self._looked(asked, answer), engine.now() + LOOK_PATIENCE)

    def _looked(self, asked: list[Asked], answer: Answer) -> None:
        """Look again at what is unfinished, or at everything where there was no answer or a refusal."""
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
        for each, told in zip(asked, found, strict=True):
            self._found(each, told, answer.answered)

    def _found(self, asked: Asked, told: Submission | None, at: int) -> None:
        number, token = asked
        if told is None:
            said = f"Judge0 does not know what it accepted: token {token}"
            self._following.end(number, Outcome.FAILED, said, at)
        elif is_final(told.status):
            self._following.judge(number, told, at)
        else:
            self._again([asked])

    def _again(self, asked: list[Asked]) -> None:
        self._waiting.extend(asked)
        self._wake()

    def _fail(self, asked: list[Asked], said: str) -> None:
        for number, _ in asked:
            self._following.end(number, Outcome.FAILED, said)
