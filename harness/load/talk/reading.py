"""What an answer says: JSON and bytes to what is told of a submission.

Judge0's API as 1.13.1 speaks it (recorded answers: tests/unit/load/test_protocol.py), and the front door's as
the topology's ``checks.front_door.reply`` maps it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from harness.load.judge0 import BY_TEXT
from harness.load.model import NEVER, Outcome, Route

REFUSALS = (429, 503)
SHOWN = 200
# Two moments and a duration, each cut to a millisecond.
PRECISION_US = 3_000

_MICROSECOND = timedelta(microseconds=1)


class UnreadableError(ValueError):
    """An answer in a form that is none of those expected; its text shows the beginning of it."""


class Told(NamedTuple):
    """What an answer says of one submission. ``status`` 0: it does not say. Durations in µs, or ``NEVER``."""

    token: str
    status: int
    stdout: str | None
    queued_us: int = NEVER
    ran_us: int = NEVER
    judged_us: int = NEVER


def declined(status: int, body: bytes) -> tuple[Outcome, str] | None:
    """What an answer other than 200 and 201 means, with its words; None for those two."""
    if status in (200, 201):
        return None
    outcome = Outcome.REFUSED if status in REFUSALS else Outcome.FAILED
    return outcome, f"{status}: {_words(body)}"


def read_created(body: bytes) -> str:
    """The token of a submission that was created. Raises ``UnreadableError``."""
    return _token(_parse(body))


def read_created_many(body: bytes, count: int) -> list[str | UnreadableError]:
    """Of a batch of ``count``, the token of each, or what Judge0 has against it.

    Raises ``UnreadableError`` where it is no such list.
    """
    entries = _parse(body)
    if not isinstance(entries, list) or len(entries) != count:
        raise UnreadableError(f"not a list of {count}: {_shown(body)}")
    return [_token_or_not(entry) for entry in entries]


def read_told(body: bytes, *, runs: float = 1) -> Told:
    """What Judge0 says of one submission (``wait=true``, a callback). Raises ``UnreadableError``."""
    return _told(_parse(body), runs)


def read_looked(body: bytes, runs: Sequence[float]) -> list[Told | None]:
    """What Judge0 says of each of several, in order; None for one that it does not know.

    ``runs`` is how often each program was to be run. Raises ``UnreadableError``.
    """
    found = _parse(body)
    entries = found.get("submissions") if isinstance(found, dict) else None
    if not isinstance(entries, list) or len(entries) != len(runs):
        raise UnreadableError(f"not {len(runs)} submissions: {_shown(body)}")
    return [None if entry is None else _told(entry, each) for entry, each in zip(entries, runs, strict=True)]


def read_at_door(route: Route, body: bytes) -> Told:
    """What a front door or runner says, where the topology's ``reply`` has it. Raises ``UnreadableError``."""
    found = _parse(body)
    picked = {word: _dig(found, path) for word, path in route.reply.items()}
    stdout = picked.get("stdout")
    status = _status(picked["status"]) if "status" in picked else 0
    return Told(str(picked.get("token") or ""), status, None if stdout is None else str(stdout))


def durations(entry: Mapping[str, Any], runs: float = 1) -> tuple[int, int, int]:
    """From a submission's timestamps: µs it was queued, ran, and took from creation to its final status.

    1.13.1 does not tell when a worker began: being queued is then all that is not execution, so compilation
    and the making of the sandbox count as waiting. Moments are in ms, and Judge0 takes them from the clocks
    of two machines: what comes out below nothing by more than that precision is not told.
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


def _told(entry: Any, runs: float) -> Told:
    if not isinstance(entry, dict):
        raise UnreadableError(f"no submission: {entry!r:.{SHOWN}}")
    status = entry.get("status_id")
    if status is None:
        status = _dig(entry, "status.id")
    token, stdout = str(entry.get("token") or ""), _decoded(entry.get("stdout"))
    return Told(token, int(status), stdout, *durations(entry, runs))


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


def _status(value: Any) -> int:
    """A status that a front door tells by its text, or by its number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if str(value) not in BY_TEXT:
        raise UnreadableError(f"{value!r} is none of Judge0's statuses")
    return BY_TEXT[str(value)]


def _dig(document: Any, path: str) -> Any:
    value = document
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            raise UnreadableError(f"no {path!r} in the reply: {document!r:.{SHOWN}}")
        value = value[key]
    return value


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise UnreadableError(f"not JSON: {_shown(body)}") from error


def _decoded(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text).decode(errors="replace")
    except (TypeError, ValueError, binascii.Error) as error:
        raise UnreadableError(f"output that is not Base64: {text!r:.{SHOWN}}") from error


def _words(body: bytes) -> str:
    """The words of an error: Judge0's ``error``, the runner's ``error.message``, or the body as it is."""
    try:
        found = json.loads(body)
    except ValueError:
        return _shown(body)
    error = found.get("error") if isinstance(found, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return str(said)[:SHOWN] if said else _shown(body)


def _shown(body: bytes) -> str:
    return " ".join(body[:SHOWN].decode(errors="replace").split()) or "no text"
