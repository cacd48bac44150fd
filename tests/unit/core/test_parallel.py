"""Jobs side by side: all of them, in order, and nobody left working after an error."""

from __future__ import annotations

import threading

import pytest

from harness.core.parallel import in_parallel


def test_results_come_in_the_order_of_the_jobs() -> None:
    """However they end."""
    second = threading.Event()

    def first() -> int:
        assert second.wait(10)
        return 1

    def then() -> int:
        second.set()
        return 2

    assert in_parallel([first, then]) == [1, 2]


def test_no_jobs_are_no_error() -> None:
    """Nothing to do, nothing returned."""
    assert in_parallel([]) == []


def test_after_an_error_what_has_begun_is_waited_for_and_the_rest_is_not_begun() -> None:
    """Whoever cleans up next finds nobody at work."""
    failing, done = threading.Event(), []

    def slow() -> None:
        assert failing.wait(10)
        done.append("slow")

    def fail() -> None:
        failing.set()
        raise ValueError("no")

    def never() -> None:
        done.append("never")

    with pytest.raises(ValueError, match="no"):
        in_parallel([fail, *[never] * 50], workers=1)
    with pytest.raises(ValueError, match="no"):
        in_parallel([slow, fail], workers=2)
    assert done.count("slow") == 1
    assert done.count("never") < 50


def test_an_error_cuts_short_what_has_begun_and_is_the_one_that_is_raised() -> None:
    """Not what the interrupted say."""
    stop = threading.Event()

    def slow() -> None:
        assert stop.wait(10)
        raise ValueError("interrupted")

    def bad() -> None:
        raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"):
        in_parallel([slow, bad], interrupt=stop.set)
    assert stop.is_set()


@pytest.mark.parametrize(("scale", "most"), [("1", 8), ("10", 2)])
def test_a_slow_machine_is_given_less_at_once(monkeypatch: pytest.MonkeyPatch, scale: str, most: int) -> None:
    """Where scale is asked for; and as much as is said where that is said."""
    monkeypatch.setenv("WAVETANK_TIMEOUT_SCALE", scale)
    together = threading.Barrier(most)
    in_parallel([lambda: together.wait(10)] * most)  # each waits for all others
    names = in_parallel([lambda: threading.current_thread().name] * 50)
    assert len(set(names)) <= most
    meeting = threading.Barrier(3)
    in_parallel([lambda: meeting.wait(10)] * 3, workers=3)
