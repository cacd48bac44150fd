"""Waiting has a deadline, a growing pause, and says what it saw last."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError, WaitTimeoutError
from harness.core.wait import FakeClock, NotYet, scaled, wait_for


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

    with pytest.raises(WaitTimeoutError, match="waited 3 s for the droplet; last observed: off"):
        wait_for("the droplet", probe, deadline=3, first_pause=1, clock=FakeClock())


def test_tolerated_errors_are_waited_out_and_others_end_the_wait() -> None:
    """The one that ends it is raised as it is."""
    errors = iter([OSError("refused"), ValueError("wrong")])

    def probe() -> None:
        raise next(errors)

    with pytest.raises(ValueError, match="wrong"):
        wait_for("it", probe, deadline=9, tolerate=(OSError,), clock=FakeClock())


def test_a_slow_machine_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every deadline is multiplied by the timeout scale, and so is the longest pause."""
    monkeypatch.setenv("WAVETANK_TIMEOUT_SCALE", "10")
    clock = Recorder()

    def probe() -> None:
        raise NotYet("new")

    with pytest.raises(WaitTimeoutError, match="waited 20 s"):
        wait_for("it", probe, deadline=2, first_pause=0.5, max_pause=0.6, clock=clock)
    assert clock.pauses == [0.5, 1, 2, 4, 6, 6, 0.5]


@pytest.mark.parametrize("given", ["0.5", "-1", "nan", "inf", "much"])
@pytest.mark.parametrize("variable", ["WAVETANK_TIMEOUT_SCALE", "WAVETANK_PATIENCE"])
def test_an_invalid_timeout_scale_is_an_error(
    variable: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the variable that is wrong, and what would be right."""
    monkeypatch.setenv(variable, given)
    with pytest.raises(UsageError, match=f"{variable}=.* a number of 1 or more"):
        scaled(1)


def test_the_former_name_of_the_timeout_scale_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the new one is set, too."""
    monkeypatch.setenv("WAVETANK_PATIENCE", "10")
    assert scaled(1) == 10
    monkeypatch.setenv("WAVETANK_TIMEOUT_SCALE", "2")
    assert scaled(1) == 2
