"""The stream of submissions: what it notes for every answer, and how it finds itself in a listing."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from harness.faults.history import Entry, Journal
from harness.faults.steady import Requests, Steady, Submissions, is_json_object, items, program
from harness.judge0.reading import token_in
from harness.topology.model import FrontDoor

DOOR = FrontDoor(
    node="client",
    path="/api/run",
    request={"lang": "language", "code": "source", "input": "stdin"},
    reply={"token": "token", "status": "status.description", "stdout": "stdout"},
    history="/api/history",
)
SEED = "5eed5eed"


def stream(answer: Callable[[httpx.Request], httpx.Response], door: FrontDoor = DOOR) -> Submissions:
    """A stream whose front door is a function."""
    client = httpx.Client(base_url="http://door", transport=httpx.MockTransport(answer))
    return Submissions(client, door, Journal(), SEED)


def outcome(answer: Callable[[httpx.Request], httpx.Response]) -> Entry:
    """What is noted for one submission."""
    submissions = stream(answer)
    submissions.submit(7)
    invoked, ended = submissions.journal.entries()
    assert (invoked.kind, invoked.expected) == ("invoke", f"{SEED}-00007")
    return ended


def raising(error: type[httpx.HTTPError]) -> Callable[[httpx.Request], httpx.Response]:
    """A front door that cannot be asked."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error("gone")

    return answer


def test_programs_are_the_same_for_the_same_seed_and_print_what_is_theirs() -> None:
    """Each prints a text of its own."""
    assert program(SEED, 3) == program(SEED, 3)
    assert len({program(SEED, op).stdout for op in range(100)}) == 100
    assert all(program(SEED, op).stdout in program(SEED, op).source for op in range(100))


@pytest.mark.parametrize(
    ("takes", "used"),
    [
        (("python", "javascript", "bash", "c", "cpp"), {"bash": 20, "python": 10}),
        (("python", "cpp"), {"python": 30}),
        (("javascript", "python", "c"), {"python": 20, "javascript": 10}),
        (("c", "cpp"), {"c": 20, "cpp": 10}),
        (("javascript",), {"javascript": 30}),
    ],
)
def test_programs_are_in_the_cheapest_languages_that_the_application_takes(
    takes: tuple[str, ...], used: dict[str, int]
) -> None:
    """Two thirds in the first, and the rest in the second, if there is one; compiled ones if need be."""
    assert Counter(program(SEED, op, takes).language for op in range(30)) == used


def test_a_stream_is_in_the_topologys_languages_with_its_ids() -> None:
    """Whatever the front door's keys are."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"token": "t", "status": {"description": "Accepted"}, "stdout": "x"})

    client = httpx.Client(base_url="http://door", transport=httpx.MockTransport(answer))
    door = replace(DOOR, languages={"python": 92}, request={"id": "language_id", "code": "source"})
    for op in range(3):
        Submissions(client, door, Journal(), SEED).submit(op)
    assert [each["id"] for each in asked] == [92, 92, 92]


def test_an_answer_is_ok_with_token_and_result() -> None:
    """Final where Judge0 says so."""
    body = {"token": "t", "status": {"description": "Accepted"}, "stdout": "x\n"}
    ended = outcome(lambda _: httpx.Response(200, json=body))
    assert (ended.kind, ended.token, ended.final, ended.output, ended.code) == ("ok", "t", True, "x\n", 200)
    body["status"] = {"description": "In Queue"}
    assert not outcome(lambda _: httpx.Response(200, json=body)).final


@pytest.mark.parametrize(
    ("word", "final", "accepted"),
    [("OK", True, True), ("queued", False, True), ("Internal Error", True, True), ("failed", False, False)],
)
def test_without_a_token_only_a_status_of_judge0s_is_an_answer(
    word: str, final: bool, accepted: bool
) -> None:
    """By Judge0's words or the application's; any other says nothing of the submission."""
    reply = {"status": "status", "stdout": "stdout"}
    door = replace(DOOR, reply=reply, statuses={"OK": 3, "queued": 1})
    submissions = stream(lambda _: httpx.Response(200, json={"status": word, "stdout": ""}), door)
    submissions.submit(7)
    ended = submissions.journal.entries()[-1]
    assert (ended.kind, ended.final, ended.is_accepted) == ("ok", final, accepted)


def test_a_refusal_fails_in_its_own_words() -> None:
    """Status and body are kept."""
    ended = outcome(lambda _: httpx.Response(502, json={"error": "no runner"}))
    assert (ended.kind, ended.code, json.loads(ended.said)) == ("fail", 502, {"error": "no runner"})


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        (504, {"token": "t"}, "fail"),
        (504, {"error": {"message": "too late", "details": [{"token": "t"}]}}, "fail"),
        (200, {"token": "t", "note": "no status"}, "info"),
    ],
)
def test_an_answer_of_any_form_that_names_a_token_is_known_by_it(code: int, body: Any, kind: str) -> None:
    """It was accepted, and is followed to its end."""
    ended = outcome(lambda _: httpx.Response(code, json=body))
    assert (ended.kind, ended.token, ended.code) == (kind, "t", code)


def test_a_refusal_without_a_token_has_none() -> None:
    """Pages and other shapes of JSON, too."""
    for body in ("<html>token", '{"token": null}', "[1]", '{"token": 7}', "7", "null"):
        assert outcome(lambda _, text=body: httpx.Response(502, text=text)).token == ""


@pytest.mark.parametrize(
    ("path", "body", "token"),
    [
        ("submission.id", {"error": "bad gateway", "meta": {"id": "req-8812"}}, ""),
        ("submission.id", {"error": "bad gateway", "id": "req-8812"}, ""),
        ("submission.id", {"error": {"details": [{"submission": {"id": "t"}}], "id": "req-8812"}}, "t"),
        ("id", {"error": "bad gateway", "meta": {"id": "req-8812"}}, ""),
        ("id", {"error": "too late", "id": "t"}, "t"),
        ("data.token", {"error": {"token": "t"}}, "t"),
        ("data.user_token", {"error": {"user_token": "somebody"}}, ""),
    ],
)
def test_anything_elses_id_is_no_token(path: str, body: Any, token: str) -> None:
    """A refusal that has the id of a request stays one; where the path leads to a token, it is one."""
    assert token_in(json.dumps(body).encode(), {"token": path}) == token


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError, "fail"),
        (httpx.ConnectTimeout, "fail"),
        (httpx.ProxyError, "fail"),
        (httpx.ReadTimeout, "info"),
        (httpx.RemoteProtocolError, "info"),
    ],
)
def test_what_was_not_sent_failed_and_what_was_may_have_been_accepted(
    error: type[httpx.HTTPError], kind: str
) -> None:
    """Only who had no connection can be sure."""
    assert outcome(raising(error)).kind == kind


def test_an_answer_in_another_shape_is_not_known() -> None:
    """A page of HTML with status 200 says nothing about the submission."""
    assert outcome(lambda _: httpx.Response(200, text="<html>")).kind == "info"


def test_the_listing_tells_tokens_and_counts_and_each_only_once() -> None:
    """Entries of other people are left alone; what was noted is noted again only when there is more of it."""
    ours = {"token": "t7", "source": f"echo {SEED}-00007"}
    runs = [ours, {"token": "x", "source": "echo other"}]
    submissions = stream(lambda _: httpx.Response(200, json={"runs": runs}))
    submissions.read_listing()
    submissions.read_listing()
    assert [(each.op, each.token, each.count) for each in submissions.journal.entries()] == [(7, "t7", 1)]
    runs.append(ours)
    submissions.read_listing()
    assert submissions.journal.entries()[-1].count == 2


def test_entries_are_found_in_any_listing() -> None:
    """A bare list, or one within an object."""
    assert list(items([{"a": 1}, 2])) == [{"a": 1}]
    assert list(items({"meta": 1, "runs": [{"a": 1}]})) == [{"a": 1}]


def test_requests_keep_what_they_met() -> None:
    """A status, or none."""
    client = httpx.Client(base_url="http://lb", transport=httpx.MockTransport(raising(httpx.ReadTimeout)))
    requests = Requests(client, "/version")
    requests.ask(1)
    [made] = requests.made()
    assert made.code == 0
    assert "ReadTimeout" in made.said


def test_a_stream_begins_in_order_and_ends_when_told() -> None:
    """Numbers count up from 0, and after ``stop`` there are no more."""
    numbers, third = [], threading.Event()

    def act(number: int) -> None:
        numbers.append(number)
        if number == 2:
            third.set()

    steady = Steady(act, every=0.001)
    assert third.wait(10)
    steady.stop(10)
    count = len(numbers)
    assert sorted(numbers) == list(range(count))
    assert len(numbers) == count


def test_what_an_action_raises_comes_out_at_the_end() -> None:
    """A stream that breaks must not look like one that had nothing to tell."""
    begun = threading.Event()

    def act(_: int) -> None:
        begun.set()
        raise RuntimeError("broken")

    steady = Steady(act, every=0.001)
    assert begun.wait(10)
    with pytest.raises(RuntimeError, match="broken"):
        steady.stop(10)


@pytest.mark.parametrize(("text", "fine"), [('{"error": 1}', True), ("<html>", False), ("[]", False)])
def test_an_error_in_json_is_told_from_a_page(text: str, fine: bool) -> None:
    """Only an object will do."""
    assert is_json_object(text) is fine
