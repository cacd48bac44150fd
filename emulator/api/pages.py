"""Lists in pages, with absolute links to the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from emulator.api.http import Request, Response
from emulator.cloud.errors import UnprocessableError

DEFAULT, MOST = 20, 200
DIGITS = re.compile("[0-9]{1,18}")


def page(request: Request, name: str, items: Sequence[Any]) -> Response:
    """The page of ``items`` that ``page`` and ``per_page`` ask for, under ``name``."""
    number = _number(request, "page", 1, None)
    size = _number(request, "per_page", DEFAULT, MOST)
    start = (number - 1) * size
    body = {
        name: list(items[start : start + size]),
        "links": links(request, number, size, len(items)),
        "meta": {"total": len(items)},
    }
    return Response(200, body)


def links(request: Request, number: int, size: int, total: int) -> dict[str, Any]:
    """Links to the pages that mean something from here; none if there is one page only."""
    last = max(1, -(-total // size))
    targets: dict[str, int] = {}
    if number > 1:
        targets |= {"first": 1, "prev": min(number - 1, last)}
    if number < last:
        targets |= {"next": number + 1, "last": last}
    pages = {name: _url(request, target) for name, target in targets.items()}
    return {"pages": pages} if pages else {}


def _url(request: Request, number: int) -> str:
    query = {**request.query, "page": str(number)}
    return f"{request.base_url}{request.path}?{urlencode(query)}"


def _number(request: Request, name: str, default: int, most: int | None) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    number = int(text) if DIGITS.fullmatch(text) else 0
    if number < 1 or (most is not None and number > most):
        raise UnprocessableError(
            f"{name} must be {f'between 1 and {most}' if most else '1 or more'}, not {text!r}"
        )
    return number
