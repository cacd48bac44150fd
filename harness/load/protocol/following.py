"""One arrival from its request to its row in the recording: exactly one row, whatever the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from harness.judge0.model import NEVER, Program, Route
from harness.judge0.reading import Submission
from harness.load.model import SECOND, Outcome, Workload
from harness.load.protocol.judging import complaint, declined, judge, unanswered

if TYPE_CHECKING:
    from harness.load.engine.request import Answer
    from harness.load.workload import Chosen


class Transport(Protocol):
    """What a submission protocol needs of the engine. Times are ns since the run's start."""

    def now(self) -> int:
        """The time."""

    def ask(self, request: bytes, then: Callable[[Answer], None], give_up_at: int = 0) -> None:
        """Send a request when a connection is free, and pass its answer on.

        ``give_up_at`` 0: the arrival's own timeout.
        """

    def later(self, after_ns: int, action: Callable[[], None]) -> None:
        """Call ``action`` after a delay."""


class Recording(Protocol):
    """What a submission protocol needs of the recorder. Each method takes the number of an arrival."""

    def sent(self, number: int, at: int) -> None:
        """Its first byte was given to the kernel."""

    def accepted(self, number: int, at: int) -> None:
        """It was accepted."""

    def done(
        self,
        number: int,
        outcome: Outcome,
        at: int,
        *,
        status: int = 0,
        message: str = "",
        queued_us: int = NEVER,
        ran_us: int = NEVER,
        judged_us: int = NEVER,
    ) -> None:
        """It ended; ``message`` says why, if it is not ``OK``."""


class Following:
    """The arrivals in flight. A second end of an arrival, such as a late answer, is ignored."""

    def __init__(
        self,
        route: Route,
        workload: Workload,
        chosen: Chosen,
        record: Recording,
        engine: Transport,
        *,
        timeout: float,
    ) -> None:
        self.route, self.engine, self.record = route, engine, record
        self._programs: Sequence[Program] = workload.programs
        self._chosen = chosen
        self._timeout = round(timeout * SECOND)
        self._intended: dict[int, int] = {}

    def begin(self, number: int, intended: int) -> int:
        """An arrival is due. Returns the index of its program."""
        self._intended[number] = intended
        return int(self._chosen[number])

    def program(self, number: int) -> Program:
        """What arrives."""
        return self._programs[int(self._chosen[number])]

    def is_under_way(self, number: int) -> bool:
        """Whether it has begun and not ended."""
        return number in self._intended

    def has_any(self) -> bool:
        """Whether any arrival is in flight."""
        return bool(self._intended)

    def is_late(self, number: int) -> bool:
        """Whether it has been in flight for longer than the timeout."""
        return self.engine.now() > self._intended[number] + self._timeout

    def answer(self, number: int, answer: Answer) -> bool:
        """Record when a request was sent; end the arrival if the answer is an error. Returns false then."""
        if answer.sent != NEVER:
            self.record.sent(number, answer.sent)
        ended = unanswered(answer) or declined(answer.status, answer.body)
        if ended:
            self.end(number, *ended, answer.answered)
        return not ended

    def accept(self, number: int, at: int) -> None:
        """Judge0 has accepted it."""
        if number in self._intended:
            self.record.accepted(number, at)

    def judge(self, number: int, submission: Submission, at: int) -> None:
        """Its final status is known: end the arrival, right or wrong."""
        if self._intended.pop(number, None) is None:
            return
        program = self.program(number)
        outcome = judge(program, submission.status, submission.stdout)
        self.record.done(
            number,
            outcome,
            at,
            status=submission.status,
            message="" if outcome is Outcome.OK else complaint(program, submission),
            queued_us=submission.queued_us,
            ran_us=submission.ran_us,
            judged_us=submission.judged_us,
        )

    def end(self, number: int, outcome: Outcome, message: str, at: int = NEVER) -> None:
        """It ended without being judged; ``NEVER``: now."""
        if self._intended.pop(number, None) is not None:
            self.record.done(number, outcome, self.engine.now() if at == NEVER else at, message=message)

    def give_up(self, number: int, message: str) -> None:
        """It has taken too long."""
        seconds = self._timeout / SECOND
        self.end(number, Outcome.UNANSWERED, f"{message} {seconds:g} s after it was due")

    def late(self) -> Iterator[int]:
        """Those that are late, longest first. Each is to be ended before the next is asked for."""
        while self._intended and self.is_late(number := next(iter(self._intended))):
            yield number

    def finish(self) -> None:
        """The run ends, and with it everything in flight."""
        for number in tuple(self._intended):
            self.end(number, Outcome.UNFINISHED, "in flight when the run ended")
