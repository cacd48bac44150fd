"""What `box` says of a run, read once and believed only where it is what `box` writes.

The judged has no way to the pipe that it comes through. Should it ever find one, then what it adds makes a
report that says a thing twice, or what no report says: that is a failure of the sandbox, and never a verdict.
"""

import os
import re
from dataclasses import dataclass

# Several times what `box` ever writes, and less than a pipe holds: a write never waits for its reader.
LARGEST = 2048

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_WHOLE = re.compile(r"[0-9]{1,9}")
FIELDS = frozenset(("time", "time-wall", "max-rss", "cg-mem", "exitcode", "exitsig", "status", "message"))
# How `status` and what else tells the end must go together.
_ENDS = {"": {"exitcode"}, "RE": {"exitcode"}, "SG": {"exitsig"}, "TO": set[str](), "XX": set[str]()}


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


class UnreadableError(Exception):
    """A report that `box` does not write; says what is wrong with it."""


def receive(pipe: int) -> str:
    """What is in the pipe of a `box` that has ended: at most a byte more than a report has."""
    os.set_blocking(pipe, False)
    parts: list[bytes] = []
    try:
        while (left := LARGEST + 1 - sum(map(len, parts))) and (part := os.read(pipe, left)):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts).decode("utf-8", "replace")


def parse_meta(text: str) -> Meta:
    """A report; whatever is none is a sandbox that failed."""
    try:
        return _meta(_values(text))
    except UnreadableError as error:
        return Meta(status="XX", message=f"the sandbox gave no result: {error}")


def _values(text: str) -> dict[str, str]:
    if len(text) > LARGEST:
        raise UnreadableError("too much")
    values: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n") if text else ():
        key, separator, value = line.partition(":")
        if not separator or key not in FIELDS:
            raise UnreadableError(f"unknown line {line[:40]!r}")
        if key in values:
            raise UnreadableError(f"{key} twice")
        values[key] = value
    return values


def _meta(values: dict[str, str]) -> Meta:
    status = values.get("status", "")
    if status not in _ENDS:
        raise UnreadableError(f"unknown status {status[:40]!r}")
    if _ENDS[status] != values.keys() & {"exitcode", "exitsig"}:
        raise UnreadableError("no end" if not status else f"{status} without its end, or with another")
    code = _whole(values, "exitcode")
    if code is not None and (code != 0) != (status == "RE"):
        raise UnreadableError(f"exit code {code} with status {status!r}")
    memory = _whole(values, "cg-mem")
    return Meta(
        time=_real(values, "time"),
        wall_time=_real(values, "time-wall"),
        memory=_whole(values, "max-rss") if memory is None else memory,
        exit_code=code,
        exit_signal=_whole(values, "exitsig"),
        status=status,
        message=values.get("message"),
    )


def _whole(values: dict[str, str], name: str) -> int | None:
    return None if name not in values else int(_checked(values, name, _WHOLE))


def _real(values: dict[str, str], name: str) -> float | None:
    return None if name not in values else float(_checked(values, name, _NUMBER))


def _checked(values: dict[str, str], name: str, form: re.Pattern[str]) -> str:
    if not form.fullmatch(values[name]):
        raise UnreadableError(f"{name} is {values[name][:40]!r}")
    return values[name]
