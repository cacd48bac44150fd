"""Tells a submission's callback_url that it is finished: PUT, JSON, texts in Base64."""

import asyncio
import json
import logging
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from socket import SOCK_STREAM, getaddrinfo
from urllib.parse import urlsplit

from judge0_common.formats import STATUSES, decimal, encode64
from judge0_worker.verdict import Result

log = logging.getLogger("judge0.callback")

# Of an answer's first line.
LONGEST = 4096

_PORTS = {"http": 80, "https": 443}
# No blank and no control character, which could say more to a server than a name and a path.
_PLAIN = re.compile(r"[\x21-\x7e]{1,2048}")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})\b")
# A name server that never answers must keep nobody else waiting: these threads ask for nothing else.
_NAMES = ThreadPoolExecutor(2, "callback-names")


def _encode(raw: bytes | None) -> str | None:
    return None if raw is None else encode64(raw)


def body(token: str, result: Result) -> bytes:
    """What GET /submissions/TOKEN?base64_encoded=true would say."""
    return json.dumps(
        {
            "stdout": _encode(result.stdout),
            "time": None if result.time is None else decimal(result.time),
            "memory": result.memory,
            "stderr": _encode(result.stderr),
            "token": token,
            "compile_output": _encode(result.compile_output),
            "message": _encode(result.message),
            "status": {"id": result.status_id, "description": STATUSES[result.status_id]},
        }
    ).encode()


@dataclass(frozen=True)
class Address:
    """Where a URL leads: `target` is what is asked there."""

    host: str
    port: int
    secure: bool
    authority: str
    target: str


def address(url: str) -> Address:
    """Raises ValueError for what is no plain http address: it comes from whoever handed the submission in."""
    if not _PLAIN.fullmatch(url):
        raise ValueError("not a plain http address")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError("not a plain http address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    return Address(parts.hostname, port, parts.scheme == "https", parts.netloc, target)


async def _put(to: Address, content: bytes) -> int:
    """The answer's status; of the answer nothing else is read, however long it is."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(_NAMES, partial(getaddrinfo, to.host, to.port, type=SOCK_STREAM))
    context = ssl.create_default_context() if to.secure else None
    reader, writer = await asyncio.open_connection(
        found[0][4][0], to.port, ssl=context, server_hostname=to.host if to.secure else None, limit=LONGEST
    )
    try:
        writer.write(_head(to, len(content)) + content)
        await writer.drain()
        answer = _STATUS.match(await reader.readuntil(b"\n"))
    finally:
        writer.transport.abort()
    if not answer:
        raise ValueError("the answer is not HTTP")
    return int(answer[1])


def _head(to: Address, length: int) -> bytes:
    return (
        f"PUT {to.target} HTTP/1.1\r\nHost: {to.authority}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


async def call(url: str, token: str, result: Result, *, tries: int, timeout: float) -> None:
    """Tries again only where no answer came; any answer, an error too, is an answer.

    A try ends after `timeout`, whatever the other side does.
    """
    try:
        to, content = address(url), body(token, result)
    except ValueError as error:
        log.warning("no callback for %s to %.200r: %s", token, url, error)
        return
    for attempt in range(1, tries + 1):
        try:
            status = await asyncio.wait_for(_put(to, content), timeout)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            log.warning("callback for %s to %.200r, try %d of %d: %r", token, url, attempt, tries, error)
        else:
            if not 200 <= status < 300:
                log.info("callback for %s to %.200r answered %d", token, url, status)
            return
