"""The forms in which compose files write values, brought to one: texts, lists, mappings, times, sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.stack.service import Job

SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|us|µs|ns|m|s))+")
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
TRUE, FALSE = ("true", "yes", "on", "y"), ("false", "no", "off", "n")


def text(job: Job, key: str, value: Any) -> str:
    """A scalar as text, numbers and truth values as Docker writes them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)
    raise job.error(key, f"not text: {_told(value)}", "write one value")


def truth(job: Job, key: str, value: Any) -> bool:
    """``true`` or ``false``, also where a variable wrote it."""
    if isinstance(value, bool):
        return value
    if str(value).lower() in (*TRUE, *FALSE):
        return str(value).lower() in TRUE
    raise job.error(key, f"neither true nor false: {_told(value)}", "write `true` or `false`")


def whole(job: Job, key: str, value: Any) -> int:
    """A whole number, also where a variable wrote it."""
    try:
        return int(text(job, key, value))
    except ValueError:
        raise job.error(key, f"not a whole number: {_told(value)}", "write one, as 3") from None


def fraction(job: Job, key: str, value: Any) -> float:
    """A number, also where a variable wrote it."""
    try:
        return float(text(job, key, value))
    except ValueError:
        raise job.error(key, f"not a number: {_told(value)}", "write one, as 0.5") from None


def texts(job: Job, key: str, value: Any) -> list[str]:
    """A list of texts; one text is a list of it."""
    if isinstance(value, list):
        return [text(job, key, each) for each in value]
    return [text(job, key, value)]


def mapping(job: Job, key: str, value: Any) -> dict[str, str]:
    """``{NAME: value}`` or ``[NAME=value]``; a name without a value has "" for one."""
    return {name: each or "" for name, each in options(job, key, value).items()}


def options(job: Job, key: str, value: Any) -> dict[str, str | None]:
    """As :func:`mapping`, but a name without a value has None."""
    if isinstance(value, Mapping):
        return {
            str(name): None if each is None else text(job, f"{key}.{name}", each)
            for name, each in value.items()
        }
    if not isinstance(value, list):
        raise job.error(key, "neither a mapping nor a list", "write `NAME: value` lines")
    pairs = (text(job, key, each).partition("=") for each in value)
    return {name: each if equals else None for name, equals, each in pairs}


def section(job: Job, key: str, value: Any) -> dict[str, Any]:
    """A mapping, without what has no value."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise job.error(key, "not a mapping", "write `key: value` lines")
    return {str(name): each for name, each in value.items() if each is not None}


def items(job: Job, key: str, value: Any) -> Sequence[Any]:
    """A list of whatever there is in it."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise job.error(key, "not a list", "write `- item` lines")
    return value


def seconds(job: Job, key: str, value: Any) -> float:
    """A duration such as ``1m30s``."""
    given = text(job, key, value)
    if given == "0" or DURATION.fullmatch(given):
        pairs = re.findall(r"(\d+(?:\.\d+)?)([a-zµ]+)", given)
        return float(sum(float(number) * SECONDS[unit] for number, unit in pairs))
    raise job.error(key, f"not a duration: {_told(given)}", "write one with its unit, as `1m30s`")


def size(job: Job, key: str, value: Any) -> int:
    """A size such as ``64m``, in bytes."""
    given = text(job, key, value).strip()
    found = SIZE.fullmatch(given)
    if not found:
        raise job.error(key, f"not a size: {_told(given)}", "write one as `64m`")
    return int(float(found[1]) * 1024 ** " kmgtp".index(found[2].lower() or " "))


def _told(value: Any) -> str:
    """A value in a message. What is within a list or mapping stays unsaid, for it may be secret."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else f"`{value}`"
