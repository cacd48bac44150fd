"""Which function answers which request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

from emulator.api.http import Request, Response

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

Handler = Callable[["Cloud", Request], Response]


@dataclass(frozen=True)
class Route:
    """One operation: ``operation`` is its ``operationId`` in DigitalOcean's OpenAPI document."""

    method: str
    path: str
    operation: str
    handler: Handler = field(repr=False)


class Routes:
    """The operations of one service, in the order they are declared."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def on(self, method: str, path: str, operation: str) -> Callable[[Handler], Handler]:
        """Let the decorated function answer ``method`` on ``path``, in which ``{name}`` is one segment."""

        def register(handler: Handler) -> Handler:
            self.routes.append(Route(method, path, operation, handler))
            return handler

        return register


@cache
def pattern(path: str) -> re.Pattern[str]:
    """What a request's path must look like for a path of the document."""
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def match(path: str, template: str) -> Mapping[str, str] | None:
    """The template's parameters in ``path`` (as it was sent, quoted), None if it does not fit."""
    found = pattern(template).fullmatch(path)
    return {name: unquote(value) for name, value in found.groupdict().items()} if found else None
