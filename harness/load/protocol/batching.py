"""Batches: arrivals that are due within ``SPAN`` of each other are created with one request.

The first of them waits for the others; that wait is part of its latency, because it is part of this mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.judge0 import reading, requests
from harness.judge0.reading import UnreadableError
from harness.load.model import SECOND, Outcome

if TYPE_CHECKING:
    from harness.load.engine.request import Answer
    from harness.load.model import Workload
    from harness.load.protocol.following import Following

SPAN = SECOND // 50


class BatchProtocol:
    """Collects arrivals, creates up to ``route.batch`` of them at once, and follows each."""

    def __init__(self, following: Following, workload: Workload, follow: Callable[[int, str], None]) -> None:
        self._following, self._follow = following, follow
        self._submissions = [requests.as_json(following.route, each) for each in workload.programs]
        self._collected: list[tuple[int, bytes]] = []
        self._sent = 0

    def begin(self, number: int, intended: int) -> None:
        """Add an arrival to the next batch."""
        program = self._following.begin(number, intended)
        self._collected.append((number, self._submissions[program]))
        if len(self._collected) >= self._following.route.batch:
            self._send()
        elif len(self._collected) == 1:
            sent = self._sent
            self._following.engine.later(SPAN, lambda: self._send_unless(sent))

    def finish(self) -> None:
        """End what is in flight."""
        self._following.finish()

    def _send_unless(self, sent: int) -> None:
        """Send the batch, unless it was full and already sent."""
        if self._sent == sent:
            self._send()

    def _send(self) -> None:
        numbers = [number for number, _ in self._collected if self._following.is_under_way(number)]
        submissions = [each for number, each in self._collected if self._following.is_under_way(number)]
        self._collected, self._sent = [], self._sent + 1
        if numbers:
            request = requests.encode(self._following.route, requests.create_many(submissions))
            self._following.engine.ask(request, lambda answer: self._created(numbers, answer))

    def _created(self, numbers: list[int], answer: Answer) -> None:
        answered = [number for number in numbers if self._following.answer(number, answer)]
        if not answered:
            return
        try:
            tokens = reading.read_created_many(answer.body, len(numbers))
        except UnreadableError as error:
            for number in numbers:
                self._following.end(number, Outcome.FAILED, str(error), answer.answered)
            return
        for number, token in zip(numbers, tokens, strict=True):
            self._taken(number, token, answer.answered)

    def _taken(self, number: int, token: str | UnreadableError, at: int) -> None:
        if isinstance(token, UnreadableError):
            self._following.end(number, Outcome.FAILED, str(token), at)
            return
        self._following.accept(number, at)
        self._follow(number, token)
