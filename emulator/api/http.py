"""Requests and responses, whoever carries them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from emulator.api import bodies

HOST = re.compile(r"(?:[\w.-]{1,255}|\[(?P<ipv6>[0-9a-fA-F:.]{2,45})\])(?::(?P<port>[0-9]{1,5})?)?", re.ASCII)
MOST_PORT = 65535


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
        """The body, an object; empty if there is none. Raises ``BadRequestError`` or ``TooLargeError``."""
        return bodies.read(self.body)

    @property
    def is_well_addressed(self) -> bool:
        """Whether ``base_url`` has a host name or address, and a port if any, that can be."""
        host = HOST.fullmatch(self.base_url.partition("://")[2])
        if host is None or int(host["port"] or 0) > MOST_PORT:
            return False
        return host["ipv6"] is None or _is_ipv6(host["ipv6"])


@dataclass(frozen=True)
class Response:
    """An answer. ``body`` None is no body at all."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """The body as it goes out."""
        return b"" if self.body is None else json.dumps(self.body).encode()


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


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
