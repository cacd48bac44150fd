"""The API as one function from request to response: token, route, answer, error body, headers."""

from __future__ import annotations

import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
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
from emulator.cloud.store import StoreClosedError, StoreError
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
    "request_entity_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unprocessable_entity": HTTPStatus.UNPROCESSABLE_ENTITY,
    "not_implemented": HTTPStatus.NOT_IMPLEMENTED,
}
HOUR, LIMIT = 3600, 5000
MINUTE, BURST = 60, 250


def all_routes() -> Iterator[Route]:
    """Every operation that is implemented."""
    for service in SERVICES:
        yield from service


class Window:
    """How many of ``limit`` requests are used in so many seconds, which begin anew when they are over."""

    def __init__(self, seconds: int, limit: int, now: int) -> None:
        self._seconds, self.limit = seconds, limit
        self._used, self.reset = 0, now + seconds

    def renew(self, now: int) -> None:
        """Begin anew where it is over."""
        if now >= self.reset:
            self._used, self.reset = 0, now + self._seconds

    @property
    def left(self) -> int:
        """How many may still come."""
        return max(0, self.limit - self._used)

    def use(self) -> None:
        """Count one."""
        self._used += 1


class Allowance:
    """Requests left in this hour, as the headers tell them. ``clock`` gives seconds.

    With ``enforce``, too many in an hour or in a minute get 429. Without it some are always left: a client
    that is told of none waits for the next hour.
    """

    def __init__(
        self,
        *,
        enforce: bool = False,
        limit: int = LIMIT,
        burst: int = BURST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._enforce, self._clock = enforce, clock
        self._lock = threading.Lock()
        now = int(clock())
        self._hour, self._minute = Window(HOUR, limit, now), Window(MINUTE, burst, now)

    def take(self, *, counted: bool = True) -> tuple[bool, dict[str, str]]:
        """Count a request: whether it may pass, and the headers to send. Not ``counted``: it always may."""
        with self._lock:
            now = int(self._clock())
            for window in (self._hour, self._minute):
                window.renew(now)
            limited = self._enforce and counted
            full = [window for window in (self._hour, self._minute) if limited and not window.left]
            if counted and not full:
                self._hour.use()
                self._minute.use()
            left, reset = self._hour.left, self._hour.reset
        headers = {
            "ratelimit-limit": str(self._hour.limit),
            "ratelimit-remaining": str(left if self._enforce else max(1, left)),
            "ratelimit-reset": str(reset),
        }
        if full:
            headers["retry-after"] = str(max(1, *(window.reset - now for window in full)))
        return not full, headers


@dataclass(frozen=True)
class Admission:
    """Whether a request may be answered: ``refusal`` is the answer if not. ``headers`` go with each."""

    headers: Mapping[str, str]
    refusal: Response | None = None

    def response(self, response: Response) -> Response:
        """An answer with these headers."""
        return replace(response, headers={**self.headers, **response.headers})

    def error(self, status: int, id_: str, message: str) -> Response:
        """An error with these headers, in DigitalOcean's shape."""
        body = {"id": id_, "message": message, "request_id": self.headers["x-request-id"]}
        return self.response(Response(int(status), body))


class Api:
    """The API of one cloud. ``any_token`` lets every token in, as the mock does.

    Who reads requests off a wire asks :meth:`admit` with the head alone, before there is a body.
    """

    def __init__(self, cloud: Cloud, *, any_token: bool = False, enforce_limit: bool = False) -> None:
        self._cloud, self._any_token = cloud, any_token
        self._token = cloud.account.token.encode()
        self._allowance = Allowance(enforce=enforce_limit)

    def handle(self, request: Request) -> Response:
        """Answer a request. Never raises: a fault of ours is a 500, logged with its traceback."""
        admission = self.admit(request)
        return admission.refusal or self.answer(request, admission)

    def admit(self, head: Request) -> Admission:
        """Whether a request may be answered, by all but its body."""
        # What is the emulator's own is no request to DigitalOcean.
        passes, headers = self._allowance.take(counted=not _path(head).startswith(own.PREFIX))
        admission = Admission({**headers, "x-request-id": str(uuid.uuid4())})
        if not self._is_known(head):
            refusal = admission.error(401, "Unauthorized", "Unable to authenticate you")
        elif not head.is_well_addressed:
            refusal = admission.error(400, "bad_request", "The Host header is not a host and port.")
        elif not passes:
            refusal = admission.error(429, "too_many_requests", "API Rate limit exceeded.")
        else:
            return admission
        _note(head, refusal)
        return replace(admission, refusal=refusal)

    def refuse(self, head: Request, admission: Admission, error: CloudError) -> Response:
        """Answer a request that was admitted, and whose body is not one."""
        response = admission.error(STATUS[error.id], error.id, error.message)
        _note(head, response)
        return response

    def answer(self, request: Request, admission: Admission) -> Response:
        """Answer a request that was admitted."""
        response = admission.response(self._answer(request, admission))
        _note(request, response)
        return response

    def _answer(self, request: Request, admission: Admission) -> Response:
        try:
            return self._perform(request)
        except CloudError as error:
            return admission.error(STATUS[error.id], error.id, error.message)
        except StoreClosedError:
            return admission.error(503, "service_unavailable", "The emulator is stopping.")
        except StoreError as error:
            return admission.error(503, "service_unavailable", str(error))
        except PlaneError as error:  # only reads of the plane, and what is ours alone, run within a request
            return admission.error(500, "server_error", str(error))
        except Exception:  # whatever goes wrong, the client gets an answer and the log the traceback
            log.exception("%s %s failed", request.method, request.path)
            return admission.error(500, "server_error", "Server Error")

    def _perform(self, request: Request) -> Response:
        path = _path(request)
        route, params = find(request.method, path)
        request = replace(request, path=path, params=params)
        if request.method == "GET":
            return route.handler(self._cloud, request)
        with self._cloud.store.transaction():  # what cannot be answered did not happen
            return route.handler(self._cloud, request)

    def _is_known(self, head: Request) -> bool:
        if _path(head) == own.HEALTH:
            return True
        scheme, _, token = head.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        return self._any_token or secrets.compare_digest(token.strip().encode(), self._token)


def _path(request: Request) -> str:
    return request.path.rstrip("/") or "/"


def _note(request: Request, response: Response) -> None:
    log.info("%s %.300s %s", request.method, _path(request), response.status)


@cache
def _routes_by_method() -> Mapping[str, Sequence[Route]]:
    methods = {route.method for route in all_routes()}
    return {method: [route for route in all_routes() if route.method == method] for method in methods}


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request with its parameters. Raises ``NotFoundError`` or ``NotOfferedError``."""
    for route in _routes_by_method().get(method, ()):
        params = match(path, route.path)
        if params is not None and not (params and is_literal(method, path)):
            return route, dict(params)
    if offered_elsewhere(method, path):
        raise NotOfferedError(f"{method} {path}")
    raise NotFoundError
