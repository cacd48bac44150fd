"""Values of compose files, normalised from the forms they may have: strings, lists, durations, sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.stack.service import ServiceContext

SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|us|µs|ns|m|s))+")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
TRUE, FALSE = ("true", "yes", "on", "y"), ("false", "no", "off", "n")


def string(context: ServiceContext, key: str, value: Any) -> str:
    """A scalar as text, numbers and truth values as Docker writes them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise context.error(key, f"not text: {_describe(value)}", "write one value")


def boolean(context: ServiceContext, key: str, value: Any) -> bool:
    """``true`` or ``false``, also as text that came from a variable."""
    if isinstance(value, bool):
        return value
    if str(value).lower() in (*TRUE, *FALSE):
        return str(value).lower() in TRUE
    raise context.error(key, f"neither true nor false: {_describe(value)}", "write `true` or `false`")


def integer(context: ServiceContext, key: str, value: Any) -> int:
    """A whole number, also as text that came from a variable."""
    try:
        return int(string(context, key, value))
    except ValueError:
        raise context.error(key, f"not a whole number: {_describe(value)}", "write one, as 3") from None


def number(context: ServiceContext, key: str, value: Any) -> float:
    """A number, also as text that came from a variable."""
    try:
        return float(string(context, key, value))
    except ValueError:
        raise context.error(key, f"not a number: {_describe(value)}", "write one, as 0.5") from None


def strings(context: ServiceContext, key: str, value: Any) -> list[str]:
    """A list of strings; a single string is a list of one."""
    if isinstance(value, list):
        return [string(context, key, each) for each in value]
    return [string(context, key, value)]


def mapping(context: ServiceContext, key: str, value: Any) -> dict[str, str]:
    """``{NAME: value}`` or ``[NAME=value]``; a name without a value has "" for one."""
    return {name: each or "" for name, each in options(context, key, value).items()}


def options(context: ServiceContext, key: str, value: Any) -> dict[str, str | None]:
    """As :func:`mapping`, but a name without a value has None."""
    if isinstance(value, Mapping):
        return {
            str(name): None if each is None else string(context, f"{key}.{name}", each)
            for name, each in value.items()
        }
    if not isinstance(value, list):
        raise context.error(key, "neither a mapping nor a list", "write `NAME: value` lines")
    pairs = (string(context, key, each).partition("=") for each in value)
    return {name: each if equals else None for name, equals, each in pairs}


def section(context: ServiceContext, key: str, value: Any) -> dict[str, Any]:
    """A mapping, without the keys that have no value."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise context.error(key, "not a mapping", "write `key: value` lines")
    return {str(name): each for name, each in value.items() if each is not None}


def items(context: ServiceContext, key: str, value: Any) -> Sequence[Any]:
    """A list of anything."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise context.error(key, "not a list", "write `- item` lines")
    return value


def seconds(context: ServiceContext, key: str, value: Any) -> float:
    """A duration such as ``1m30s``."""
    given = string(context, key, value)
    if given == "0" or DURATION.fullmatch(given):
        pairs = re.findall(r"(\d+(?:\.\d+)?)([a-zµ]+)", given)
        return float(sum(float(number) * SECONDS[unit] for number, unit in pairs))
    raise context.error(key, f"not a duration: {_describe(given)}", "write one with its unit, as `1m30s`")


def size(context: ServiceContext, key: str, value: Any) -> int:
    """A size such as ``64m``, in bytes."""
    given = string(context, key, value).strip()
    found = SIZE.fullmatch(given)
    if not found:
        raise context.error(key, f"not a size: {_describe(given)}", "write one as `64m`")
    return int(float(found[1]) * 1024 ** " kmgtp".index(found[2].lower() or " "))


def _describe(value: Any) -> str:
    """A value in a message. The contents of a list or mapping are not shown, for they may be secret."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else f"`{value}`"
