"""What a request's body may be: one JSON object of bounded size and depth, of values that can be kept.

Python's own reader takes more than JSON is, and more than SQLite, Docker or a client can take back: bodies in
UTF-16, numbers that are infinite, lone surrogates, keys that are there twice. Here each is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from emulator.cloud.errors import BadRequestError, TooLargeError, UnprocessableError

MOST_BODY = 1024 * 1024
MOST_DEPTH = 32
MOST_DIGITS = 20  # of a number of 64 bits, with its sign
UNREADABLE = "Unable to parse the request body as JSON."


def check_size(size: int) -> None:
    """Raise ``TooLargeError`` for more bytes than a body may have."""
    if size > MOST_BODY:
        raise TooLargeError(f"The request body is larger than {MOST_BODY} bytes.")


def read(body: bytes) -> dict[str, Any]:
    """The object in a body; empty if there is none.

    Raises ``TooLargeError``, ``BadRequestError`` for what is no JSON object, and ``UnprocessableError`` for
    values that cannot be kept.
    """
    check_size(len(body))
    if not body.strip():
        return {}
    document = _parse(body)
    if not isinstance(document, dict):
        raise BadRequestError("The request body must be a JSON object.")
    for value in _values(document):
        if isinstance(value, str):
            _check_text(value)
    return document


def _parse(body: bytes) -> Any:
    try:
        return json.loads(
            body.decode(),
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_constant,
            object_pairs_hook=_unique,
        )
    except ValueError as error:
        raise BadRequestError(UNREADABLE) from error
    except RecursionError as error:
        raise _too_deep() from error


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) <= MOST_DIGITS else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise UnprocessableError("The request body has an integer of more than 64 bits.")
    return number


def _decimal(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnprocessableError("The request body has a number that is too large.")
    return number


def _constant(name: str) -> float:
    raise UnprocessableError(f"The request body has {name}, which is not JSON.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequestError("The request body has an object with the same key twice.")
    return found


def _values(document: dict[str, Any]) -> Iterator[Any]:
    """Every key and value, however deep. Raises ``BadRequestError`` for more than ``MOST_DEPTH`` levels."""
    level: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                deeper += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                deeper += value
            else:
                yield value
        level = deeper
    if level:
        raise _too_deep()


def _check_text(text: str) -> None:
    if "\0" in text:
        raise UnprocessableError("The request body has a text with the character NUL in it.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise UnprocessableError("The request body has half of a surrogate pair, which is not a character.")


def _too_deep() -> BadRequestError:
    return BadRequestError(f"The request body is nested more than {MOST_DEPTH} levels deep.")
