"""What became of a run: its status, and the figures over several runs. Nothing here touches the world."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from judge0_worker.report import Meta

ACCEPTED, WRONG_ANSWER, TIME_LIMIT_EXCEEDED, COMPILATION_ERROR = 3, 4, 5, 6
SIGSEGV, SIGXFSZ, SIGFPE, SIGABRT, NZEC, OTHER = 7, 8, 9, 10, 11, 12
INTERNAL_ERROR, EXEC_FORMAT_ERROR = 13, 14

_BY_SIGNAL = {11: SIGSEGV, 25: SIGXFSZ, 8: SIGFPE, 6: SIGABRT}


@dataclass(frozen=True)
class Result:
    """A submission's final columns."""

    status_id: int
    stdout: bytes | None = None
    stderr: bytes | None = None
    compile_output: bytes | None = None
    message: bytes | None = None
    time: float | None = None
    wall_time: float | None = None
    memory: int | None = None
    exit_code: int | None = None
    exit_signal: int | None = None


def _lines(text: bytes) -> Iterator[bytes]:
    return (line.rstrip() for line in io.BytesIO(text.rstrip()))


def same(first: bytes | None, second: bytes | None) -> bool:
    """Whether two texts agree once the end of each line is stripped, then that of the whole.

    Line by line, and no further than they agree: an expectation of 30 MB may be 30 million lines.
    """
    if first is None or second is None:
        return first is second
    return all(one == other for one, other in zip_longest(_lines(first), _lines(second)))


def status(meta: Meta, stdout: bytes | None, expected: bytes | None) -> int:
    """The status of one run; without an expected output, whatever ends well is accepted."""
    if meta.status == "TO":
        return TIME_LIMIT_EXCEEDED
    if meta.status == "SG":
        return _BY_SIGNAL.get(meta.exit_signal or 0, OTHER)
    if meta.status == "RE":
        return NZEC
    if meta.status == "XX":
        message = meta.message or ""
        return EXEC_FORMAT_ERROR if message.endswith("Exec format error") else INTERNAL_ERROR
    return ACCEPTED if expected is None or same(stdout, expected) else WRONG_ANSWER


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
