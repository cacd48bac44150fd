"""Times and counts, made of hand-made histories and looks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from failover_rig import HA, look, moved, state, steady, submission
from hypothesis import given
from hypothesis import strategies as st

from harness.faults.history import Entry, judge
from harness.faults.measure import (
    Times,
    answers_again,
    known_until,
    longest_gap,
    measure,
    quantiles,
    sent,
)

TIMES = Times(ordered=100, in_force=101, observed=130, healing=130, healed=132, ended=150)
ROOM = {"judge0-server": 2, "judge0-lb": 1}
BEFORE = state()
DOWN = state(down=("server-1",))
FULL = state(
    places=moved(judge0_server=("judge0-lb", "server-2"), judge0_lb=("server-2",)), down=("server-1",)
)
AFTER = state(places=moved(judge0_server=("judge0-lb", "server-2"), judge0_lb=("server-2",)))


def again(entries: list[Entry], since: float = 100, until: float = 130) -> float | None:
    """When the service answered again."""
    return answers_again(sent(entries), since, until)


def test_a_service_that_never_faltered_answers_all_the_while() -> None:
    """From the fault on, not from the first submission after it."""
    assert again(steady(0, 95, 130)) == 100


def test_it_answers_again_with_the_first_after_the_last_refused() -> None:
    """One that was accepted in between does not count: it was no recovery."""
    entries = [
        *steady(0, 100, 105, kind="fail"),
        *submission(90, 105, 0.5),
        *submission(91, 106, 0.5, "fail"),
        *steady(100, 107, 130),
    ]
    assert again(entries) == 107.5


def test_silence_is_a_pause_though_nothing_is_refused() -> None:
    """Programs that wait for a worker are accepted in the end; it answers again when the first of them is."""
    waiting = [entry for op in range(20) for entry in submission(op, 100 + op, 20.0 - op + op / 10)]
    assert again([*steady(60, 95, 100), *waiting, *steady(90, 120, 130)]) == 120


def test_a_short_silence_is_none() -> None:
    """Machines that are busy have such at any time; the gap tells of it."""
    entries = [*steady(0, 95, 104), *steady(50, 108, 130)]
    assert again(entries) == 100
    assert longest_gap(sent(entries), 100, 130) == pytest.approx(4.333, abs=0.01)


def test_one_without_an_answer_is_a_pause() -> None:
    """``info``: nobody knows what came of it. Those that were handed in before the fault do not count."""
    entries = [
        *submission(90, 99, 45, "info"),
        *steady(0, 100, 102),
        *submission(50, 102, 5, "info"),
        *steady(60, 103, 130),
    ]
    assert again(entries) == 102.167


def test_a_few_answers_are_no_recovery() -> None:
    """It takes ten of them."""
    refused = steady(0, 100, 110, kind="fail")
    assert again([*refused, *steady(50, 110, 113)], until=113.4) is None
    assert again([*refused, *steady(50, 110, 113)], until=113.6) is None
    assert again([*refused, *steady(50, 110, 113.4)], until=113.7) == 110.5


def test_silence_at_the_end_is_no_service() -> None:
    """However many answers there were before."""
    assert again(steady(0, 100, 120)) is None


def test_one_that_has_been_open_for_long_has_no_answer() -> None:
    """Nobody need wait for its end; until then it is in doubt."""
    entries = [*steady(0, 100, 102), *submission(50, 102, None), *steady(60, 103, 113)]
    assert again(entries, until=111) == 100
    assert again(entries, until=113) == 102.167


def test_what_may_still_be_answered_is_not_known_yet() -> None:
    """One that has been open for long is: it is not."""
    entries = [*steady(0, 100, 102), *submission(50, 102, None), *submission(51, 107, None)]
    assert known_until(sent(entries), 108) == 102
    assert known_until(sent(entries), 113) == 107
    assert known_until(sent(steady(0, 100, 102)), 103) == 103


def test_what_comes_after_the_healing_is_not_asked() -> None:
    """A service that only answers then did not survive."""
    assert again([*steady(0, 100, 130, kind="fail"), *steady(200, 130, 150)]) is None


def test_the_gap_is_between_accepted_answers() -> None:
    """From the fault until the end that it has."""
    entries = [*steady(0, 95, 100), *steady(50, 100, 112, kind="fail"), *steady(100, 112, 130)]
    assert longest_gap(sent(entries), 100, 130) == pytest.approx(112.5 - 100.167, abs=0.01)
    assert longest_gap((), 100, 130) == 30


def test_a_trial_is_measured_whole() -> None:
    """Detected, full, ready and settled, each with the look that first showed it."""
    snapshots = [
        look(99, BEFORE),
        look(105, BEFORE),
        look(110, None),
        look(113, DOWN),
        look(118, FULL),
        look(133, FULL),
        look(140, AFTER),
    ]
    found = measure(TIMES, sent(steady(0, 95, 130)), snapshots, ["server-1"], ROOM, lost_any=True)
    assert (found.detected_s, found.full_s, found.ready_s, found.settled_s) == (13, 18, 10, 10)
    assert found.rto_s == 0


def test_tasks_on_the_lost_node_are_not_counted() -> None:
    """The managers list them as running until they notice."""
    found = measure(TIMES, (), [look(105, BEFORE)], ["server-1"], ROOM, lost_any=True)
    assert found.full_s is None


def test_what_was_not_seen_has_no_time() -> None:
    """Not even a long one."""
    found = measure(TIMES, (), [look(99, BEFORE), look(110, None)], ["server-1"], ROOM, lost_any=True)
    assert (found.rto_s, found.detected_s, found.full_s, found.ready_s, found.settled_s) == (None,) * 5
    assert found.gap_s == 30


def test_where_nothing_was_lost_replicas_are_full_at_once() -> None:
    """If anybody could look, that is."""
    seen = measure(TIMES, (), [look(110, DOWN)], ["server-1"], ROOM, lost_any=False)
    unseen = measure(TIMES, (), [look(110, None)], ["server-1"], ROOM, lost_any=False)
    assert (seen.full_s, unseen.full_s) == (0, None)


def test_all_lost_nodes_must_be_down_and_ready() -> None:
    """One of two is not enough."""
    one = state(HA, {}, down=("server-1",))
    both = state(HA, {}, down=("server-1", "worker-1"))
    snapshots = [look(105, one), look(109, both), look(135, one), look(139, state(HA, {}))]
    found = measure(TIMES, (), snapshots, ["server-1", "worker-1"], {}, lost_any=False)
    assert (found.detected_s, found.ready_s) == (9, 9)


def test_outcomes_are_the_judges_where_it_has_one() -> None:
    """An accepted one that Judge0 does not know is lost, whatever the front door said."""
    seen = Entry("seen", 120, 2, token="t2")
    history = [
        *submission(1, 100, 1, "fail"),
        *submission(2, 101, 1),
        *submission(3, 102, 1, "info"),
        *submission(4, 103, None),
        seen,
    ]
    judgement = judge(history, listing=False)
    assert [each.outcome for each in sent(history)] == ["refused", "accepted", "unanswered", "unanswered"]
    assert [each.outcome for each in sent(history, judgement)][1] == "lost"


def test_a_word_that_judge0_does_not_know_is_no_acceptance() -> None:
    """A service that answers so all the time does not answer again, whether or not it was judged by then."""
    history = [
        replace(each, token="", status="failed", final=False, output="") if each.kind == "ok" else each
        for each in steady(0, 95, 130)
    ]
    for judgement in (None, judge(history, listing=False)):
        found = sent(history, judgement)
        assert {each.outcome for each in found} == {"unknown"}
        assert not any(each.is_accepted for each in found)
        assert answers_again(found, 100, 130) is None
        assert longest_gap(found, 100, 130) == 30


def test_quantiles_are_values_that_were_measured() -> None:
    """By nearest rank."""
    assert quantiles([3.0]) == {"p50": 3.0, "p95": 3.0, "max": 3.0}
    assert quantiles([float(each) for each in range(1, 21)]) == {"p50": 10.0, "p95": 19.0, "max": 20.0}


def test_what_was_not_reached_counts_as_longest() -> None:
    """It must not make the others look better."""
    assert quantiles([1.0, None, 2.0]) == {"p50": 2.0, "p95": None, "max": None}
    assert quantiles([]) == {"p50": None, "p95": None, "max": None}


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_quantiles_are_in_order(values: list[float]) -> None:
    """And the largest is the largest."""
    found = quantiles(list(values))
    assert found["p50"] is not None
    assert found["p95"] is not None
    assert found["p50"] <= found["p95"] <= max(values) == found["max"]


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60))
def test_nobody_is_refused_after_it_answered_again(made: list[tuple[float, bool]]) -> None:
    """Whatever the history; and ten were accepted from then on."""
    entries = [
        entry
        for op, (at, fine) in enumerate(made)
        for entry in submission(op, 100 + at, 0.5, "ok" if fine else "fail")
    ]
    found = again(entries)
    if found is not None:
        assert all(fine for at, fine in made if found < 100 + at < 130)
        assert sum(fine for at, fine in made if found <= 100 + at + 0.5 < 130) >= 10
