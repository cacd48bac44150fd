"""Writes ``.env`` files that docker-compose 1.29 (python-dotenv) and Compose v2 (compose-go) read alike.

The two differ in what they replace and unescape:

* unquoted: v2 replaces ``$NAME``; both cut a comment after a blank, and trim;
* single quotes: 1.29 replaces ``${NAME}`` even here, and reads ``\\\\`` as one backslash; v2 does neither;
* double quotes: v2 replaces ``$NAME``; both unescape, not the same sequences.

So a value is written in the first of the three forms in which no difference can show, or refused. What users
wrote themselves is never read here: Compose does that (``harness.compose``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=?&~^!*()\[\]{}|;<>-]*")
ASSIGNMENT = re.compile(
    r"""^(?P<export>[ \t]*(?:export[ \t]+)?)(?P<key>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*"""
    r"""(?P<value>'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"|[^\r\n]*)[^\r\n]*""",
    re.MULTILINE,
)


def quote(value: str) -> str:
    """The value as it stands after ``KEY=``. Raises ``ValueError`` where the two readers would differ."""
    if PLAIN.fullmatch(value):
        return value
    if "\r" in value or "\0" in value:
        raise ValueError("it holds a carriage return or a NUL, which .env files cannot carry")
    if not re.search(r"'|\\\\|\\$|\$\{", value):
        return f"'{value}'"
    if not re.search(r'["\\$]', value):
        return f'"{value}"'
    raise ValueError(
        "no way of quoting it is read alike by docker-compose 1.29 and Compose v2 "
        "(it holds '${', a doubled or final backslash, or a single quote beside one of \" \\ $)"
    )


def merge(existing: str, values: Mapping[str, str]) -> str:
    """``existing`` with these values in place of its own, and further ones added at the end.

    All else of it, comments too, is kept.
    """
    written = {key: f"{key}={quote(value)}" for key, value in values.items()}
    found: set[str] = set()

    def replace(match: re.Match[str]) -> str:
        key = match["key"]
        if key not in written:
            return match[0]
        found.add(key)
        return match["export"] + written[key]

    text = ASSIGNMENT.sub(replace, existing)
    added = [line for key, line in written.items() if key not in found]
    if text and added and not text.endswith("\n"):
        text += "\n"
    return text + "".join(f"{line}\n" for line in added)
