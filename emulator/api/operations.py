"""Every operation that DigitalOcean's OpenAPI document has, so that what is missing here can be told apart
from what is nowhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from emulator.api.routing import match


class Operation(NamedTuple):
    """One operation of the document."""

    method: str
    path: str
    id: str


@cache
def operations() -> Sequence[Operation]:
    """All of them, from ``operations.json`` beside this file."""
    rows = json.loads(files("emulator.api").joinpath("operations.json").read_text())
    return tuple(Operation(*row) for row in rows)


@cache
def _literal() -> frozenset[tuple[str, str]]:
    """Methods and paths: every request with parameters is looked for among them."""
    return frozenset((item.method, item.path) for item in operations())


def is_literal(method: str, path: str) -> bool:
    """Whether the document has this very path: ``/v2/droplets/autoscale`` is no droplet."""
    return (method, path) in _literal()


def offered_elsewhere(method: str, path: str) -> bool:
    """Whether DigitalOcean answers this request."""
    return any(item.method == method and match(path, item.path) is not None for item in operations())
