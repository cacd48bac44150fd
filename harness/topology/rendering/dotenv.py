"""``.env`` files as Compose v2 (compose-go) reads them.

* unquoted: it replaces ``$NAME``, cuts a comment after a blank, and trims;
* single quotes: it takes all as it is, but cannot hold a single quote or end with a backslash;
* double quotes: it replaces ``$NAME`` and unescapes, which sequences depends on its version.

So a value is written in the first of the three forms in which nothing would be changed, or refused.
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
ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
REPLACED = re.compile(
    r"\\(?P<escaped>.)|\$(?:(?P<plain>\w+)|\{(?P<braced>\w+)(?::?-(?P<default>[^}]*))?\})", re.DOTALL
)


# The limit of a process's environment for one variable.
LONGEST_VALUE = 128 * 1024


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


def read(text: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables in ``text``, with the given values in place of its own and beside them.

    Raises ``ValueError`` for values that grow without bounds, each out of several of the one before.
    """
    values = dict(given)
    for match in ASSIGNMENT.finditer(text):
        if match["key"] not in given:
            values[match["key"]] = _value(match["value"], values)
    return values


def _value(written: str, known: Mapping[str, str]) -> str:
    """A value without its quotes, escapes and references to what is ``known`` replaced where they count."""
    if len(written) > 1 and written[0] == written[-1] == "'":
        return written[1:-1].replace("\\'", "'")
    quoted = len(written) > 1 and written[0] == written[-1] == '"'
    text = written[1:-1] if quoted else re.sub(r"(^|[ \t])#.*", "", written).strip()
    left = LONGEST_VALUE

    def replace(match: re.Match[str]) -> str:
        nonlocal left
        if escaped := match["escaped"]:
            return ESCAPES.get(escaped, escaped) if quoted else match[0]
        value = known.get(match["plain"] or match["braced"], "") or match["default"] or ""
        left -= len(value)
        if left < 0:
            raise ValueError(f"with its variables replaced, a value is longer than {LONGEST_VALUE}")
        return value

    return REPLACED.sub(replace, text)
