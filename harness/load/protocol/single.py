"""Single submissions: each arrival is a request of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.judge0 import reading, requests
from harness.judge0.reading import Submission, UnreadableError
from harness.load.model import Outcome

if TYPE_CHECKING:
    from harness.judge0.model import Route
    from harness.load.engine.request import Answer
    from harness.load.model import Workload
    from harness.load.protocol.following import Following


class WaitProtocol:
    """The answer to the request is the outcome: ``wait=true``, and front doors."""

    def __init__(self, following: Following, workload: Workload) -> None:
        self._following = following
        self._requests = encoded(following.route, workload)
        self._runs = [requests.runs_of(each) for each in workload.programs]

    def begin(self, number: int, intended: int) -> None:
        """Submit an arrival."""
        program = self._following.begin(number, intended)
        self._following.engine.ask(
            self._requests[program], lambda answer: self._answered(number, program, answer)
        )

    def finish(self) -> None:
        """End what is in flight."""
        self._following.finish()

    def _answered(self, number: int, program: int, answer: Answer) -> None:
        following = self._following
        if not following.answer(number, answer):
            return
        try:
            submission = self._read(answer.body, self._runs[program])
        except UnreadableError as error:
            following.end(number, Outcome.FAILED, str(error), answer.answered)
            return
        following.accept(number, answer.answered)
        following.judge(number, submission, answer.answered)

    def _read(self, body: bytes, runs: float) -> Submission:
        route = self._following.route
        return (
            reading.read_one(body, runs=runs)
            if route.entry_point == "judge0"
            else reading.read_front_door(route.reply, body, route.statuses)
        )


class CreateProtocol:
    """The answer is a token; ``follow`` gets it and follows the submission."""

    def __init__(self, following: Following, workload: Workload, follow: Callable[[int, str], None]) -> None:
        self._following, self._follow = following, follow
        self._requests = encoded(following.route, workload)

    def begin(self, number: int, intended: int) -> None:
        """Create a submission."""
        request = self._requests[self._following.begin(number, intended)]
        self._following.engine.ask(
            request, lambda answer: created(self._following, number, answer, self._follow)
        )

    def finish(self) -> None:
        """End what is in flight."""
        self._following.finish()


def created(following: Following, number: int, answer: Answer, follow: Callable[[int, str], None]) -> None:
    """Handle the answer to a creation: ``follow`` the token, or end the arrival."""
    if not following.answer(number, answer):
        return
    try:
        token = reading.read_created(answer.body)
    except UnreadableError as error:
        following.end(number, Outcome.FAILED, str(error), answer.answered)
        return
    following.accept(number, answer.answered)
    follow(number, token)


def encoded(route: Route, workload: Workload) -> list[bytes]:
    """The bytes of the request that submits each program."""
    return [requests.encode(route, requests.submit(route, each)) for each in workload.programs]
