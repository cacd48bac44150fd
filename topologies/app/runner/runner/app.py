"""The HTTP API."""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from runner.errors import BadRequestError, RunnerError
from runner.history import LARGEST_PAGE, History
from runner.judge0 import LABELS, LANGUAGES, Judge0

log = logging.getLogger("runner")

LARGEST_BODY = 1024 * 1024


@web.middleware
async def errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error is {"error": {"service", "message"}}."""
    try:
        return await handler(request)
    except RunnerError as error:
        log.warning("%s %s: %s: %s", request.method, request.path, error.service, error.message)
        return web.json_response(error.body(), status=error.status)
    except web.HTTPException as error:
        body = {"error": {"service": "runner", "message": error.reason}}
        return web.json_response(body, status=error.status)


class Api:
    """The endpoints, over Judge0 and the history."""

    def __init__(self, judge0: Judge0, history: History, *, run_timeout: float) -> None:
        self._judge0, self._history, self._timeout = judge0, history, run_timeout

    def application(self) -> web.Application:
        app = web.Application(middlewares=[errors_as_json], client_max_size=LARGEST_BODY)
        app.add_routes(
            [
                web.post("/api/run", self.run),
                web.get("/api/history", self.history),
                web.get("/api/languages", self.languages),
                web.get("/healthz", self.live),
                web.get("/readyz", self.ready),
            ]
        )
        return app

    async def run(self, request: web.Request) -> web.Response:
        """{language, source, stdin?} -> the outcome and the id under which the history has it."""
        language, source, stdin = _read(await request.text())
        until = time.monotonic() + self._timeout
        kept: dict[str, object] = {"language": language, "source": source, "stdin": stdin}
        try:
            token = await self._judge0.create(language, source, stdin)
            kept["token"] = token
            outcome = await self._judge0.wait(token, until=until)
        except RunnerError as error:
            await self._keep({**kept, **error.body()})
            raise
        result = asdict(outcome)
        identifier, problem = await self._keep({**kept, **result})
        # The code did run: a history that is away costs the answer its id, and the answer says so.
        return web.json_response({**result, "id": identifier, **({"warning": problem} if problem else {})})

    async def _keep(self, run: dict[str, object]) -> tuple[str | None, str | None]:
        """The run's id, or None and why it is not in the history."""
        try:
            return await self._history.add(run), None
        except RunnerError as error:
            log.warning("history: %s", error.message)
            return None, f"not in the history: {error.message}"

    async def history(self, request: web.Request) -> web.Response:
        text = request.query.get("limit", "20")
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
            raise BadRequestError(f"limit must be a number from 1 to {LARGEST_PAGE}")
        return web.json_response({"runs": await self._history.newest(int(text))})

    async def languages(self, _request: web.Request) -> web.Response:
        shown = [
            {"name": name, "label": LABELS[name], "judge0_id": number} for name, number in LANGUAGES.items()
        ]
        return web.json_response({"languages": shown})

    async def live(self, _request: web.Request) -> web.Response:
        """The runner itself answers, whatever is behind it."""
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """Judge0 and MongoDB answer too; 503 and who does not, where one doesn't."""
        checks = {}
        for name, check in (("judge0", self._judge0.version), ("mongo", self._history.ping)):
            try:
                await check()
            except RunnerError as error:
                checks[name] = error.message
            else:
                checks[name] = "ok"
        ready = set(checks.values()) == {"ok"}
        return web.json_response(
            {"status": "ok" if ready else "unready", **checks}, status=200 if ready else 503
        )


def _read(text: str) -> tuple[str, str, str]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body must be an object with language, source and stdin")
    language, source, stdin = body.get("language"), body.get("source"), body.get("stdin") or ""
    if language not in LANGUAGES:
        raise BadRequestError(f"language must be one of {', '.join(LANGUAGES)}")
    if not isinstance(source, str) or not source.strip():
        raise BadRequestError("source must be a text that is not empty")
    if not isinstance(stdin, str):
        raise BadRequestError("stdin must be a text")
    return language, source, stdin
