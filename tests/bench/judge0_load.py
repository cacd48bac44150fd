"""What asks the reference Judge0 while it is measured: raw HTTP on kept-alive connections.

Closed loops, to saturate the server and the workers; their latency is not reported. A generator that is
itself the measure's subject is ``harness.load``.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from harness.core.errors import WaitTimeoutError, WavetankError
from harness.judge0.api import BATCH_LIMIT, IDS, is_final

Address = tuple[str, int]

HELLO = "print('hello, world')"

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Line:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError or EOFError where the connection ends before."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._reader.readexactly(int(length[1])) if length else b""
        return int(head[9:12]), body


@asynccontextmanager
async def line_to(address: Address) -> AsyncIterator[Line]:
    """A connection for the length of a block. Raises OSError where nothing listens."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def create_request(source: str = HELLO, language: int = IDS["python"]) -> bytes:
    """The bytes of a ``POST /submissions``."""
    body = json.dumps({"language_id": language, "source_code": source}).encode()
    head = "POST /submissions HTTP/1.1\r\nHost: judge0\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def show_request(tokens: Sequence[str]) -> bytes:
    """The bytes of a ``GET /submissions/batch``, which no cache answers."""
    asked = f"/submissions/batch?tokens={','.join(tokens)}&fields=token,status_id,stdout"
    return f"GET {asked} HTTP/1.1\r\nHost: judge0\r\n\r\n".encode()


async def create(line: Line) -> str:
    """Hand in a hello-world; returns its token. Raises WavetankError if it is not taken."""
    status, body = await line.ask(create_request())
    if status != 201:
        raise WavetankError(f"POST /submissions answered {status} {body[:300]!r}")
    return str(json.loads(body)["token"])


async def create_for(address: Address, seconds: float, *, connections: int) -> Counter[int]:
    """Create without a pause on each connection; returns how many answers had which status."""
    until, answers = time.monotonic() + seconds, Counter[int]()

    async def one() -> None:
        request = create_request()
        async with line_to(address) as line:
            while time.monotonic() < until:
                answers[(await line.ask(request))[0]] += 1

    await asyncio.gather(*(one() for _ in range(connections)))
    return answers


async def create_many(address: Address, count: int, *, connections: int) -> list[str]:
    """Create so many as fast as they are taken; returns their tokens."""
    tokens: list[str] = []

    async def one(share: int) -> None:
        async with line_to(address) as line:
            tokens.extend([await create(line) for _ in range(share)])

    shares = [count // connections + (number < count % connections) for number in range(connections)]
    await asyncio.gather(*(one(share) for share in shares))
    return tokens


async def create_one_by_one(address: Address, count: int, *, pause: float) -> list[str]:
    """Create each when the one before has been finished for ``pause`` seconds: nothing waits for another."""
    tokens = list[str]()
    async with line_to(address) as line:
        for _ in range(count):
            tokens.append(await create(line))
            await _until_final(line, tokens[-1:], within=60, every=0.02)
            await asyncio.sleep(pause)
    return tokens


async def finished(address: Address, tokens: Sequence[str], *, within: float) -> list[dict[str, Any]]:
    """All submissions once they have a final status. Raises WaitTimeoutError."""
    found, until = list[dict[str, Any]](), time.monotonic() + within
    async with line_to(address) as line:
        # The last first: when they are done, most others are, and the server is asked little meanwhile.
        for start in reversed(range(0, len(tokens), BATCH_LIMIT)):
            each = tokens[start : start + BATCH_LIMIT]
            found += await _until_final(line, each, within=until - time.monotonic(), every=0.2)
    return found


async def _until_final(
    line: Line, tokens: Sequence[str], *, within: float, every: float
) -> list[dict[str, Any]]:
    until = time.monotonic() + within
    while True:
        status, body = await line.ask(show_request(tokens))
        found = json.loads(body)["submissions"] if status == 200 else []
        if found and all(is_final(each["status_id"]) for each in found):
            return list(found)
        if time.monotonic() > until:
            raise WaitTimeoutError(
                f"{len(tokens)} submissions to be finished", within, f"{status} {body[:300]!r}"
            )
        await asyncio.sleep(every)
