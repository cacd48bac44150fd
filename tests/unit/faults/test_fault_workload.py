"""The workload of a fault: it begins, is kept, ends, and is judged; and what of it counts as failed."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.core.errors import WaitTimeoutError
from harness.core.wait import FakeClock, NotYet, wait_for
from harness.faults import workload as module
from harness.faults.history import Entry, load
from harness.faults.pace import Pace
from harness.faults.steady import Request, Steady
from harness.faults.workload import (
    FIRST_ANSWERS,
    Source,
    Workload,
    failed_requests,
    failed_submissions,
    submitting,
)
from harness.target.target import Target
from harness.topology.model import FrontDoor

REQUEST = {"language": "language", "source": "source", "stdin": "stdin"}
REPLY = {"token": "token", "status": "status", "stdout": "stdout"}
SOURCE = Source(
    Target("local", "", ""),
    FrontDoor("client", "/run", REQUEST, REPLY, "/history"),
    "203.0.113.1",
    seed="5eed5eed",
)


class Door:
    """A front door and the Judge0 behind it: runs the program by reading what it would print."""

    def __init__(self, status: int = 200, word: str = "Accepted") -> None:
        self.status, self.word = status, word
        self.runs: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As either of the two would."""
        if request.url.path == "/history":
            return httpx.Response(200, json={"runs": list(self.runs)})
        if request.url.path == "/submissions/batch":
            return httpx.Response(200, json={"submissions": [self._seen(each) for each in self.runs]})
        if request.method == "GET":
            return httpx.Response(405, text="post programs")
        if self.status != 200:
            return httpx.Response(self.status, json={"error": "no runner"})
        asked = json.loads(request.content)
        with self._lock:
            made = {"token": f"t{len(self.runs)}", "status": self.word, "source": asked["source"]}
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
    """Have the workload's front door be this one."""
    monkeypatch.setattr(module.frontdoor, "open_client", door.client)
    return door


def break_off(workload: Workload) -> None:
    """Fail in the middle."""
    workload.await_first_answers()
    raise ZeroDivisionError


def test_a_stream_is_kept_and_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every submission of it, in the file as well."""
    door, file = opened(Door(), monkeypatch), tmp_path / "history.jsonl"
    with submitting(SOURCE, file) as workload:
        workload.await_first_answers()
        judgement = workload.judged(door.client)
    accepted = judgement.of("ok")
    assert len(accepted) == len(door.runs) >= FIRST_ANSWERS
    assert judgement.of("lost") == judgement.of("unknown") == []
    assert load(file) == workload.entries()


def test_what_goes_on_is_counted_from_when_one_likes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Submissions and requests, and which of them failed; a refusal of the door's is one."""
    door = opened(Door(), monkeypatch)
    with submitting(SOURCE, tmp_path / "history.jsonl", requests=True) as workload:
        since = workload.await_more(2)
        door.status = 502
        until = workload.await_more(1)
        ended = workload.await_answers(since, until)
        failed = workload.failed(since)
        assert re.match(r"[1-9]\d* submissions and [1-9]\d* requests, ", workload.describe(since))
        assert workload.failed(time.time()) == []
    assert [each.code for each in ended] == [502] * len(ended) != []
    assert all(re.match(r"submission \d+: 502 .*no runner", each) for each in failed)
    assert len(failed) >= len(ended)


def test_the_history_is_read_on_until_the_last_answer_has_come(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It shows the newest entries only, and others may submit by then; nothing more is submitted here."""
    monkeypatch.setattr(module, "LIST_EVERY", 0.01)
    monkeypatch.setattr(module, "UNMEASURED", Pace(every=0.01))
    door, go, held = Door(), threading.Event(), threading.Event()
    answer, read = door.answer, threading.Semaphore(0)

    def last(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            held.set()
            go.wait(30)
        else:
            read.release()
        return answer(request)

    opened(door, monkeypatch)
    streams: list[Counted] = []

    def stream(*given: Any, **named: Any) -> Counted:
        streams.append(Counted(*given, **named))
        return streams[-1]

    monkeypatch.setattr(module, "Steady", stream)
    with submitting(SOURCE, tmp_path / "history.jsonl") as workload:
        workload.await_first_answers()
        monkeypatch.setattr(workload.client._transport, "handler", last)
        assert held.wait(30)
        workload.start_nothing_more()
        number = streams[0].count()
        assert all(read.acquire(timeout=30) for _ in range(20))
        assert streams[0].count() == number
        ending = threading.Thread(target=workload.stop)
        ending.start()
        late = {"token": "late", "source": "echo 5eed5eed-09999"}
        door.runs.append(late)
        wait_for("it to be listed", lambda: listed(workload, "late"), deadline=30)
        door.runs.remove(late)
        go.set()
        ending.join(30)
    assert len(workload.begun(0)) == number == len(door.runs)


class Counted(Steady):
    """A stream that says how much of it was started."""

    def count(self) -> int:
        return len(self._begun)


def listed(workload: Workload, token: str) -> None:
    """Raise ``NotYet`` until a token was read in the front door's history."""
    if not any(each.kind == "listed" and each.token == token for each in workload.entries()):
        raise NotYet("it was not read")


def test_nothing_is_handed_in_after_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever ended it."""
    door = opened(Door(), monkeypatch)
    with pytest.raises(ZeroDivisionError), submitting(SOURCE, tmp_path / "history.jsonl") as workload:
        break_off(workload)
    entries = workload.entries()
    assert sum(each.kind == "invoke" for each in entries) == sum(each.kind == "ok" for each in entries)
    assert len(door.runs) == sum(each.kind == "ok" for each in entries)


@pytest.mark.parametrize(
    ("door", "reply", "said"),
    [
        (Door(status=502), REPLY, "502 .*no runner"),
        (Door(word="failed"), {"status": "status", "stdout": "stdout"}, "200 failed"),
    ],
    ids=["refused", "a-word-of-its-own"],
)
def test_a_door_that_takes_nothing_is_no_ground_for_a_trial(
    door: Door, reply: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What it said is in the error."""
    opened(door, monkeypatch)
    source = replace(SOURCE, door=replace(SOURCE.door, reply=reply))
    met = threading.Event()
    clock = FakeClock()
    wait_for = module.wait_for

    def soon(awaited: str, probe: Any, **given: Any) -> Any:
        met.wait(30)
        return wait_for(awaited, probe, **given, clock=clock)

    monkeypatch.setattr(module, "wait_for", soon)
    with submitting(source, tmp_path / "history.jsonl") as workload:
        while not any(each.kind in ("fail", "ok") for each in workload.entries()):
            met.wait(0.01)
        met.set()
        with pytest.raises(WaitTimeoutError, match=rf"0 were accepted; the last of \d+: {said}"):
            workload.await_first_answers()


def test_only_accepted_submissions_are_well() -> None:
    """A refusal, silence, and a program that a worker could not run are failures."""
    ended = [
        Entry("ok", 1, 0, token="t", status="Accepted"),
        Entry("ok", 1, 1, token="u", status="Internal Error"),
        Entry("fail", 1, 2, code=502, said='{"error": "no runner"}'),
        Entry("info", 1, 3, said="ReadTimeout()"),
    ]
    assert failed_submissions(ended) == [
        "submission 1: Internal Error",
        'submission 2: 502 {"error": "no runner"}',
        "submission 3: no answer ReadTimeout()",
    ]


def test_a_request_is_answered_unless_the_server_fails() -> None:
    """To be refused is an answer. Errors are told in their own words."""
    made = [
        Request(0, 1, "GET /version", 200),
        Request(0, 1, "GET /api/run", 405, "Method Not Allowed"),
        Request(0, 1, "GET /version", 502, "no server"),
        Request(0, 1, "GET /version", 0, "ReadTimeout()"),
    ]
    assert failed_requests(made) == ["GET /version: 502 no server", "GET /version: no answer ReadTimeout()"]
