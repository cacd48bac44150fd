"""Requests and answers as bytes: Judge0 1.13.1's own, recorded from it, and a front door's."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest

from harness.judge0 import reading, requests
from harness.judge0.api import IDS, is_final
from harness.judge0.model import NEVER, Address, Program, Route
from harness.judge0.reading import Submission, UnreadableError
from harness.load.model import Outcome
from harness.load.protocol import judging

HELLO = Program("hello", "python", "print('hé')", stdin="in\n", stdout="hé")
JUDGE0 = Route("judge0", "wait", Address("unix", "/run/way"), ids=IDS, timestamps=("created_at", "wall_time"))
DOOR = Route(
    "client",
    "wait",
    Address("socks", "203.0.113.7", 80, proxy="127.0.0.1:1080"),
    path="/api/run",
    request={"lang": "language", "id": "language_id", "code": "source", "in": "stdin"},
    reply={"token": "token", "status": "status.description", "stdout": "stdout"},
    ids=IDS,
)

# Recorded from Judge0 1.13.1: GET /submissions/batch?fields=* of a program that sleeps for a second, and
# POST /submissions?wait=true&fields=*.
SLEPT = {
    "stdout": "Nwo=\n",
    "status_id": 3,
    "created_at": "2026-11-23T21:28:44.840Z",
    "finished_at": "2026-11-23T21:28:46.244Z",
    "time": "0.012",
    "token": "72aeb861-8fa5-4c01-873a-bb98a84a9ce5",
    "wall_time": "1.038",
}
DEFAULT_FIELDS = {
    "stdout": "//4=\n",
    "time": "0.01",
    "memory": 3492,
    "stderr": None,
    "token": "242797c5-5e66-4f8c-b824-025566582b99",
    "compile_output": None,
    "message": None,
    "status": {"id": 3, "description": "Accepted"},
}


def dumped(document: Any) -> bytes:
    """As a body."""
    return json.dumps(document).encode()


def decoded(text: str) -> str:
    """From Base64."""
    return base64.b64decode(text).decode()


def test_wait_asks_for_the_outcome_in_the_same_request() -> None:
    """With the fields that this Judge0 has, and no other."""
    request = requests.submit(JUDGE0, HELLO)
    asked = "base64_encoded=true&wait=true&fields=token,status_id,stdout,created_at,wall_time"
    assert (request.method, request.path) == ("POST", f"/submissions?{asked}")
    body = json.loads(request.body)
    assert (decoded(body["source_code"]), decoded(body["stdin"])) == (HELLO.source, HELLO.stdin)
    assert body["language_id"] == 71
    assert "expected_output" not in body


@pytest.mark.parametrize("mode", ["poll", "callback"])
def test_other_ways_create_without_waiting(mode: Any) -> None:
    """Nothing but a token comes back."""
    route = dataclasses.replace(JUDGE0, mode=mode)
    assert requests.submit(route, HELLO).path == "/submissions?base64_encoded=true"


def test_limits_and_callbacks_are_fields_of_the_submission() -> None:
    """As Judge0 names them."""
    program = dataclasses.replace(HELLO, stdin="", limits={"cpu_time_limit": 0.5})
    body = json.loads(requests.submit(JUDGE0, program, callback_url="http://10.0.0.1:9/3").body)
    assert body["cpu_time_limit"] == 0.5
    assert body["callback_url"] == "http://10.0.0.1:9/3"
    assert "stdin" not in body


def test_a_request_is_http_with_a_length_and_the_token() -> None:
    """Byte by byte, as it goes over the wire."""
    route = dataclasses.replace(JUDGE0, headers={"X-Auth-Token": "secret"})
    sent = requests.encode(route, requests.Request("POST", "/submissions", b"{}"))
    assert sent == (
        b"POST /submissions HTTP/1.1\r\nHost: judge0\r\nAccept: application/json\r\n"
        b"Content-Type: application/json\r\nX-Auth-Token: secret\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_host_is_the_address_unless_the_route_says_otherwise() -> None:
    """A front door may tell its sites by name."""
    named = dataclasses.replace(DOOR.address, host_header="editor.example")
    assert requests.headers(DOOR)["Host"] == "203.0.113.7:80"
    assert requests.headers(dataclasses.replace(DOOR, address=named))["Host"] == "editor.example"
    assert "X-Auth-Token" not in requests.headers(DOOR)


def test_a_front_door_is_asked_in_its_own_words() -> None:
    """Plain text, under the keys that the topology gives."""
    request = requests.submit(DOOR, HELLO)
    assert request.path == "/api/run"
    assert json.loads(request.body) == {"lang": "python", "id": 71, "code": HELLO.source, "in": "in\n"}


def test_a_batch_holds_each_submission() -> None:
    """Made once for each program, joined for each creation."""
    each = requests.as_json(JUDGE0, HELLO)
    request = requests.create_many([each, each])
    assert request.path == "/submissions/batch?base64_encoded=true"
    assert json.loads(request.body) == {"submissions": [json.loads(each)] * 2}


def test_looking_names_all_tokens_in_one_request() -> None:
    """By batch, which Judge0 does not cache."""
    request = requests.fetch(["a", "b"], requests.fields(JUDGE0))
    assert request.method == "GET"
    assert request.path.startswith(
        "/submissions/batch?tokens=a,b&base64_encoded=true&fields=token,status_id,"
    )


def test_tokens_of_creations_are_read() -> None:
    """One, and those of a batch, in which Judge0 refuses single ones."""
    assert reading.read_created(b'{"token":"t"}') == "t"
    mixed = reading.read_created_many(b'[{"token":"t"},{"language_id":["can\'t be blank"]}]', 2)
    assert mixed[0] == "t"
    assert "can't be blank" in str(mixed[1])


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"token":null}', b"[]", b'"t"'])
def test_a_creation_without_a_token_cannot_be_read(body: bytes) -> None:
    """Whatever it is instead."""
    with pytest.raises(UnreadableError):
        reading.read_created(body)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'[{"token":"t"}]', b"\xff"])
def test_a_batch_of_another_length_cannot_be_read(body: bytes) -> None:
    """Nobody could say whose token is whose."""
    with pytest.raises(UnreadableError):
        reading.read_created_many(body, 2)


def test_what_judge0_tells_is_read_with_its_durations() -> None:
    """1.404 s from creation to the end, of which 1.038 were execution."""
    [told, unknown] = reading.read_many(dumped({"submissions": [SLEPT, None]}), [1, 1])
    assert told == Submission(
        str(SLEPT["token"]), 3, "7\n", 366_000, 1_038_000, 1_404_000, finished_at=str(SLEPT["finished_at"])
    )
    assert unknown is None


def test_default_fields_tell_no_durations() -> None:
    """As a callback has them; output that is no text is read all the same."""
    told = reading.read_one(dumped(DEFAULT_FIELDS))
    assert told == Submission(
        str(DEFAULT_FIELDS["token"]), 3, "\ufffd\ufffd", NEVER, NEVER, NEVER, "Accepted"
    )


def test_a_judge0_that_tells_when_a_worker_began_is_believed() -> None:
    """Then compilation counts as neither waiting nor execution."""
    began = {**SLEPT, "started_at": "2026-11-23T21:28:44.860Z"}
    assert reading.durations(began) == (20_000, 1_038_000, 1_404_000)


def test_several_runs_take_several_times_the_mean() -> None:
    """Judge0 tells the mean of `number_of_runs`."""
    program = dataclasses.replace(HELLO, limits={"number_of_runs": 3})
    entry = {**SLEPT, "wall_time": "0.4"}
    assert reading.durations(entry, requests.runs_of(program)) == (204_000, 1_200_000, 1_404_000)
    assert requests.runs_of(HELLO) == 1


def test_clocks_that_disagree_are_not_believed() -> None:
    """Up to what rounding explains, less than nothing is nothing; beyond, it is not told."""
    rounded = {**SLEPT, "finished_at": "2026-11-23T21:28:45.876Z"}
    apart = {**SLEPT, "finished_at": "2026-11-23T21:28:44.100Z"}
    assert reading.durations(rounded) == (0, 1_038_000, 1_036_000)
    assert reading.durations(apart) == (NEVER, 1_038_000, NEVER)


def test_what_is_unfinished_tells_no_durations() -> None:
    """In Queue: no end, no wall time."""
    queued = {**SLEPT, "status_id": 1, "stdout": None, "finished_at": None, "wall_time": None}
    told = reading.read_one(dumped(queued))
    assert not is_final(told.status)
    assert (told.stdout, told.queued_us, told.ran_us, told.judged_us) == ("", NEVER, NEVER, NEVER)


@pytest.mark.parametrize(
    "change",
    [
        {"status_id": None},
        {"stdout": 7},
        {"created_at": "yesterday"},
        {"wall_time": "long"},
    ],
)
def test_a_submission_in_another_form_cannot_be_read(change: dict[str, object]) -> None:
    """An error that says so, rather than a guess."""
    with pytest.raises(UnreadableError):
        reading.read_one(dumped({**SLEPT, **change}))


def test_a_front_door_is_read_where_the_topology_says() -> None:
    """Its status is a text."""
    reply = {"token": "t", "status": {"description": "Time Limit Exceeded"}, "stdout": None, "id": 1}
    assert reading.read_front_door(DOOR.reply, dumped(reply)) == Submission("t", 5)
    numbered = dataclasses.replace(DOOR, reply={"status": "status"})
    assert reading.read_front_door(numbered.reply, b'{"status":11}') == Submission("", 11)


@pytest.mark.parametrize("body", [b'{"status":"Accepted"}', b'{"status":{"description":"Fine"}}', b"[]"])
def test_a_front_door_that_answers_otherwise_cannot_be_read(body: bytes) -> None:
    """A path that is not there, a status that Judge0 does not have."""
    with pytest.raises(UnreadableError):
        reading.read_front_door(DOOR.reply, body)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "words"),
    [
        (503, b'{"error":"queue is full"}', Outcome.REFUSED, "503: queue is full"),
        (429, b"slow down\n", Outcome.REFUSED, "429: slow down"),
        (503, b'{"error":{"service":"judge0","message":"queue is full"}}', Outcome.REFUSED, "queue is full"),
        (422, b'{"source_code":["can\'t be blank"]}', Outcome.FAILED, "can't be blank"),
        (502, b"<html>\n<head>Bad Gateway", Outcome.FAILED, "502: <html> <head>Bad Gateway"),
        (401, b"", Outcome.FAILED, "401: no text"),
    ],
)
def test_refusals_are_told_from_failures_with_their_words(
    status: int, body: bytes, outcome: Outcome, words: str
) -> None:
    """503 and 429 say "not now"."""
    found = judging.declined(status, body)
    assert found is not None
    assert found[0] is outcome
    assert words in found[1]


@pytest.mark.parametrize("status", [200, 201])
def test_what_is_answered_is_not_declined(status: int) -> None:
    """Reading it comes next."""
    assert judging.declined(status, b"{}") is None


@pytest.mark.parametrize(
    ("status", "stdout", "outcome"),
    [
        (3, "hé\n", Outcome.OK),
        (3, "hé  \n\n", Outcome.OK),
        (0, "hé", Outcome.OK),
        (3, " hé", Outcome.WRONG),
        (3, "", Outcome.WRONG),
        (11, "hé", Outcome.WRONG),
        (13, "", Outcome.WRONG),
        (1, "", Outcome.UNANSWERED),
        (2, "", Outcome.UNANSWERED),
    ],
)
def test_only_the_right_status_and_output_are_right(status: int, stdout: str, outcome: Outcome) -> None:
    """Compared as Judge0 compares: without space at the ends of lines."""
    assert judging.judge(HELLO, status, stdout) is outcome


def test_a_program_may_be_meant_to_fail() -> None:
    """Then success is wrong."""
    failing = dataclasses.replace(HELLO, status=11, stdout=None)
    assert judging.judge(failing, 11, "anything") is Outcome.OK
    assert judging.judge(failing, 3, "") is Outcome.WRONG


def test_a_complaint_says_what_was_wrong_and_where_to_look() -> None:
    """The status first, then the output; and the token."""
    status = judging.complaint(HELLO, Submission("t", 13))
    assert status == "hello: Internal Error in place of Accepted (token t)"
    assert "printed 'no' in place of 'hé'" in judging.complaint(HELLO, Submission("t", 3, "no"))
