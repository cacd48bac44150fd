"""Requests and responses, whoever carries them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from emulator.cloud.errors import BadRequestError


@dataclass(frozen=True)
class Request:
    """A request. ``path`` is quoted as it was sent, header names are lower case.

    ``base_url`` is scheme and host as the client wrote them; ``params`` are what the route found in the path.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = "https://api.digitalocean.com"
    params: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body, an object; empty if there is none. Raises ``BadRequestError``."""
        if not self.body.strip():
            return {}
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise BadRequestError("Unable to parse the request body as JSON.") from error
        if not isinstance(document, dict):
            raise BadRequestError("The request body must be a JSON object.")
        return document


@dataclass(frozen=True)
class Response:
    """An answer. ``body`` None is no body at all."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """The body as it goes out."""
        return b"" if self.body is None else json.dumps(self.body).encode()


def make_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Request:
    """A request from what a client or server library knows of it."""
    parts = urlsplit(url)
    return Request(
        method=method.upper(),
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in headers.items()},
        body=body,
        base_url=f"{parts.scheme}://{parts.netloc}",
    )
