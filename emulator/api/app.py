"""The API as one function from request to response: token, route, answer, error body, headers."""

from __future__ import annotations

import logging
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus

from emulator.api import (
    actions,
    catalogue,
    databases,
    droplets,
    firewalls,
    keys,
    own,
    projects,
    tags,
    vpcs,
)
from emulator.api.http import Request, Response
from emulator.api.operations import is_literal, offered_elsewhere
from emulator.api.routing import Route, Routes, match
from emulator.cloud.core import Cloud
from emulator.cloud.errors import CloudError, NotFoundError, NotOfferedError
from emulator.planes.base import PlaneError

log = logging.getLogger(__name__)

SERVICES: tuple[Routes, ...] = (
    catalogue.ROUTES,
    keys.ROUTES,
    vpcs.ROUTES,
    droplets.ROUTES,
    actions.ROUTES,
    tags.ROUTES,
    firewalls.ROUTES,
    databases.ROUTES,
    projects.ROUTES,
    own.ROUTES,
)
STATUS = {
    "bad_request": HTTPStatus.BAD_REQUEST,
    "forbidden": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "precondition_failed": HTTPStatus.PRECONDITION_FAILED,
    "unprocessable_entity": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not_implemented": HTTPStatus.NOT_IMPLEMENTED,
}
HOUR, LIMIT = 3600, 5000


def all_routes() -> Iterator[Route]:
    """Every operation that is implemented."""
    for service in SERVICES:
        yield from service


class Allowance:
    """Requests left in this hour, as the headers tell them. With ``enforce``, none left means 429."""

    def __init__(self, *, enforce: bool = False, limit: int = LIMIT) -> None:
        self._enforce, self._limit = enforce, limit
        self._lock = threading.Lock()
        self._used, self._reset = 0, int(time.time()) + HOUR

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count a request: whether it may pass, and the headers to send."""
        with self._lock:
            now = int(time.time())
            if now >= self._reset:
                self._used, self._reset = 0, now + HOUR
            passes = self._used < self._limit or not self._enforce
            self._used += 1
            left = max(0, self._limit - self._used)
        headers = {"ratelimit-limit": str(self._limit), "ratelimit-remaining": str(left)}
        headers["ratelimit-reset"] = str(self._reset)
        if not passes:
            headers["retry-after"] = str(max(1, self._reset - now))
        return passes, headers


class Api:
    """The API of one cloud. ``any_token`` lets every token in, as the mock does."""

    def __init__(self, cloud: Cloud, *, any_token: bool = False, enforce_limit: bool = False) -> None:
        self._cloud, self._any_token = cloud, any_token
        self._token = cloud.account.token.encode()
        self._allowance = Allowance(enforce=enforce_limit)

    def handle(self, request: Request) -> Response:
        """Answer a request. Never raises: a fault of ours is a 500, logged with its traceback."""
        passes, headers = self._allowance.take()
        headers["x-request-id"] = str(uuid.uuid4())
        request = replace(request, path=request.path.rstrip("/") or "/")
        if not self._admitted(request):
            response = _error(401, "Unauthorized", "Unable to authenticate you", headers["x-request-id"])
        elif not passes:
            text = "API Rate limit exceeded."
            response = _error(429, "too_many_requests", text, headers["x-request-id"])
        else:
            response = self._answer(request, headers["x-request-id"])
        log.info("%s %s %s", request.method, request.path, response.status)
        return replace(response, headers={**headers, **response.headers})

    def _answer(self, request: Request, request_id: str) -> Response:
        try:
            route, params = find(request.method, request.path)
            request = replace(request, params=params)
            if request.method == "GET":
                return route.handler(self._cloud, request)
            with self._cloud.store.transaction():  # what cannot be answered did not happen
                return route.handler(self._cloud, request)
        except CloudError as error:
            return _error(STATUS[error.id], error.id, error.message, request_id)
        except PlaneError as error:  # only reads of the plane, and what is ours alone, run within a request
            return _error(500, "server_error", str(error), request_id)
        except Exception:  # whatever goes wrong, the client gets an answer and the log the traceback
            log.exception("%s %s failed", request.method, request.path)
            return _error(500, "server_error", "Server Error", request_id)

    def _admitted(self, request: Request) -> bool:
        if request.path == own.HEALTH:
            return True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        return self._any_token or secrets.compare_digest(token.strip().encode(), self._token)


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request with its parameters. Raises ``NotFoundError`` or ``NotOfferedError``."""
    for route in all_routes():
        if route.method == method:
            params = match(path, route.path)
            if params is not None and not (params and is_literal(method, path)):
                return route, dict(params)
    if offered_elsewhere(method, path):
        raise NotOfferedError(f"{method} {path}")
    raise NotFoundError


def _error(status: int, id_: str, message: str, request_id: str) -> Response:
    return Response(int(status), {"id": id_, "message": message, "request_id": request_id})
