"""A callback goes to whatever address a submission names: it ends in time, and reads next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from judge0_worker import callback, verdict

RESULT = verdict.Result(3, stdout=b"x" * 200_000)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes all, says nothing, and stays."""
    while await reader.read(65536):
        pass


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says in small pieces that it is about to answer, for ever."""
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A first line without an end."""
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers, and goes on for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await endless(reader, writer)


async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An error is an answer, too."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def calls_received(answer: Answer, timeout: float) -> tuple[int, bytes]:
    """How often a callback came to a server that answers like this, and how its first request began."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(b"")
        with suppress(OSError, EOFError, asyncio.CancelledError):
            heads[-1] = await reader.readline()
            await answer(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await callback.call(f"http://127.0.0.1:{port}/here?a=b", "t", RESULT, tries=2, timeout=timeout)
    server.close()
    return len(heads), heads[0]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("answer", "times", "timeout"),
    [(silent, 2, 0.5), (dripping, 2, 0.5), (endless, 2, 0.5), (flooding, 1, 10), (refusing, 1, 10)],
)
def test_a_callback_ends_whatever_the_other_side_does(answer: Answer, times: int, timeout: float) -> None:
    """It is tried again where no answer came, and only there; each try has its end."""
    assert asyncio.run(calls_received(answer, timeout)) == (times, b"PUT /here?a=b HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/",
        "http://",
        "http://host:port/",
        "http://host:99999/",
        "http://user:word@host/",
        "http://host/ HTTP/1.1\r\nX: y",
        "http://host/\nSET key value",
        "http://hö.st/",
        "http://host/" + "x" * 3000,
        "",
    ],
)
def test_what_is_no_plain_address_is_not_called(url: str) -> None:
    """No other scheme, no second line, no name and password; and that is no error of the worker's."""
    with pytest.raises(ValueError):  # noqa: PT011 - urlsplit has words of its own
        callback.address(url)
    asyncio.run(callback.call(url, "t", RESULT, tries=2, timeout=0.5))


def test_a_plain_address_is_taken_apart() -> None:
    """Host, port, and what is asked there."""
    found = callback.address("https://[::1]/x?y=z#part")
    assert (found.host, found.port, found.secure, found.target) == ("::1", 443, True, "/x?y=z")
    assert callback.address("HTTP://host:81").target == "/"
