"""Requests, responses and forms, as plain values."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl


class Request(NamedTuple):
    """`headers` has lower-case names; `query` keeps a name's last value, as Rails does."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)


def form(body: bytes) -> dict[str, str]:
    """A urlencoded form's fields."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def multipart(body: bytes, content_type: str) -> dict[str, str]:
    """A multipart form's fields; raises ValueError where there is no boundary."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise ValueError("multipart body without a boundary")
    fields = {}
    for part in body.split(b"--" + found[1].encode("latin-1"))[1:]:
        head, separator, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if separator and name:
            fields[name[1].decode("utf-8", "replace")] = value.removesuffix(b"\r\n").decode(
                "utf-8", "replace"
            )
    return fields
