"""The measurement of the reference Judge0, against a server whose answers are known."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from harness.core.errors import WaitTimeoutError, WavetankError
from tests.bench import judge0_load as load
from tests.bench.judge0 import FIGURES, table

T = TypeVar("T")

KEPT = {figure.key: figure.bound for figure in FIGURES}


def against(
    answer: Callable[[str, bytes], tuple[int, object]], what: Callable[[load.Address], Awaitable[T]]
) -> T:
    """What a function returns that asks a server on loopback; ``answer`` gets first line and body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readline():
                rest = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", rest)
                body = await reader.readexactly(int(length[1])) if length else b""
                status, told = answer(head.decode(), body)
                text = json.dumps(told).encode()
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(text)) + text)
        finally:
            writer.close()

    async def both() -> T:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            return await what(server.sockets[0].getsockname()[:2])

    return asyncio.run(both())


class Judge0:
    """Takes everything; what was shown twice is finished."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.shown: dict[str, int] = {}

    def __call__(self, head: str, body: bytes) -> tuple[int, object]:
        if head.startswith("POST"):
            self.sources.append(json.loads(body)["source_code"])
            return 201, {"token": f"t{len(self.sources)}"}
        asked = re.search(r"tokens=([^&]*)", head)
        tokens = asked[1].split(",") if asked else []
        assert len(tokens) <= load.BATCH_LIMIT
        return 200, {"submissions": [self.show(token) for token in tokens]}

    def show(self, token: str) -> dict[str, object]:
        self.shown[token] = self.shown.get(token, 0) + 1
        return {"token": token, "status_id": 3 if self.shown[token] > 1 else 2, "stdout": "x"}


def test_as_many_are_created_as_asked_for_over_whatever_connections() -> None:
    """Seven over three connections; each is the hello-world."""
    judge0 = Judge0()
    tokens = against(judge0, lambda address: load.create_many(address, 7, connections=3))
    assert sorted(tokens) == [f"t{number}" for number in range(1, 8)]
    assert judge0.sources == [load.HELLO] * 7


def test_all_are_waited_for_in_batches() -> None:
    """More than fit into one: all have a final status when it returns."""
    tokens = [f"t{number}" for number in range(45)]
    found = against(Judge0(), lambda address: load.finished(address, tokens, within=30))
    assert {each["token"] for each in found} == set(tokens)
    assert {each["status_id"] for each in found} == {3}


def test_one_by_one_the_next_is_created_when_the_one_before_is_final() -> None:
    """Whenever one is handed in, those before have been seen finished."""
    judge0, seen = Judge0(), []

    def answer(head: str, body: bytes) -> tuple[int, object]:
        if head.startswith("POST"):
            seen.append([count > 1 for count in judge0.shown.values()])
        return judge0(head, body)

    against(answer, lambda address: load.create_one_by_one(address, 3, pause=0))
    assert seen == [[], [True], [True, True]]


def test_what_never_ends_is_told_with_what_was_seen_last() -> None:
    """The deadline names how many, and the answer."""

    def answer(_head: str, _body: bytes) -> tuple[int, object]:
        return 200, {"submissions": [{"token": "t", "status_id": 1}]}

    with pytest.raises(WaitTimeoutError, match=r"1 submissions.*status_id"):
        against(answer, lambda address: load.finished(address, ["t"], within=0))


def test_a_full_queue_is_an_error_and_no_fast_success() -> None:
    """Its answer is in the error; answers are counted by status where they are only counted."""

    def full(_head: str, _body: bytes) -> tuple[int, object]:
        return 503, {"error": "queue is full"}

    with pytest.raises(WavetankError, match=r"503.*queue is full"):
        against(full, lambda address: load.create_many(address, 1, connections=1))
    counted = against(full, lambda address: load.create_for(address, 0.05, connections=2))
    assert set(counted) == {503}


@pytest.mark.parametrize(
    ("key", "value", "missed"),
    [
        ("creates_per_core", 999.0, True),
        ("creates_per_core", 1000.0, False),
        ("begun_p50_ms", 5.1, True),
        ("above_ms", 5.0, False),
        ("bare_ms", 1e6, False),
    ],
)
def test_the_table_marks_what_was_promised_and_missed(key: str, value: float, missed: bool) -> None:
    """Rates are bounded from below, times from above, the rest not at all."""
    shown = [line for line in table({**KEPT, key: value}).splitlines() if "MISSED" in line]
    assert shown == ([line for line in shown if f"{value:.5g}" in line] if missed else [])
    assert len(shown) == missed
    figure = next(each for each in FIGURES if each.key == key)
    assert figure.missed(value) is missed
