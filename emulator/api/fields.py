"""Reading fields of a request's body: the right type, or an error that names the field.

Fields that are ``null`` count as absent, for clients send them so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.cloud.errors import UnprocessableError

Body = Mapping[str, Any]


def text(body: Body, name: str, default: str | None = "") -> str:
    """A string; ``default`` None makes it required."""
    value = body.get(name)
    if value is None:
        if default is None:
            raise UnprocessableError(f"{name} is required")
        return default
    if not isinstance(value, str):
        raise UnprocessableError(f"{name} must be a string")
    return value


def optional_text(body: Body, name: str) -> str | None:
    """A string, None if it is absent."""
    return text(body, name) if body.get(name) is not None else None


def word(body: Body, name: str) -> str:
    """A string or whole number, as text: ids and slugs come as either. Required."""
    value = body.get(name)
    if value is None:
        raise UnprocessableError(f"{name} is required")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UnprocessableError(f"{name} must be a string or an integer")
    return str(value)


def flag(body: Body, name: str, default: bool) -> bool:
    """A boolean."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise UnprocessableError(f"{name} must be a boolean")
    return value


def optional_flag(body: Body, name: str) -> bool | None:
    """A boolean, None if it is absent."""
    return None if body.get(name) is None else flag(body, name, default=False)


def number(body: Body, name: str, default: int | None = None) -> int:
    """A whole number; without ``default`` it is required."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnprocessableError(f"{name} must be an integer" if value is not None else f"{name} is required")
    return value


def decimal(body: Body, name: str) -> float:
    """A number; 0 if it is absent."""
    value = body.get(name)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnprocessableError(f"{name} must be a number")
    return float(value)


def array(body: Body, name: str) -> list[Any]:
    """A list; empty if it is absent."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnprocessableError(f"{name} must be an array")
    return value


def texts(body: Body, name: str) -> list[str]:
    """A list of strings."""
    values = array(body, name)
    if not all(isinstance(value, str) for value in values):
        raise UnprocessableError(f"{name} must be an array of strings")
    return values


def words(body: Body, name: str) -> list[str]:
    """A list of strings or whole numbers, as text."""
    return [word({name: value}, name) for value in array(body, name)]


def numbers(body: Body, name: str) -> list[int]:
    """A list of whole numbers."""
    return [number({name: value}, name) for value in array(body, name)]


def objects(body: Body, name: str) -> list[Body]:
    """A list of objects."""
    values = array(body, name)
    if not all(isinstance(value, dict) for value in values):
        raise UnprocessableError(f"{name} must be an array of objects")
    return values


def nested(body: Body, name: str) -> Body:
    """An object; empty if it is absent."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnprocessableError(f"{name} must be an object")
    return value
