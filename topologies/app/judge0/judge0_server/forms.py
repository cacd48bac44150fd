"""Forms and queries as Rack reads them: brackets make lists and objects, and the last of a name counts."""

import re
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import unquote_plus

Pair = tuple[str, str | None]
_Kind = TypeVar("_Kind", list, dict)


class MixedError(ValueError):
    """A name that is a text here, and a list or an object there."""


# Deeper names are refused, as Rack does.
DEEPEST = 100

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OUTER = re.compile(r"[\[\]]*([^\[\]]+)\]*")
_IN_LIST = re.compile(r"\[\]\[([^\[\]]+)\]|\[\](.+)", re.DOTALL)


def query(text: str) -> dict[str, object]:
    """The parameters after a path's "?". Raises ValueError, as all functions here."""
    return nested(_pairs(text, r"[&;] *"))


def form(raw: bytes) -> dict[str, object]:
    """A body of application/x-www-form-urlencoded."""
    return nested(_pairs(raw.decode(), "&"))


def multipart(kind: str, raw: bytes) -> dict[str, object]:
    """A body of multipart/form-data; `kind` is its content type, with the boundary."""
    found = _BOUNDARY.search(kind)
    if not found:
        raise ValueError("multipart body without a boundary")
    pairs: list[Pair] = []
    for part in raw.split(b"--" + found[1].encode("latin-1"))[1:]:
        head, separator, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if separator and name:
            pairs.append((name[1].decode(), value.removesuffix(b"\r\n").decode()))
    return nested(pairs)


def _pairs(text: str, separator: str) -> Iterable[Pair]:
    for part in re.split(separator, text):
        name, equals, value = part.partition("=")
        if part:
            yield _decoded(name), _decoded(value) if equals else None


def _decoded(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise ValueError(f"{text!r} has a % without two hexadecimal digits")
    return unquote_plus(text, errors="strict")


def nested(pairs: Iterable[Pair]) -> dict[str, object]:
    """Values by name: a[b]=1 is {"a": {"b": "1"}}, a[]=1 is {"a": ["1"]}, a[][b]=1 is {"a": [{"b": "1"}]}."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if "[" not in name and "]" not in name:
            found[name] = value
        elif name.count("[") > DEEPEST:
            raise ValueError(f"a parameter's name is nested more than {DEEPEST} times")
        else:
            _put(found, name, value)
    return found


def _put(into: dict[str, object], name: str, value: str | None) -> None:
    match = _OUTER.match(name)
    if not match:
        return
    key, rest = match[1], name[match.end() :]
    if not rest:
        into[key] = value
    elif rest == "[":
        into[name] = value
    elif rest == "[]":
        _held(into, key, list).append(value)
    elif listed := _IN_LIST.fullmatch(rest):
        _put_in_list(_held(into, key, list), listed[1] or listed[2], value)
    else:
        _put(_held(into, key, dict), rest, value)


def _put_in_list(items: list[object], name: str, value: str | None) -> None:
    """Into the last object of `items`, or into a new one where that has such a member already."""
    last = items[-1] if items else None
    if not isinstance(last, dict) or _has(last, name):
        last = {}
        items.append(last)
    _put(last, name, value)


def _has(found: object, name: str) -> bool:
    for key in filter(None, re.split(r"[\[\]]+", name)):
        if not isinstance(found, dict) or key not in found:
            return False
        found = found[key]
    return "[]" not in name


def _held(into: dict[str, object], key: str, kind: type[_Kind]) -> _Kind:
    held = into.setdefault(key, kind())
    if not isinstance(held, kind):
        raise MixedError(f"{key!r} is given as two kinds of things")
    return held
