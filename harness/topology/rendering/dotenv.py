"""Writes ``.env`` files as Compose v2 (compose-go) reads them.

* unquoted: it replaces ``$NAME``, cuts a comment after a blank, and trims;
* single quotes: it takes all as it is, but cannot hold a single quote or end with a backslash;
* double quotes: it replaces ``$NAME`` and unescapes, which sequences depends on its version.

So a value is written in the first of the three forms in which nothing would be changed, or refused. What
users wrote themselves is never read here: Compose does that (``harness.compose``).
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
    """The value as it stands after ``KEY=``. Raises ``ValueError`` where versions of Compose would differ."""
    if PLAIN.fullmatch(value):
        return value
    if "\r" in value or "\0" in value:
        raise ValueError("it holds a carriage return or a NUL, which .env files cannot carry")
    if "'" not in value and not value.endswith("\\"):
        return f"'{value}'"
    if not re.search(r'["\\$]', value):
        return f'"{value}"'
    raise ValueError(
        "no way of quoting it is read alike by all versions of Compose v2 "
        '(it ends with a backslash, or holds a single quote beside one of " \\ $)'
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
