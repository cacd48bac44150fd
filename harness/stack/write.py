"""The stack as text: YAML that every reader, of YAML 1.1 or 1.2, reads as the same data.

Any text that a reader could take for another type is in double quotes, with escapes that all readers know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.stack import taint

# What needs no quotes, whoever reads it: it begins with a letter, and is no truth value.
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?::[/A-Za-z0-9_.-]+)*(?: [A-Za-z0-9_./=!-]+)*")
TRUTHS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
NOT_PRINTED = re.compile(r"[^ -\[\]-~\u00a1-\u02af]|[\"\\]")


def escaped(value: Any) -> Any:
    """``value`` as the file writes it: ``$$`` for each dollar sign, ``${NAME}`` for a placeholder."""
    if isinstance(value, str):
        return taint.escaped(value)
    if isinstance(value, Mapping):
        return {key: escaped(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(each) for each in value]
    return value


def text(document: Mapping[str, Any]) -> str:
    """The document, which is escaped already, as YAML."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(value: Mapping[str, Any] | list[Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _entry(f"{_scalar(key)}:", each)
    else:
        for each in value:
            yield from _item(each)


def _entry(key: str, value: Any) -> Iterator[str]:
    """``key: value`` on one line, or a nested value below its key."""
    if isinstance(value, Mapping | list) and value:
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {_scalar(value)}"


def _item(value: Any) -> Iterator[str]:
    """``- value``; the first line is beside the dash."""
    inner = _lines(value) if isinstance(value, Mapping | list) and value else iter([_scalar(value)])
    yield f"- {next(inner)}"
    yield from (f"  {line}" for line in inner)


def _scalar(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, Mapping | list):
        return "{}" if isinstance(value, Mapping) else "[]"
    if not isinstance(value, str):
        return str(value)
    if PLAIN.fullmatch(value) and value.lower() not in TRUTHS:
        return value
    return f'"{NOT_PRINTED.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in ESCAPES:
        return ESCAPES[character]
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
