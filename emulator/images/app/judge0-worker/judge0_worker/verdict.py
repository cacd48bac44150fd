"""What became of a run: its status, and the figures over several runs. Nothing here touches the world."""

from collections.abc import Sequence
from dataclasses import dataclass

ACCEPTED, WRONG_ANSWER, TIME_LIMIT_EXCEEDED, COMPILATION_ERROR = 3, 4, 5, 6
SIGSEGV, SIGXFSZ, SIGFPE, SIGABRT, NZEC, OTHER = 7, 8, 9, 10, 11, 12
INTERNAL_ERROR, EXEC_FORMAT_ERROR = 13, 14

DESCRIPTIONS = {
    ACCEPTED: "Accepted",
    WRONG_ANSWER: "Wrong Answer",
    TIME_LIMIT_EXCEEDED: "Time Limit Exceeded",
    COMPILATION_ERROR: "Compilation Error",
    SIGSEGV: "Runtime Error (SIGSEGV)",
    SIGXFSZ: "Runtime Error (SIGXFSZ)",
    SIGFPE: "Runtime Error (SIGFPE)",
    SIGABRT: "Runtime Error (SIGABRT)",
    NZEC: "Runtime Error (NZEC)",
    OTHER: "Runtime Error (Other)",
    INTERNAL_ERROR: "Internal Error",
    EXEC_FORMAT_ERROR: "Exec Format Error",
}

_BY_SIGNAL = {11: SIGSEGV, 25: SIGXFSZ, 8: SIGFPE, 6: SIGABRT}


@dataclass(frozen=True)
class Meta:
    """What `box` says of a run: seconds, KB, and how it ended (status is "", RE, SG, TO or XX)."""

    time: float | None = None
    wall_time: float | None = None
    memory: int | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    status: str = ""
    message: str | None = None


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


def parse_meta(text: str) -> Meta:
    """`box`'s "key:value" lines; a text without an end in it is a sandbox that failed."""
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "status" not in values and "exitcode" not in values:
        return Meta(status="XX", message="the sandbox gave no result")

    def whole(name: str) -> int | None:
        return int(values[name]) if name in values else None

    def real(name: str) -> float | None:
        return float(values[name]) if name in values else None

    memory = whole("cg-mem")
    return Meta(
        time=real("time"),
        wall_time=real("time-wall"),
        memory=whole("max-rss") if memory is None else memory,
        exit_code=whole("exitcode"),
        exit_signal=whole("exitsig"),
        status=values.get("status", ""),
        message=values.get("message"),
    )


def strip(text: bytes | None) -> bytes | None:
    """The end of every line stripped, then of the whole: what is compared."""
    if text is None:
        return None
    return b"\n".join(line.rstrip() for line in text.split(b"\n")).rstrip()


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
    return ACCEPTED if expected is None or strip(stdout) == strip(expected) else WRONG_ANSWER


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
