"""The bench: which node is next, what its table says, and when it is not content."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from failover_rig import SWARM, moved, state, trial

from harness.core.errors import InconclusiveError, UsageError
from harness.faults.section import summary
from tests.bench import failover as bench
from tests.bench.failover import beating, line, missed, next_node, seconds_of, table

SETUP: Any = SimpleNamespace(topology=SWARM, access=None, deployment=None)


def looking_at(monkeypatch: pytest.MonkeyPatch, **places: tuple[str, ...]) -> None:
    """Have the swarm be as it is told."""
    monkeypatch.setattr(bench, "await_healthy", lambda _: state(places=moved(**places)))


@pytest.mark.parametrize(("text", "found"), [(None, ()), ("2", (2,)), ("1, 2,5,2", (1, 2, 5))])
def test_heartbeats_are_read(text: str | None, found: tuple[int, ...]) -> None:
    """Each once."""
    assert seconds_of(text) == found


@pytest.mark.parametrize("text", ["0", "a", "1,,2", "-1", "1.5"])
def test_what_is_no_heartbeat_is_refused(text: str) -> None:
    """With how it is written."""
    with pytest.raises(UsageError, match="like 1,2,5"):
        seconds_of(text)


def test_nodes_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those with tasks the one that was lost least often."""
    looking_at(monkeypatch)
    made = [trial(node) for node in ("worker-1", "worker-2", "worker-1", "judge0-lb", "server-2")]
    assert next_node(SETUP, []) == "worker-1"
    assert next_node(SETUP, made) == "server-1"
    assert next_node(SETUP, [*made, trial("server-1")]) == "worker-2"


def test_without_tasks_there_is_nothing_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """That shows nothing."""
    nobody = dict.fromkeys(("judge0_lb", "judge0_server", "judge0_worker", "runner_api"), ())
    looking_at(monkeypatch, **nobody)
    with pytest.raises(InconclusiveError, match="no worker node carries tasks"):
        next_node(SETUP, [])


def test_the_heartbeat_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens meanwhile; the topology's own is not touched."""
    beats: list[int] = []
    monkeypatch.setattr(bench, "_beat", lambda _, seconds, *, before: beats.append(seconds))
    with pytest.raises(ZeroDivisionError), beating(SETUP, 1):
        raise ZeroDivisionError
    own = SETUP.topology.swarm.heartbeat
    with beating(SETUP, own):
        pass
    assert beats == [1, own]


def test_a_table_has_every_time_and_count() -> None:
    """With what is promised of the longest."""
    told = table(summary([trial(), trial(again=14.0)]), 5, promised=True)
    assert "heartbeat 5 s, 2 times a worker node without power" in told
    again = next(line for line in told.splitlines() if "answering again" in line)
    assert again.split()[-8:] == ["10.5", "s", "14.5", "s", "14.5", "s", "20", "s"]
    assert "0 lost, 0 duplicated" in told
    assert "MISSED" not in told


def test_a_promise_that_was_not_kept_is_marked() -> None:
    """Only where one was made: other heartbeats are tried to be compared."""
    late = summary([trial(again=21.0), trial()])
    assert "MISSED" in table(late, 5, promised=True)
    assert "MISSED" not in table(late, 10, promised=False)
    assert (missed(late, promised=True), missed(late, promised=False)) == (True, False)


def test_a_lost_submission_is_a_miss_at_any_heartbeat() -> None:
    """So is one that ended twice."""
    fine = summary([trial()])
    assert not missed(fine, promised=True)
    assert missed({**fine, "lost": 1}, promised=False)
    assert missed({**fine, "duplicated": 1}, promised=False)


def test_what_never_came_is_a_miss() -> None:
    """Not a short time."""
    never = summary([trial(again=39.0)])
    assert never["rto_s"]["max"] is None
    assert missed(never, promised=True)
    assert "never" in table(never, 5, promised=True)


def test_a_trial_is_told_as_it_ends() -> None:
    """What was hit, how long it was felt, and what was lost."""
    told = line(trial(), 3, 20)
    assert told.startswith(
        "3/20 server-1 without power (judge0-lb, judge0-server): again 10.5 s, full 18.0 s"
    )
    assert "0 lost, 0 duplicated" in told
