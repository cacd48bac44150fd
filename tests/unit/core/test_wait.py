"""Waiting has a deadline, a growing pause, and says what it saw last."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError, WaitTimeoutError
from harness.core.wait import FakeClock, NotYet, patient, wait_for


class Recorder(FakeClock):
    """A clock that remembers how long each sleep was."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        super().sleep(seconds)


def test_what_the_probe_returns_is_returned() -> None:
    """Without a pause where it returns at once."""
    clock = Recorder()
    assert wait_for("it", lambda: 7, deadline=1, clock=clock) == 7
    assert clock.pauses == []


def test_the_pause_doubles_up_to_its_most_and_never_passes_the_deadline() -> None:
    """The last one is what is left."""
    clock = Recorder()

    def probe() -> None:
        raise NotYet("new")

    with pytest.raises(WaitTimeoutError):
        wait_for("it", probe, deadline=10, first_pause=1, max_pause=4, clock=clock)
    assert clock.pauses == [1, 2, 4, 3]


def test_the_error_says_what_was_awaited_and_seen_last() -> None:
    """Not what was seen first."""
    seen = iter(["new", "locked", "off"])

    def probe() -> None:
        raise NotYet(next(seen))

    with pytest.raises(WaitTimeoutError, match="waited 3 s for the droplet; seen last: off"):
        wait_for("the droplet", probe, deadline=3, first_pause=1, clock=FakeClock())


def test_tolerated_errors_are_waited_out_and_others_end_the_wait() -> None:
    """The one that ends it is raised as it is."""
    errors = iter([OSError("refused"), ValueError("wrong")])

    def probe() -> None:
        raise next(errors)

    with pytest.raises(ValueError, match="wrong"):
        wait_for("it", probe, deadline=9, tolerate=(OSError,), clock=FakeClock())


def test_a_slow_machine_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every deadline is times WAVETANK_PATIENCE, which the error tells; and the longest pause is, too."""
    monkeypatch.setenv("WAVETANK_PATIENCE", "10")
    clock = Recorder()

    def probe() -> None:
        raise NotYet("new")

    with pytest.raises(WaitTimeoutError, match="waited 20 s"):
        wait_for("it", probe, deadline=2, first_pause=0.5, max_pause=0.6, clock=clock)
    assert clock.pauses == [0.5, 1, 2, 4, 6, 6, 0.5]


@pytest.mark.parametrize("given", ["0.5", "-1", "nan", "inf", "much"])
def test_a_patience_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what would be right."""
    monkeypatch.setenv("WAVETANK_PATIENCE", given)
    with pytest.raises(UsageError, match="a number of 1 or more"):
        patient(1)
