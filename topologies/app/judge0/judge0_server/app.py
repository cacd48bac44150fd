"""From a request to the function that answers it, with authentication and CORS around."""

import asyncio
import logging
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from judge0_common.connect import DATABASE_ERRORS, QUEUE_ERRORS
from judge0_server import answers, information, params, render
from judge0_server.information import Statistics
from judge0_server.jobs import Jobs
from judge0_server.routes import Route, find, wants_json
from judge0_server.settings import Settings
from judge0_server.submissions import Submissions
from judge0_server.web import TooLargeError, limited

log = logging.getLogger("judge0")

# A server that has just started has its databases in a moment: a request waits for that rather than fail.
CONNECT_SECONDS = 5.0


class Backend:
    """What answers need PostgreSQL and Valkey for; made once both are there."""

    def __init__(self, submissions: Submissions, statistics: Statistics, jobs: Jobs) -> None:
        self.submissions, self.statistics, self.jobs = submissions, statistics, jobs


class App:
    """`backend` is None until the databases have answered for the first time; most endpoints need none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backend: Backend | None = None
        self._connected = asyncio.Event()
        self._leaving = False

    @property
    def backend(self) -> Backend | None:
        return self._backend

    @backend.setter
    def backend(self, backend: Backend) -> None:
        self._backend = backend
        self._connected.set()

    def leave(self) -> None:
        """From now on a connection is closed after its answer."""
        self._leaving = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application of HTTP only."""
        request = Request(scope, limited(receive))
        try:
            await request.body()
            response = await self._answer(request)
            # uvicorn itself knows this header in lower case only.
            last = self._leaving or request.headers.get("connection", "").lower() == "close"
        except TooLargeError:
            response, last = answers.bare(413), True
        except ClientDisconnect:
            return
        if last:
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        given: Mapping[str, object] | None = None
        try:
            if _is_preflight(request):
                response = _preflight(request)
            elif route := find(request.method, _path(request)):
                given = await _parameters(request)
                response = await self._checked(request, route, given)
            else:
                response = answers.bare(404)
        except params.MalformedError:
            response = answers.bare(400)
        except render.InvalidFieldsError as error:
            response = answers.error(str(error), 400)
        except (*QUEUE_ERRORS, *DATABASE_ERRORS) as error:
            log.warning("%s %s: %s: %s", request.method, _path(request), type(error).__name__, error)
            response = answers.error(f"database or queue unavailable: {type(error).__name__}", 503)
        except Exception:
            log.exception("%s %s", request.method, _path(request))
            response = answers.bare(500)
        return self._finished(request, given, response)

    def _finished(self, request: Request, given: Mapping[str, object] | None, response: Response) -> Response:
        """What Rails and Rack make of every response."""
        if answers.has_no_body(response) and wants_json(_path(request), given, request.headers):
            response = answers.as_json(response)
        if response.status_code == 200 and _is_known(request, response):
            response = answers.not_modified(response)
        if "origin" in request.headers:
            response.headers["access-control-allow-origin"] = self._settings.allow_origin
        return response

    async def _checked(self, request: Request, route: Route, given: Mapping[str, object]) -> Response:
        if status := self._refused(request, route, given):
            return answers.empty(status)
        if route.name == "submissions":
            return await self._submissions(request, route, given)
        if route.name == "languages" and route.member:
            if route.member == "all":
                return information.languages(everything=True)
            return information.language(route.member)
        return await self._information(route.name, given)

    def _refused(self, request: Request, route: Route, given: Mapping[str, object]) -> int | None:
        settings = self._settings
        if route.name == "":
            return None  # Judge0's home page is open to all
        if not _holds(request, given, settings.authn_header, settings.authn_tokens):
            return 401
        authorized = _holds(request, given, settings.authz_header, settings.authz_tokens)
        return 403 if route.privileged and not (settings.authz_tokens and authorized) else None

    async def _ready(self) -> Backend:
        """Raises TimeoutError where the databases have not answered in time."""
        if self._backend is None:
            await asyncio.wait_for(self._connected.wait(), CONNECT_SECONDS)
        assert self._backend is not None
        return self._backend

    async def _submissions(self, request: Request, route: Route, given: Mapping[str, object]) -> Response:
        backend = (await self._ready()).submissions
        match route.method, route.member:
            case "POST", "":
                return await backend.create(given)
            case "GET", "":
                return await backend.index(given)
            case "POST", _:
                return await backend.create_batch(given)
            case "GET", "batch":
                return await backend.show_batch(given, tokens=request.headers.get("tokens"))
            case "GET", token:
                return await backend.show(token, given)
            case _, token:
                return await backend.delete(token, given)

    async def _information(  # noqa: C901, PLR0911 - one case for each route
        self, name: str, given: Mapping[str, object]
    ) -> Response:
        settings = self._settings
        match name:
            case "version":
                return answers.plain(settings.version)
            case "languages":
                return information.languages(everything=False)
            case "statuses":
                return information.statuses()
            case "workers":
                return await information.workers(settings, (await self._ready()).jobs)
            case "about":
                return information.about(settings)
            case "config_info":
                return information.config_info(settings)
            case "system_info":
                return information.system_info()
            case "statistics":
                return await (await self._ready()).statistics.show(given)
            case "isolate":
                return answers.plain(information.ISOLATE)
            case "license":
                return answers.plain(information.LICENSE)
        return answers.empty(200)  # the home page, authenticate and authorize


def _path(request: Request) -> str:
    return str(request.scope["path"])


async def _parameters(request: Request) -> dict[str, object]:
    """Raises MalformedError."""
    query = request.scope["query_string"].decode("latin-1")
    return params.merged(request.headers.get("content-type", ""), await request.body(), query)


def _holds(request: Request, given: Mapping[str, object], header: str, tokens: frozenset[str]) -> bool:
    """Whether the request has one of the tokens: in the header, or in the parameter of its name."""
    if not tokens:
        return True
    held = request.headers.get(header)
    return str(given.get(header, "") if held is None else held) in tokens


def _is_known(request: Request, response: Response) -> bool:
    """Whether the client has this answer. Rack compares the tags as they are: it knows no lists, and no *."""
    known = request.headers.get("if-none-match")
    return known is not None and request.method in ("GET", "HEAD") and known == response.headers.get("etag")


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _preflight(request: Request) -> Response:
    asked = request.headers.get("access-control-request-headers", "")
    return Response(
        headers={
            "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS, HEAD",
            # uvicorn reads a tab in a header, and refuses to write one.
            "access-control-allow-headers": asked.replace("\t", " "),
            "access-control-max-age": "7200",
        }
    )
