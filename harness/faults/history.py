"""What became of every submission: a history in the manner of Jepsen, and its judge.

A history is a list of :class:`Entry`. Each submission is *invoked* once and ends *ok* (accepted), *fail*
(refused, or never sent) or *info* (no answer: it may have been accepted or not). What was given a token is
accepted, whatever the answer was besides. Later it is *seen*: Judge0 was asked about its token; and *listed*:
the front door's own history has it. :func:`judge` is pure and says for every accepted one whether it ended
exactly once. Each program prints a text of its own, so where a front door gives no tokens it shows by that
whether the answer was this program's.
"""

from __future__ import annotations

import json
import math
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal, TypeAlias

from harness.judge0.api import ACCEPTED_TEXT, BY_TEXT

QUEUE_IS_FULL = "queue is full"
NONE_TO_ASK_BY = "there is no token to ask by"

Kind = Literal["invoke", "ok", "fail", "info", "seen", "listed"]
Class = Literal["ok", "lost", "duplicated", "unknown"]


@dataclass(frozen=True)
class Entry:
    """One line of a history.

    ``at``: when, in seconds since 1970; of a ``seen`` one, when Judge0 was asked. ``op``: the submission's
    number. ``via``: where it was submitted (``front door``, ``judge0``). ``expected``: what the program
    prints. ``token``, ``status`` (Judge0's text; empty: none was given, or, of a ``seen`` one, Judge0 does
    not know it), ``final`` (no other status may follow), ``output`` and ``finished_at`` are from the answer.
    ``count``: how many entries of the front door's history are about it. ``code``: the HTTP status (0: no
    answer), and ``said``: the text of an error.
    """

    kind: Kind
    at: float
    op: int
    via: str = ""
    expected: str = ""
    token: str = ""
    status: str = ""
    final: bool = False
    output: str = ""
    finished_at: str = ""
    count: int = 0
    code: int = 0
    said: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether this end shows that the submission was accepted: by a token, or a status of Judge0's."""
        return self.kind == "ok" and (bool(self.token) or self.status in BY_TEXT)


@dataclass(frozen=True)
class Judgement:
    """``classes``: each accepted submission's class; ``reasons``: why, of those that are not ok.

    ``refused`` and ``unanswered`` count the others; ``ends`` counts the final statuses by their text.
    """

    classes: Mapping[int, Class]
    reasons: Mapping[int, str]
    refused: int
    unanswered: int
    ends: Mapping[str, int] = field(default_factory=dict)

    def of(self, wanted: Class) -> list[int]:
        """The submissions of one class."""
        return sorted(op for op, found in self.classes.items() if found == wanted)

    def describe(self, wanted: Class, most: int = 5) -> str:
        """The first few of a class with their reasons."""
        found = self.of(wanted)
        shown = "; ".join(f"submission {op}: {self.reasons[op]}" for op in found[:most])
        return f"{len(found)} {wanted}: {shown}{'; ...' if len(found) > most else ''}"

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.of(each))} {each}" for each in ("ok", "lost", "duplicated", "unknown"))
        ends = ", ".join(f"{count} {status}" for status, count in sorted(self.ends.items()))
        return (
            f"{len(self.classes)} accepted: {counts} ({ends or 'none ended'}); "
            f"{self.refused} refused, {self.unanswered} unanswered"
        )


# A submission's invocation, and its end, if it has one by now.
Begun: TypeAlias = tuple[Entry, Entry | None]


def begun(history: Iterable[Entry], since: float = 0.0, until: float = math.inf) -> list[Begun]:
    """The submissions of a history that were invoked within a time."""
    entries = tuple(history)
    ends = {each.op: each for each in entries if each.kind in ("ok", "fail", "info")}
    return [
        (each, ends.get(each.op)) for each in entries if each.kind == "invoke" and since <= each.at <= until
    ]


class Journal:
    """A history while it is recorded: in memory and, where a ``file`` is given, as lines of JSON."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._file: IO[str] | None = file.open("w") if file else None

    def add(self, entry: Entry) -> None:
        """Append an entry; from any thread."""
        with self._lock:
            self._entries.append(entry)
            if self._file is not None:
                fields = {key: value for key, value in asdict(entry).items() if value != ""}
                self._file.write(json.dumps(fields) + "\n")
                self._file.flush()

    def entries(self) -> tuple[Entry, ...]:
        """All so far, in the order in which they were added."""
        with self._lock:
            return tuple(self._entries)

    def close(self) -> None:
        """Write no more to the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def load(file: Path) -> tuple[Entry, ...]:
    """The history in a file of lines of JSON."""
    return tuple(Entry(**json.loads(line)) for line in file.read_text().splitlines())


def judge(history: Iterable[Entry], *, listing: bool) -> Judgement:
    """Whether every accepted submission ended exactly once.

    ``listing``: the front door keeps a history, and was asked for it all the time, so that it must have
    listed what it accepted. Raises ``ValueError`` for a history in which something ends that never began.
    """
    ops: dict[int, list[Entry]] = defaultdict(list)
    for entry in history:
        ops[entry.op].append(entry)
    strays = [op for op, entries in ops.items() if not any(each.kind == "invoke" for each in entries)]
    if strays:
        raise ValueError(f"never invoked: {strays}")
    accepted = {
        op: entries for op, entries in ops.items() if any(each.token or each.kind == "ok" for each in entries)
    }
    others = [entries for op, entries in ops.items() if op not in accepted]
    verdicts = {op: judge_one(entries, listing=listing) for op, entries in accepted.items()}
    refused = sum(any(each.kind == "fail" for each in entries) for entries in others)
    return Judgement(
        {op: class_ for op, (class_, _) in verdicts.items()},
        {op: reason for op, (class_, reason) in verdicts.items() if class_ != "ok"},
        refused,
        len(others) - refused,
        _ends(accepted.values()),
    )


def judge_one(entries: Sequence[Entry], *, listing: bool) -> tuple[Class, str]:
    """The class of one accepted submission and, unless it is ok, why. ``entries`` are all of it."""
    if reason := _twice(entries):
        return "duplicated", reason
    if not any(each.token for each in entries):
        return _by_output(entries, listing=listing)
    readings = sorted((each for each in entries if each.kind == "seen"), key=lambda each: each.at)
    if not readings:
        return "unknown", "Judge0 was not asked about it"
    if reason := _never(entries, readings[-1]):
        return "lost", reason
    if reason := _unconfirmed(entries, readings, listing=listing):
        return "unknown", reason
    return "ok", ""


def _by_output(entries: Sequence[Entry], *, listing: bool) -> tuple[Class, str]:
    """The class of a submission without a token: its answer is all that is known of it."""
    answer = next(each for each in entries if each.kind == "ok")
    if answer.status and answer.status not in BY_TEXT:
        return (
            "unknown",
            f"{answer.status!r} is none of Judge0's statuses, nor of the topology's; {NONE_TO_ASK_BY}",
        )
    if not answer.final:
        state = answer.status or "without a status"
        return "unknown", f"it was {state} when the front door answered, and {NONE_TO_ASK_BY}"
    if reason := _wrong_output(entries, answer):
        return "lost", f"it {reason}"
    if answer.output.strip() != _expected(entries):
        return "unknown", f"it ended as {answer.status} without its output, and {NONE_TO_ASK_BY}"
    if listing and not any(each.kind == "listed" for each in entries):
        return "unknown", "the front door accepted it and was never seen to list it"
    return "ok", ""


def _wrong_output(entries: Sequence[Entry], end: Entry) -> str:
    """What is wrong with the output of a submission that was Accepted; empty if nothing is."""
    if end.status != ACCEPTED_TEXT or end.output.strip() == _expected(entries):
        return ""
    return (
        f"ended with another's output: {end.output[:80]!r}"
        if end.output.strip()
        else "ended without its output"
    )


def _expected(entries: Sequence[Entry]) -> str:
    """What the program prints."""
    return next(each.expected for each in entries if each.kind == "invoke").strip()


def _never(entries: Sequence[Entry], last: Entry) -> str:
    """Why a submission did not end with a result of its own; empty if it did."""
    if not last.status:
        return f"Judge0 does not know {last.token}"
    if not last.final:
        waited = last.at - min(each.at for each in entries)
        return f"{last.token} still is {last.status}, {waited:.0f} s after it was submitted"
    reason = _wrong_output(entries, last)
    return f"{last.token} {reason}" if reason else ""


def _unconfirmed(entries: Sequence[Entry], readings: Sequence[Entry], *, listing: bool) -> str:
    """What is missing to be sure that a submission ended; empty if nothing is."""
    token = readings[-1].token
    if sum(each.final for each in readings) < 2:
        return f"{token} was seen final once only, which does not show that it stays so"
    if listing and _through_front_door(entries) and not any(each.kind == "listed" for each in entries):
        return f"the front door gave {token} and was never seen to list it"
    return ""


def _twice(entries: Sequence[Entry]) -> str:
    """Why a submission was accepted or ended more than once; empty if it was not."""
    tokens = sorted({each.token for each in entries if each.token})
    if len(tokens) > 1:
        return f"one submission became several: {', '.join(tokens)}"
    most = max((each.count for each in entries if each.kind == "listed"), default=0)
    name = tokens[0] if tokens else "it"
    if most > 1:
        return f"the front door's history lists {name} {most} times"
    finals = [each for each in entries if each.final]
    ends = sorted({(each.status, each.output.strip()) for each in finals})
    if len(ends) > 1:
        return f"{name} ended as {' and as '.join(f'{status} {text[:80]!r}' for status, text in ends)}"
    times = sorted({each.finished_at for each in finals if each.finished_at})
    if len(times) > 1:
        return f"{name} ended at {' and at '.join(times)}"
    first = min((each.at for each in finals), default=None)
    again = [each for each in entries if each.kind == "seen" and first is not None and each.at > first]
    reopened = [each.status for each in again if each.status and not each.final]
    return f"{name} had ended and then was {reopened[0]}" if reopened else ""


def met_full_queue(entries: Iterable[Entry]) -> list[Entry]:
    """The ends of submissions that were refused because Judge0's queue was full.

    Whoever submitted more than the deployment takes has not shown that it fails.
    """
    return [each for each in entries if each.kind == "fail" and QUEUE_IS_FULL in each.said]


def _through_front_door(entries: Iterable[Entry]) -> bool:
    return any(each.kind == "ok" and each.via == "front door" for each in entries)


def _ends(accepted: Iterable[Sequence[Entry]]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for entries in accepted:
        final = [each.status for each in entries if each.final]
        if final:
            counts[final[-1]] += 1
    return dict(counts)
