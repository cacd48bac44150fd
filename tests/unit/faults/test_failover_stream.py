"""The stream of a trial: it begins, is kept, ends, and is judged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.errors import WaitTimeoutError
from harness.faults import stream as module
from harness.faults.history import load
from harness.faults.stream import FIRST_ANSWERS, Source, Stream, streaming
from harness.target import Target
from harness.topology.model import FrontDoor
from harness.wait import FakeClock

REQUEST = {"language": "language", "source": "source", "stdin": "stdin"}
REPLY = {"token": "token", "status": "status", "stdout": "stdout"}
SOURCE = Source(
    Target("local", "", ""),
    FrontDoor("client", "/run", REQUEST, REPLY, "/history"),
    "203.0.113.1",
    "5eed5eed",
)


class Door:
    """A front door and the Judge0 behind it: runs the program by reading what it would print."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.runs: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As either of the two would."""
        if request.url.path == "/history":
            return httpx.Response(200, json={"runs": list(self.runs)})
        if request.url.path == "/submissions/batch":
            return httpx.Response(200, json={"submissions": [self._seen(each) for each in self.runs]})
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "no runner"})
        asked = json.loads(request.content)
        with self._lock:
            made = {"token": f"t{len(self.runs)}", "status": "Accepted", "source": asked["source"]}
            made["stdout"] = f"{asked['source'].split()[-1]}".strip("print()'")
            self.runs.append(made)
        return httpx.Response(200, json=made)

    def _seen(self, made: dict[str, Any]) -> dict[str, Any]:
        import base64

        text = base64.b64encode(made["stdout"].encode()).decode()
        return {"token": made["token"], "status": {"id": 3, "description": "Accepted"}, "stdout": text}

    @contextmanager
    def client(self, *_: object, **__: object) -> Iterator[httpx.Client]:
        """A connection to it."""
        with httpx.Client(base_url="http://door", transport=httpx.MockTransport(self.answer)) as client:
            yield client


def opened(door: Door, monkeypatch: pytest.MonkeyPatch) -> Door:
    """Have the stream's front door be this one."""
    monkeypatch.setattr(module.frontdoor, "open_single", door.client)
    return door


def break_off(stream: Stream) -> None:
    """Fail in the middle."""
    stream.await_first_answers()
    raise ZeroDivisionError


def test_a_stream_is_kept_and_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every submission of it, in the file as well."""
    door, file = opened(Door(), monkeypatch), tmp_path / "history.jsonl"
    with streaming(SOURCE, file) as stream:
        stream.await_first_answers()
        judgement = stream.judged(door.client)
    accepted = judgement.of("ok")
    assert len(accepted) == len(door.runs) >= FIRST_ANSWERS
    assert judgement.of("lost") == judgement.of("unknown") == []
    assert load(file) == stream.entries()


def test_nothing_is_handed_in_after_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever ended it."""
    door = opened(Door(), monkeypatch)
    with pytest.raises(ZeroDivisionError), streaming(SOURCE, tmp_path / "history.jsonl") as stream:
        break_off(stream)
    entries = stream.entries()
    assert sum(each.kind == "invoke" for each in entries) == sum(each.kind == "ok" for each in entries)
    assert len(door.runs) == sum(each.kind == "ok" for each in entries)


def test_a_door_that_takes_nothing_is_no_ground_for_a_trial(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it said is in the error."""
    opened(Door(status=502), monkeypatch)
    met = threading.Event()
    clock = FakeClock()
    wait_for = module.wait_for

    def soon(awaited: str, probe: Any, **given: Any) -> Any:
        met.wait(30)
        return wait_for(awaited, probe, **given, clock=clock)

    monkeypatch.setattr(module, "wait_for", soon)
    with streaming(SOURCE, tmp_path / "history.jsonl") as stream:
        while not any(each.kind == "fail" for each in stream.entries()):
            met.wait(0.01)
        met.set()
        with pytest.raises(WaitTimeoutError, match=r"0 were accepted; the last of \d+: 502 .*no runner"):
            stream.await_first_answers()
