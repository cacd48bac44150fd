"""The pace of a stream: what the deployment took just before, and never more than is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from other_app import OtherApp, serving

from harness.faults import pace as pace_module
from harness.faults import workload as workload_module
from harness.faults.history import Journal, judge
from harness.faults.pace import FASTEST, PROGRAMS, SLOWEST, MeasuredOnce, Pace, measure, pace_of
from harness.faults.steady import Steady, Submissions
from harness.faults.workload import Source, submitting
from harness.judge0 import frontdoor
from harness.target.target import Target
from harness.topology.model import FrontDoor

HERE, HOST = Target("local", "", ""), "127.0.0.1"


@pytest.fixture
def app() -> Iterator[OtherApp]:
    """A front door without tokens and history."""
    with serving(OtherApp()) as running:
        yield running


def door(app: OtherApp) -> FrontDoor:
    """Its front door."""
    return FrontDoor(
        node="client",
        path="/api/run",
        request={"code": "source", "languageId": "language_id", "stdin": "stdin"},
        reply={"status": "result.statusId", "stdout": "result.output"},
        port=app.port,
        languages={"python": 71, "cpp": 54},
    )


@pytest.mark.parametrize(
    ("accepted", "seconds", "every"),
    [(9, 0.5, FASTEST), (9, 9.0, 1 / 0.6), (9, 3.0, 1 / 1.8), (1, 60.0, SLOWEST), (0, 5.0, SLOWEST)],
)
def test_a_stream_takes_a_part_of_what_was_taken(accepted: int, seconds: float, every: float) -> None:
    """Between a few a second and one now and then."""
    assert pace_of(accepted, seconds).every == pytest.approx(every)


def test_the_pace_is_measured_with_programs_that_are_checked(app: OtherApp) -> None:
    """By a clock; in the languages of the application."""
    times = iter((100.0, 109.0))
    with frontdoor.open_client(HERE, HOST, door(app)) as client:
        found = measure(client, door(app), lambda: next(times))
    assert found == Pace(pytest.approx(1 / 0.6), 1.0)
    assert str(found) == "a program every 1.67 s; before, 1.0/s were accepted at 3 at once"
    assert {each.body["languageId"] for each in app.seen} == {71}
    assert len(app.seen) == PROGRAMS


@pytest.mark.parametrize("code", [200, 503])
def test_what_is_refused_or_answered_wrong_was_not_taken(app: OtherApp, code: int) -> None:
    """So the stream is as slow as it may be."""
    wrong = {"result": {"statusId": 3, "output": "other"}}
    app.change = lambda *_: (code, wrong if code == 200 else {"error": "queue is full"})
    with frontdoor.open_client(HERE, HOST, door(app)) as client:
        assert measure(client, door(app)).every == SLOWEST


def test_a_stream_without_tokens_is_judged_by_what_its_programs_print(app: OtherApp) -> None:
    """By real requests; nobody asks Judge0. With the output of one program in every answer, all are lost."""
    asked = Submissions(frontdoor.open_client(HERE, HOST, door(app)), door(app), Journal(), "5eed5eed")
    for op in range(3):
        asked.submit(op)
    assert judge(asked.journal.entries(), listing=False).of("ok") == [0, 1, 2]
    app.change = lambda code, document: (code, {"result": {"statusId": 3, "output": "5eed5eed-99999"}})
    for op in range(3, 6):
        asked.submit(op)
    judgement = judge(asked.journal.entries(), listing=False)
    assert (judgement.of("ok"), judgement.of("lost")) == ([0, 1, 2], [3, 4, 5])
    assert "ended with another's output: '5eed5eed-99999'" in judgement.describe("lost")


def test_streams_of_one_deployment_measure_once(app: OtherApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless nothing was taken, which says nothing of the next time."""
    found = [Pace(SLOWEST, 0.0), Pace(0.5, 3.0), Pace(0.4, 4.0)]
    monkeypatch.setattr(pace_module, "measure", lambda *_: found.pop(0))
    once = MeasuredOnce()
    with frontdoor.open_client(HERE, HOST, door(app)) as client:
        assert [once(client, door(app)) for _ in range(3)] == [Pace(SLOWEST, 0.0), *[Pace(0.5, 3.0)] * 2]


def test_a_stream_has_the_pace_that_was_measured(
    app: OtherApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is to be; else a few a second."""
    kept: list[float] = []

    class Kept(Steady):
        def __init__(self, act: Callable[[int], None], *, every: float) -> None:
            kept.append(every)
            super().__init__(act, every=every)

    monkeypatch.setattr(workload_module, "Steady", Kept)
    source = Source(HERE, door(app), HOST, answer_seconds=30)
    with submitting(source, tmp_path / "measured.jsonl", pace=lambda *_: Pace(2.5, 0.7)) as workload:
        assert workload.pace == Pace(2.5, 0.7)
    with submitting(source, tmp_path / "history.jsonl") as workload:
        assert workload.pace == Pace(FASTEST, None)
    assert kept == [2.5, FASTEST]
