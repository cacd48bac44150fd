"""Parsing answers: from JSON and bytes to a submission's data.

Judge0's API as 1.13.1 speaks it (recorded answers: tests/unit/judge0/test_protocol.py), and a front door's as
the topology's ``checks.front_door.reply`` maps it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from harness.judge0.api import BY_TEXT, STATUSES
from harness.judge0.model import NEVER

SHOWN = 200
# A program that was not run has no time and memory, and one without an error says nothing of it.
SOMETIMES = ("stderr", "compile_output", "time", "memory")
# Two moments and a duration, each cut to a millisecond.
PRECISION_US = 3_000

_MICROSECOND = timedelta(microseconds=1)


class UnreadableError(ValueError):
    """An answer in a form that is none of those expected; its text shows the beginning of it."""


class Submission(NamedTuple):
    """One submission in an answer: the fields that were asked for, the rest is empty.

    ``status`` is Judge0's number, 0 where it is not given, ``description`` Judge0's text for it. Durations
    are in µs, or ``NEVER``.
    """

    token: str
    status: int
    stdout: str = ""
    queued_us: int = NEVER
    ran_us: int = NEVER
    judged_us: int = NEVER
    description: str = ""
    stderr: str = ""
    compile_output: str = ""
    message: str = ""
    finished_at: str = ""


def read_created(body: bytes) -> str:
    """The token of a submission that was created. Raises ``UnreadableError``."""
    return _token(_parse(body))


def read_created_many(body: bytes, count: int) -> list[str | UnreadableError]:
    """Of a batch of ``count``, the token of each, or Judge0's error for it.

    Raises ``UnreadableError`` where it is no such list.
    """
    entries = _parse(body)
    if not isinstance(entries, list) or len(entries) != count:
        raise UnreadableError(f"not a list of {count}: {_shown(body)}")
    return [_token_or_not(entry) for entry in entries]


def read_one(body: bytes, *, runs: float = 1) -> Submission:
    """One submission from Judge0 (``wait=true``, a callback). Raises ``UnreadableError``."""
    return _submission(_parse(body), runs)


def read_many(body: bytes, runs: Sequence[float]) -> list[Submission | None]:
    """Several submissions from Judge0, in order; None for one that it does not know.

    ``runs`` is how often each program was to be run. Raises ``UnreadableError``.
    """
    found = _parse(body)
    entries = found.get("submissions") if isinstance(found, dict) else None
    if not isinstance(entries, list) or len(entries) != len(runs):
        raise UnreadableError(f"not {len(runs)} submissions: {_shown(body)}")
    return [
        None if entry is None else _submission(entry, each) for entry, each in zip(entries, runs, strict=True)
    ]


def read_front_door(
    reply: Mapping[str, str], body: bytes, statuses: Mapping[str, int] | None = None
) -> Submission:
    """A submission from a front door or runner, by the topology's ``reply`` and ``statuses``.

    Raises ``UnreadableError``.
    """
    found = pick(reply, _parse(body))
    status = status_of(found["status"], statuses or {}) if "status" in found else 0
    if status is None:
        raise UnreadableError(f"{found['status']!r} is none of Judge0's statuses, nor of the topology's")
    token, stdout, stderr, compiler = (
        str(found.get(word) or "") for word in ("token", "stdout", "stderr", "compile_output")
    )
    return Submission(token, status, stdout, stderr=stderr, compile_output=compiler)


def status_of(value: Any, statuses: Mapping[str, int]) -> int | None:
    """Judge0's number of a status that an application gives as its own word, Judge0's text or a number.

    ``statuses`` are Judge0's by the application's words, as a topology has them. None: it is none of these.
    """
    word = str(value).lower() if isinstance(value, bool) else str(value)
    if word in statuses:
        return statuses[word]
    if word.isdecimal() and int(word) in STATUSES:
        return int(word)
    return BY_TEXT.get(word)


def pick(reply: Mapping[str, str], document: Any) -> dict[str, Any]:
    """A submission's fields in a front door's answer: ``token``, ``status``, ``stdout``, as far as mapped.

    ``reply`` is ``checks.front_door.reply``: a dotted path for each. What only some answers have may be
    missing. Raises ``UnreadableError``.
    """
    found = {}
    for word, path in reply.items():
        try:
            found[word] = value_at(document, path)
        except UnreadableError:
            if word not in SOMETIMES:
                raise
    return found


def token_in(body: bytes, reply: Mapping[str, str]) -> str:
    """The token that an answer of any form names, as one of an error may; empty: none.

    It is at the path that ``reply`` has, also within a part of the answer. A path of one key is looked for
    at the top only, as many things have an ``id``; a path that ends in ``token`` has that key anywhere.
    """
    if "token" not in reply:
        return ""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    keys, parts = reply["token"].split("."), list(_parts(document))
    found = [_text_at(each, keys) for each in (parts if len(keys) > 1 else parts[:1])]
    if keys[-1] == "token":
        found += [_text_at(each, keys[-1:]) for each in parts]
    return next(filter(None, found), "")


def _parts(document: Any) -> Iterator[Any]:
    """The mappings and lists in a document, the outer ones first."""
    level = [document] if isinstance(document, Mapping | list) else []
    while level:
        yield from level
        inside = (each.values() if isinstance(each, Mapping) else each for each in level)
        level = [one for each in inside for one in each if isinstance(one, Mapping | list)]


def _text_at(document: Any, keys: Sequence[str]) -> str:
    """The text under these keys, one within the other; empty: none."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, str) else ""


def value_at(document: Any, path: str) -> Any:
    """The value at a dotted path of nested JSON. Raises ``UnreadableError`` where there is none."""
    value = document
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise UnreadableError(f"no {path!r} in the reply: {document!r:.{SHOWN}}")
        value = value[key]
    return value


def slots(queues: Any) -> int:
    """How many programs can run at once, from the answer of ``/workers``: an entry for each queue.

    Raises ``KeyError``, ``TypeError`` or ``ValueError`` for an answer in another form.
    """
    return sum(int(each["available"]) for each in queues)


def error_text(body: bytes) -> str:
    """The text of an error: Judge0's ``error``, the runner's ``error.message``, or the body as it is."""
    try:
        found = json.loads(body)
    except ValueError:
        return _shown(body)
    error = found.get("error") if isinstance(found, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message)[:SHOWN] if message else _shown(body)


def durations(entry: Mapping[str, Any], runs: float = 1) -> tuple[int, int, int]:
    """From a submission's timestamps: µs it was queued, ran, and took from creation to its final status.

    1.13.1 does not report when a worker began: all that is not execution then counts as queued, also
    compilation and the creation of the sandbox. Moments are in ms, and Judge0 takes them from the clocks
    of two machines: a result below zero by more than that precision is ``NEVER``.
    """
    try:
        judged = _between(entry.get("created_at"), entry.get("finished_at"))
        wall = entry.get("wall_time")
        ran = NEVER if wall is None else round(float(wall) * runs * 1e6)
        queued = _between(entry.get("created_at"), entry.get("started_at"))
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"timestamps {dict(entry)!r:.{SHOWN}}: {error}") from error
    if queued == NEVER and NEVER not in (judged, ran):
        queued = _not_negative(judged - ran)
    return queued, ran, judged


def _between(first: str | None, last: str | None) -> int:
    if not first or not last:
        return NEVER
    return _not_negative((datetime.fromisoformat(last) - datetime.fromisoformat(first)) // _MICROSECOND)


def _not_negative(microseconds: int) -> int:
    return max(microseconds, 0) if microseconds >= -PRECISION_US else NEVER


def _submission(entry: Any, runs: float) -> Submission:
    if not isinstance(entry, dict):
        raise UnreadableError(f"no submission: {entry!r:.{SHOWN}}")
    status = entry.get("status_id")
    if status is None:
        status = value_at(entry, "status.id")
    return Submission(
        str(entry.get("token") or ""),
        int(status),
        _decoded(entry.get("stdout")),
        *durations(entry, runs),
        description=_description(entry),
        stderr=_decoded(entry.get("stderr")),
        compile_output=_decoded(entry.get("compile_output")),
        message=_decoded(entry.get("message")),
        finished_at=str(entry.get("finished_at") or ""),
    )


def _description(entry: Mapping[str, Any]) -> str:
    status = entry.get("status")
    return str(status.get("description") or "") if isinstance(status, dict) else ""


def _token_or_not(entry: Any) -> str | UnreadableError:
    try:
        return _token(entry)
    except UnreadableError as error:
        return error


def _token(entry: Any) -> str:
    token = entry.get("token") if isinstance(entry, dict) else None
    if not isinstance(token, str) or not token:
        raise UnreadableError(f"no token: {entry!r:.{SHOWN}}")
    return token


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise UnreadableError(f"not JSON: {_shown(body)}") from error


def _decoded(text: str | None) -> str:
    if text is None:
        return ""
    try:
        return base64.b64decode(text).decode(errors="replace")
    except (TypeError, ValueError, binascii.Error) as error:
        raise UnreadableError(f"output that is not Base64: {text!r:.{SHOWN}}") from error


def _shown(body: bytes) -> str:
    return " ".join(body[:SHOWN].decode(errors="replace").split()) or "no text"
