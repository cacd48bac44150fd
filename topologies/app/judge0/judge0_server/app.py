"""Routes: from a request to the function that answers it, with authentication and CORS around."""

import asyncio
import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from judge0_common.connect import DATABASE_ERRORS, QUEUE_ERRORS
from judge0_server import answers, information, params, render
from judge0_server.information import Statistics
from judge0_server.jobs import Jobs
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
        try:
            response = await self._checked(request)
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
        if response.status_code == 200 and "if-none-match" in request.headers:
            response = _not_modified(request, response)
        if "origin" in request.headers:
            response.headers["access-control-allow-origin"] = self._settings.allow_origin
        return response

    async def _checked(self, request: Request) -> Response:
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return _preflight(request)
        if not self._holds(request, self._settings.authn_header, self._settings.authn_tokens):
            return answers.empty(401)
        return await self._route(request)

    @staticmethod
    def _holds(request: Request, header: str, tokens: frozenset[str]) -> bool:
        """Whether the request has one of the tokens: in the header, or in the query under its name."""
        if not tokens:
            return True
        return (request.headers.get(header) or request.query_params.get(header, "")) in tokens

    def _authorized(self, request: Request) -> bool:
        tokens = self._settings.authz_tokens
        return bool(tokens) and self._holds(request, self._settings.authz_header, tokens)

    async def _route(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        first, _, rest = _path(request).strip("/").partition("/")
        if first == "submissions":
            return await self._submissions(request, method, rest)
        if method == "POST" and _path(request) == "/authenticate":
            return answers.empty(200)
        if method == "POST" and _path(request) == "/authorize":
            return answers.empty(200 if self._authorized(request) else 403)
        if method != "GET":
            return answers.bare(404)
        if first == "languages" and rest:
            return information.languages(everything=True) if rest == "all" else information.language(rest)
        return answers.bare(404) if rest else await self._information(request, first)

    async def _ready(self) -> Backend:
        """Raises TimeoutError where the databases have not answered in time."""
        if self._backend is None:
            await asyncio.wait_for(self._connected.wait(), CONNECT_SECONDS)
        assert self._backend is not None
        return self._backend

    async def _submissions(  # noqa: PLR0911 - one return for each route
        self, request: Request, method: str, token: str
    ) -> Response:
        privileged = method == "DELETE" or (method == "GET" and not token)
        if privileged and not self._authorized(request):
            return answers.empty(403)
        backend = (await self._ready()).submissions
        match method, token:
            case "POST", "":
                return await backend.create(request)
            case "GET", "":
                return await backend.index(request)
            case "POST", "batch":
                return await backend.create_batch(request)
            case "GET", "batch":
                return await backend.show_batch(request)
            case "GET", _:
                return await backend.show(request, token)
            case "DELETE", _ if token:
                return await backend.delete(request, token)
        return answers.bare(404)

    async def _information(  # noqa: C901, PLR0911 - one case for each route
        self, request: Request, name: str
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
                return await (await self._ready()).statistics.show(request)
            case "isolate":
                return answers.plain(information.ISOLATE)
            case "license":
                return answers.plain(information.LICENSE)
        return answers.bare(404)


def _path(request: Request) -> str:
    return str(request.scope["path"])


def _not_modified(request: Request, response: Response) -> Response:
    etag = response.headers.get("etag")
    if etag is None or etag not in request.headers["if-none-match"]:
        return response
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(None, 304, kept)


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
