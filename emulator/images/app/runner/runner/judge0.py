"""Judge0's API as the runner uses it: create, then look by batch (which is not cached) until finished."""

import asyncio
import base64
import binascii
import time
from dataclasses import dataclass

import aiohttp

from runner.errors import BadRequestError, RefusedError, TimedOutError, UnavailableError

# The languages offered, by the names the API takes, with their ids in Judge0 1.13.1.
LANGUAGES = {"python": 71, "javascript": 63, "bash": 46, "c": 50, "cpp": 54}
LABELS = {"python": "Python", "javascript": "JavaScript", "bash": "Bash", "c": "C", "cpp": "C++"}

# Being ready is asked often and answered soon.
QUICK = aiohttp.ClientTimeout(total=3)
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


class Judge0:
    """Talks to Judge0 over one pool of connections."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url = session, url
        self._headers = {"X-Auth-Token": token} if token else {}

    async def _ask(self, method: str, path: str, **options: object) -> object:
        try:
            async with self._session.request(
                method, self._url + path, headers=self._headers, **options
            ) as answer:
                body = await answer.json(content_type=None)
                self._check(answer.status, body)
                return body
        except TimeoutError as error:
            raise TimedOutError("judge0", f"no answer from {self._url} in time") from error
        except aiohttp.ClientError as error:
            raise UnavailableError("judge0", f"{self._url} cannot be reached: {error}") from error
        except ValueError as error:
            raise UnavailableError("judge0", f"{self._url} answered what is not JSON") from error

    def _check(self, status: int, body: object) -> None:
        if status < 300:
            return
        reason = body.get("error") if isinstance(body, dict) else None
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
        """Returns the submission's token. Not tried again: it may have been created."""
        body = {
            "language_id": LANGUAGES[language],
            "source_code": base64.b64encode(source.encode()).decode(),
            "stdin": base64.b64encode(stdin.encode()).decode(),
        }
        answer = await self._ask("POST", "/submissions?base64_encoded=true&wait=false", json=body)
        if not isinstance(answer, dict) or not isinstance(answer.get("token"), str):
            raise UnavailableError("judge0", f"{self._url} created a submission without a token")
        return str(answer["token"])

    async def wait(self, token: str, *, within: float) -> Outcome:
        """Look until the submission has a final status; a look that fails is repeated while there is time."""
        deadline, pause = time.monotonic() + within, FIRST_LOOK
        problem: Exception | None = None
        while time.monotonic() < deadline:
            try:
                found = await self._look(token)
            except (UnavailableError, TimedOutError, RefusedError) as error:
                problem, found = error, None
            if found:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)
        text = f"submission {token} was not finished after {within:g} s"
        raise TimedOutError("judge0", f"{text}; last: {problem}" if problem else text)

    async def _look(self, token: str) -> Outcome | None:
        path = f"/submissions/batch?tokens={token}&base64_encoded=true&fields={FIELDS}"
        answer = await self._ask("GET", path)
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
