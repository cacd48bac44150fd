"""What an answer means for its arrival: whether it was accepted, and whether the result is right."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from harness.judge0.api import UNFINISHED, name_of
from harness.judge0.model import Program
from harness.judge0.reading import SHOWN, Submission, error_text
from harness.load.model import Outcome

if TYPE_CHECKING:
    from harness.load.engine.request import Answer

REFUSALS = (429, 503)


def unanswered(answer: Answer) -> tuple[Outcome, str] | None:
    """The outcome of a missing answer; None if there is an answer."""
    if not answer.error:
        return None
    outcome = Outcome.UNANSWERED if answer.error.startswith("timeout:") else Outcome.BROKEN
    return outcome, answer.error


def declined(status: int, body: bytes) -> tuple[Outcome, str] | None:
    """The outcome of an answer other than 200 and 201, with its text; None for those two."""
    if status in (200, 201):
        return None
    return refusal(status), f"{status}: {error_text(body)}"


def refusal(status: int) -> Outcome:
    """The outcome of an HTTP error status."""
    return Outcome.REFUSED if status in REFUSALS else Outcome.FAILED


def judge(program: Program, status: int, stdout: str) -> Outcome:
    """Whether a result is right; an unknown ``status`` (0) does not count as wrong."""
    if status in UNFINISHED:
        return Outcome.UNANSWERED
    wrong = status not in (0, program.status) or not _is_right_output(program, stdout)
    return Outcome.WRONG if wrong else Outcome.OK


def complaint(program: Program, submission: Submission) -> str:
    """What is wrong with a wrong result, in words."""
    if submission.status not in (0, program.status):
        wanted = name_of(program.status)
        return f"{program.name}: {name_of(submission.status)} in place of {wanted} (token {submission.token})"
    printed, right = submission.stdout[:SHOWN], (program.stdout or "")[:SHOWN]
    return f"{program.name}: printed {printed!r} in place of {right!r} (token {submission.token})"


def _is_right_output(program: Program, stdout: str) -> bool:
    return program.stdout is None or _normal(stdout) == _right(program.stdout)


def _normal(text: str) -> str:
    """Without what Judge0 ignores: space at the end of each line, then of the whole."""
    return "\n".join([line.rstrip() for line in text.split("\n")]).rstrip()


_right = lru_cache(maxsize=1000)(_normal)
