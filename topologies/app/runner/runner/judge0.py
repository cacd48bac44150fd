"""Judge0's API as the runner uses it: create, then look by batch (which is not cached) until finished.

Judge0's address may be a name that moves, and a machine that goes may take its connections with it unheard.
So each request has a connection of its own, made soon or not at all, to an address that is a second old at
most. Looks are repeated whatever happens to them. A creation is repeated where Judge0 has seen nothing of it.
"""

import asyncio
import base64
import binascii
import random
import time
from dataclasses import dataclass

import aiohttp

from runner.errors import BadRequestError, RefusedError, TimedOutError, UnavailableError, UnsentError

# The languages offered, by the names the API takes, with their ids in Judge0 1.13.1.
LANGUAGES = {"python": 71, "javascript": 63, "bash": 46, "c": 50, "cpp": 54}
LABELS = {"python": "Python", "javascript": "JavaScript", "bash": "Bash", "c": "C", "cpp": "C++"}

# Being ready is asked often and answered soon.
QUICK = aiohttp.ClientTimeout(total=3)
# From a name to a connection.
CONNECT = 2.0
# A look takes Judge0 some milliseconds. One that got lost with a machine is waited for no longer than this.
LOOK = aiohttp.ClientTimeout(total=5, connect=CONNECT)
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5
FIELDS = "token,status,stdout,stderr,compile_output,message,time,memory"


@dataclass(frozen=True)
class Outcome:
    """A finished submission; texts are UTF-8, with replacement characters where the program's were not."""

    token: str
    status: dict[str, object]
    stdout: str | None
    stderr: str | None
    compile_output: str | None
    message: str | None
    time: str | None
    memory: int | None


def session(timeout: float) -> aiohttp.ClientSession:
    """Connections as described above; `timeout`: seconds for one answer."""
    connector = aiohttp.TCPConnector(limit=256, force_close=True, ttl_dns_cache=1)
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout, connect=CONNECT), connector=connector
    )


class Judge0:
    """Talks to Judge0; `patience`: seconds for which one that cannot be reached is tried again."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, *, patience: float) -> None:
        self._session, self._url, self._patience = session, url, patience
        self._headers = {"X-Auth-Token": token} if token else {}

    async def _ask(self, method: str, path: str, **options: object) -> object:
        try:
            async with self._session.request(
                method, self._url + path, headers=self._headers, **options
            ) as answer:
                body = await answer.json(content_type=None)
                self._check(answer, body)
                return body
        except aiohttp.ClientConnectorError as error:
            raise UnsentError("judge0", f"{self._url} cannot be reached: {error}") from error
        except aiohttp.ServerTimeoutError as error:
            # Without a sock_read time-out, this is the connection's.
            raise UnsentError("judge0", f"{self._url} cannot be reached: no connection in time") from error
        except TimeoutError as error:
            raise TimedOutError("judge0", f"no answer from {self._url} in time") from error
        except aiohttp.ClientError as error:
            raise UnavailableError("judge0", f"{self._url} cannot be reached: {error}") from error
        except ValueError as error:
            raise UnavailableError("judge0", f"{self._url} answered what is not JSON") from error

    def _check(self, answer: aiohttp.ClientResponse, body: object) -> None:
        status = answer.status
        if status < 300:
            return
        reason = body.get("error") if isinstance(body, dict) else None
        if status == 502 and "Retry-After" in answer.headers:
            raise UnsentError("judge0", f"{self._url}: {reason or 'no server can be reached'}")
        if status == 503:
            raise RefusedError("judge0", str(reason or "Judge0 takes no submissions now"))
        if status == 422:
            raise BadRequestError(f"Judge0 refused the submission: {body}")
        raise UnavailableError("judge0", f"{self._url} answered {status}{f': {reason}' if reason else ''}")

    async def version(self) -> None:
        """Succeeds where Judge0 answers."""
        try:
            async with self._session.get(
                self._url + "/version", headers=self._headers, timeout=QUICK
            ) as answer:
                if answer.status != 200:
                    raise UnavailableError("judge0", f"{self._url}/version answered {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError("judge0", f"{self._url} cannot be reached: {error}") from error

    async def create(self, language: str, source: str, stdin: str) -> str:
        """Returns the submission's token. Tried again only where it cannot have been created."""
        body = {
            "language_id": LANGUAGES[language],
            "source_code": base64.b64encode(source.encode()).decode(),
            "stdin": base64.b64encode(stdin.encode()).decode(),
        }
        answer = await self._insist("POST", "/submissions?base64_encoded=true&wait=false", json=body)
        if not isinstance(answer, dict) or not isinstance(answer.get("token"), str):
            raise UnavailableError("judge0", f"{self._url} created a submission without a token")
        return str(answer["token"])

    async def _insist(self, method: str, path: str, **options: object) -> object:
        """Ask, and ask again while nothing was sent and there is patience left."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await self._ask(method, path, **options)
            except UnsentError as error:
                # Not all at the same moment, when it is back.
                pause = random.uniform(0.2, 0.6)  # noqa: S311 - no secret
                if time.monotonic() + pause > deadline:
                    message = f"{error.message} (tried for {self._patience:g} s)"
                    raise UnsentError("judge0", message) from error
                await asyncio.sleep(pause)

    async def wait(self, token: str, *, until: float) -> Outcome:
        """Look until the submission has a final status; a look that fails is repeated while there is time.

        `until`: when that is over, as time.monotonic() tells it.
        """
        begun, pause = time.monotonic(), FIRST_LOOK
        problem: Exception | None = None
        while True:
            try:
                found = await self._look(token)
            except (UnavailableError, TimedOutError, RefusedError) as error:
                problem, found = error, None
            if found:
                return found
            if time.monotonic() > until:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)
        text = f"submission {token} was not finished after {time.monotonic() - begun:.0f} s"
        raise TimedOutError("judge0", f"{text}; last: {problem}" if problem else text)

    async def _look(self, token: str) -> Outcome | None:
        path = f"/submissions/batch?tokens={token}&base64_encoded=true&fields={FIELDS}"
        answer = await self._ask("GET", path, timeout=LOOK)
        try:
            [found] = answer["submissions"]  # type: ignore[index]  # what is no such thing raises below
            if found is None or found["status"]["id"] in (1, 2):
                return None
            return Outcome(
                token=token,
                status=found["status"],
                stdout=_decode(found["stdout"]),
                stderr=_decode(found["stderr"]),
                compile_output=_decode(found["compile_output"]),
                message=_decode(found["message"]),
                time=found["time"],
                memory=found["memory"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UnavailableError("judge0", f"{self._url} answered in an unknown form: {error}") from error


def _decode(text: str | None) -> str | None:
    try:
        return None if text is None else base64.b64decode(text).decode("utf-8", "replace")
    except binascii.Error:
        return text
