"""Responses with the headers that Judge0's have."""

import hashlib
import json
import re
from http import HTTPStatus

from starlette.responses import Response

_JSON = {"content-type": "application/json; charset=utf-8"}
_PLAIN = {"content-type": "text/plain; charset=utf-8"}
_VARY = {"vary": "Origin"}
_FRESH = {"cache-control": "max-age=0, private, must-revalidate"}
_NO_CACHE = {"cache-control": "no-cache"}


# What Rails writes as \\uXXXX, so that JSON may stand in a page.
_FOR_PAGES = re.compile("[&<>\u2028\u2029]")

_EMPTY, _BARE = "text/html", "text/html; charset=UTF-8"


def dump(value: object) -> bytes:
    """JSON, byte by byte as Rails writes it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _FOR_PAGES.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode("utf-8", "replace")


def _ok(status: int, body: bytes, kind: dict[str, str]) -> Response:
    etag = hashlib.sha256(body).hexdigest()[:32]
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
    return Response(None, status, {"content-type": _EMPTY} | _NO_CACHE | _VARY)


def bare(status: int) -> Response:
    """An answer without a body, from the framework: no such page, no such record, an error."""
    return Response(None, status, {"content-type": _BARE} | _VARY)


def has_no_body(response: Response) -> bool:
    return response.headers.get("content-type", "") in (_EMPTY, _BARE)


def as_json(response: Response) -> Response:
    """The same answer to a request that asks for JSON: what the framework says about an error gets a body."""
    kind = response.headers.get("content-type")
    if kind == _EMPTY:
        response.headers["content-type"] = "application/json"
    elif kind == _BARE:
        status = response.status_code
        body = dump({"status": status, "error": HTTPStatus(status).phrase})
        return Response(body, status, {"content-type": "application/json; charset=UTF-8"} | _VARY)
    return response


def not_modified(response: Response) -> Response:
    """Instead of `response`, for a client that has it."""
    dropped = ("content-length", "content-type")
    return Response(None, 304, {k: v for k, v in response.headers.items() if k not in dropped})
