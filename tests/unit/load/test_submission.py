"""Arrivals handed in in each mode, and what is recorded of each."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from submission_samples import MS, TRIP, WORKLOAD, FakeEngine, FakeJudge0, FakeRecord, begun, route

from harness.core.errors import UsageError
from harness.judge0.model import NEVER, Address, Program, Route, SubmissionMode
from harness.load.model import Outcome, Workload
from harness.load.protocol.batching import SPAN
from harness.load.protocol.opening import check_route, open_protocol
from harness.load.protocol.polling import POLL_TIMEOUT, POLLS_AT_ONCE

POLL = 50 * MS
MODES: list[SubmissionMode] = ["wait", "poll", "batch"]


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_ends_right_programs_as_ok(mode: SubmissionMode) -> None:
    """The one that is meant to fail, too."""
    engine, record, _ = begun(mode, FakeJudge0(), 4, every=MS)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.OK] * 4
    assert [each.status for each in record.rows] == [3, 11, 3, 11]
    assert all(
        each.durations == {"queued_us": 40_000, "ran_us": 20_000, "judged_us": 60_000} for each in record.rows
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_output_is_wrong_however_fast(mode: SubmissionMode) -> None:
    """With the program and what it printed."""
    engine, record, _ = begun(mode, FakeJudge0(stdout="hullo\n"), 2)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.WRONG, Outcome.OK]
    assert "hello: printed 'hullo\\n' in place of 'hello'" in record.rows[0].message


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        ((503, {"error": "queue is full"}), Outcome.REFUSED, "503: queue is full"),
        ((422, {"language_id": ["can't be blank"]}), Outcome.FAILED, "can't be blank"),
        ((201, b"<html>"), Outcome.FAILED, "not JSON: <html>"),
        ("broken: reset by peer", Outcome.BROKEN, "reset by peer"),
        ("timeout: 60 s", Outcome.UNANSWERED, "60 s"),
    ],
)
def test_what_is_not_taken_is_distinguished(
    mode: SubmissionMode, answer: Any, outcome: Outcome, words: str
) -> None:
    """Refused, failed, broken, unanswered; nothing of it was accepted."""
    judge0 = FakeJudge0()
    judge0.refuse = answer
    engine, record, _ = begun(mode, judge0, 1)
    engine.run(1000 * MS)
    [row] = record.rows
    assert row.outcome is outcome
    assert words in row.message
    assert row.accepted == NEVER


@pytest.mark.parametrize("mode", MODES)
def test_what_is_in_flight_when_the_run_ends_is_unfinished(mode: SubmissionMode) -> None:
    """And stays so, whatever is answered afterwards."""
    engine, record, protocol = begun(mode, FakeJudge0(), 3)
    engine.run(TRIP - 1)
    protocol.finish()
    assert record.outcomes() == [Outcome.UNFINISHED] * 3
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.UNFINISHED] * 3


def test_waiting_is_accepted_when_it_ends() -> None:
    """One answer tells both."""
    engine, record, _ = begun("wait", FakeJudge0(), 1)
    engine.run(1000 * MS)
    [row] = record.rows
    assert (row.sent, row.accepted, row.ended) == (0, TRIP, TRIP)


def test_waiting_in_vain_for_a_final_status_is_unanswered() -> None:
    """The service gave up first."""
    engine, record, _ = begun("wait", lambda _: (201, {"token": "t", "status_id": 1}), 1)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.UNANSWERED]


def test_a_front_door_is_judged_by_its_own_rules() -> None:
    """It tells no durations."""
    front_door = Route(
        "client",
        "wait",
        Address("socks", "203.0.113.7", 80, proxy="127.0.0.1:1080"),
        path="/api/run",
        request={"language": "language", "source": "source"},
        reply={"status": "status.description", "stdout": "stdout"},
    )
    replies = [{"status": {"description": text}, "stdout": "hello"} for text in ("Wrong Answer", "Accepted")]
    engine, record = FakeEngine(lambda _: (200, replies.pop())), FakeRecord(2)
    protocol = open_protocol(front_door, WORKLOAD, np.zeros(2, dtype=np.int16), record, engine)
    protocol.begin(0, 0)
    protocol.begin(1, 0)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.OK, Outcome.WRONG]
    assert record.rows[0].durations["queued_us"] == NEVER
    assert [json.loads(each.body)["language"] for _, each in engine.requests] == ["python", "python"]


def test_polling_sees_the_end_at_the_next_poll() -> None:
    """Accepted at the creation's answer, ended at the look's."""
    engine, record, _ = begun("poll", FakeJudge0(ready=2), 1)
    engine.run(1000 * MS)
    [row] = record.rows
    assert (row.sent, row.accepted) == (0, TRIP)
    assert row.ended == TRIP + POLL + TRIP + POLL + TRIP


def test_one_poll_asks_for_twenty() -> None:
    """What polling costs is known: 45 submissions are three requests a round."""
    engine, record, _ = begun("poll", FakeJudge0(), 45)
    engine.run(1000 * MS)
    sizes = [each.path.count(",71-") + each.path.count(",46-") for _, each in engine.asked("GET")]
    assert sizes == [19, 19, 4]
    assert set(record.outcomes()) == {Outcome.OK}


def test_polling_costs_no_more_with_thousands_in_flight() -> None:
    """They take turns, oldest first."""
    engine, record, _ = begun("poll", FakeJudge0(), 1000)
    engine.run(TRIP + 3 * POLL + 1)
    looks = [at for at, _ in engine.asked("GET")]
    assert (
        looks
        == [TRIP + POLL] * POLLS_AT_ONCE
        + [TRIP + 2 * POLL] * POLLS_AT_ONCE
        + [TRIP + 3 * POLL] * POLLS_AT_ONCE
    )
    ended = [each.outcome is Outcome.OK for each in record.rows]
    assert ended == [True] * 2 * 160 + [False] * 680
    engine.run(2000 * MS)
    assert set(record.outcomes()) == {Outcome.OK}


def test_polling_stops_when_nothing_is_in_flight() -> None:
    """And begins again with the next submission."""
    engine, record, protocol = begun("poll", FakeJudge0(), 2)
    engine.run(10_000 * MS)
    assert len(engine.asked("GET")) == 1
    assert record.outcomes() == [Outcome.OK] * 2
    protocol.finish()


@pytest.mark.parametrize("trouble", ["broken: reset", (503, {"error": "database unavailable"}), (502, b"")])
def test_a_poll_that_fails_is_repeated(trouble: Any) -> None:
    """The submission is not lost by it."""
    judge0 = FakeJudge0()
    judge0.refuse_looks = [trouble]
    engine, record, _ = begun("poll", judge0, 1)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.OK]
    assert len(engine.asked("GET")) == 2


def test_a_poll_that_got_lost_is_not_waited_for_as_long_as_a_program() -> None:
    """Others ask for the same tokens again after some seconds."""
    judge0 = FakeJudge0()
    judge0.refuse_looks = [None]
    engine, record, _ = begun("poll", judge0, 1)
    engine.run(60_000 * MS)
    [row] = record.rows
    assert row.outcome is Outcome.OK
    assert row.ended == TRIP + POLL + POLL_TIMEOUT + POLL + TRIP


def test_a_poll_that_cannot_succeed_is_not_repeated() -> None:
    """As where Judge0 allows no batches."""
    judge0 = FakeJudge0()
    judge0.refuse_looks = [(400, {"error": "batched submissions are not allowed"})]
    engine, record, _ = begun("poll", judge0, 1)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.FAILED]
    assert "batched submissions are not allowed" in record.rows[0].message


def test_what_judge0_forgot_after_accepting_it_has_failed() -> None:
    """It says null of its token; the others of the look are judged."""
    judge0 = FakeJudge0()
    judge0.unknown = {"71-0"}
    engine, record, _ = begun("poll", judge0, 2)
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.FAILED, Outcome.OK]
    assert "does not know what it accepted: token 71-0" in record.rows[0].message


def test_nobody_waits_for_ever_for_a_final_status() -> None:
    """A submission whose worker died stays in Processing."""
    engine, record, _ = begun("poll", FakeJudge0(ready=10**9), 1, timeout=2.0)
    engine.run(10_000 * MS)
    [row] = record.rows
    assert row.outcome is Outcome.UNANSWERED
    assert row.message == "no final status 2 s after it was due"
    assert 2000 * MS < row.ended <= 2000 * MS + POLL + TRIP


def test_what_kept_polls_from_succeeding_is_reported_at_the_end() -> None:
    """The last trouble is the reason."""
    judge0 = FakeJudge0()
    judge0.refuse_looks = ["broken: refused"] * 1000
    engine, record, _ = begun("poll", judge0, 1, timeout=2.0)
    engine.run(10_000 * MS)
    assert "polling: broken: refused" in record.rows[0].message


def test_arrivals_that_are_due_together_share_a_creation() -> None:
    """The first of them waits for the others."""
    engine, record, _ = begun("batch", FakeJudge0(), 3, every=5 * MS)
    engine.run(1000 * MS)
    [(at, request)] = engine.asked("POST")
    assert at == SPAN
    assert len(json.loads(request.body)["submissions"]) == 3
    assert record.outcomes() == [Outcome.OK] * 3
    assert [each.sent for each in record.rows] == [SPAN] * 3


def test_a_creation_that_is_full_goes_at_once() -> None:
    """And the next one has a span of its own."""
    engine, record, _ = begun("batch", FakeJudge0(), 25, every=MS // 4, batch=20)
    engine.run(1000 * MS)
    sizes = [(at, len(json.loads(each.body)["submissions"])) for at, each in engine.asked("POST")]
    assert sizes == [(19 * MS // 4, 20), (5 * MS + SPAN, 5)]
    assert set(record.outcomes()) == {Outcome.OK}


def test_a_batch_may_be_taken_in_part() -> None:
    """Judge0 answers with tokens and errors in one."""
    mixed = [{"token": "71-0"}, {"language_id": ["can't be blank"]}]
    judge0 = FakeJudge0()
    judge0.looks["71-0"] = 0
    engine, record, _ = begun(
        "batch", lambda asked: (201, mixed) if asked.method == "POST" else judge0(asked), 2
    )
    engine.run(1000 * MS)
    assert record.outcomes() == [Outcome.OK, Outcome.FAILED]
    assert "can't be blank" in record.rows[1].message


def test_a_front_door_has_one_submission_mode() -> None:
    """With what to do instead."""
    other = dataclasses.replace(route("poll"), entry_point="client")
    with pytest.raises(UsageError, match="use wait, or --entry-point judge0"):
        check_route(other, WORKLOAD)


def test_a_language_that_judge0_does_not_have_is_a_mistake() -> None:
    """Said before the run."""
    few = dataclasses.replace(route("poll"), ids={"python": 71})
    with pytest.raises(UsageError, match="this Judge0 has no bash; it has python"):
        check_route(few, WORKLOAD)
    check_route(few, Workload("one", (Program("a", "python", "1"),)))


def test_callbacks_need_an_address_to_be_sent_to() -> None:
    """Which nobody can guess."""
    with pytest.raises(UsageError, match="--callback-url"):
        check_route(route("callback"), WORKLOAD)
