"""Responses with the headers that Judge0's have."""

import hashlib
import json

from starlette.responses import Response

_JSON = {"content-type": "application/json; charset=utf-8"}
_PLAIN = {"content-type": "text/plain; charset=utf-8"}
_VARY = {"vary": "Origin"}
_FRESH = {"cache-control": "max-age=0, private, must-revalidate"}
_NO_CACHE = {"cache-control": "no-cache"}


def dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _ok(status: int, body: bytes, kind: dict[str, str]) -> Response:
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Response(body, status, kind | _FRESH | {"etag": f'W/"{etag}"'} | _VARY)


def ok(value: object, status: int = 200) -> Response:
    return _ok(status, dump(value), _JSON)


def plain(text: str) -> Response:
    return _ok(200, text.encode(), _PLAIN)


def refused(value: object, status: int) -> Response:
    """An error with a JSON body."""
    return Response(dump(value), status, _JSON | _NO_CACHE | _VARY)


def error(message: str, status: int) -> Response:
    return refused({"error": message}, status)


def empty(status: int) -> Response:
    """An answer without a body, from the application."""
    return Response(None, status, {"content-type": "text/html"} | _NO_CACHE | _VARY)


def bare(status: int) -> Response:
    """An answer without a body, from the framework: no such page, no such record, an error."""
    return Response(None, status, {"content-type": "text/html; charset=UTF-8"} | _VARY)
