"""Health checks: soon enough for a swarm, and no stricter than they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_helpers import compose, converted, notes_of, refusal, web

from harness.stack import write
from harness.stack.steps.health import format_duration

TEST = ["CMD", "probe"]
START = {"start_interval": "500ms", "start_period": "10s"}


def check(options: str = "") -> tuple[dict[str, object], list[str]]:
    """A health check with these options, and the notes on its interval."""
    body, stack = web(f"healthcheck: {{test: [CMD, probe]{options}}}")
    return body["healthcheck"], notes_of(stack, "healthcheck.interval")


def test_a_long_interval_is_shortened_and_failures_are_borne_longer() -> None:
    """A swarm waits one interval before it counts a task as running."""
    found, notes = check(", interval: 30s, timeout: 5s, retries: 3, start_period: 1m")
    assert found == {
        "test": TEST,
        "interval": "3s",
        "retries": 30,
        "timeout": "5s",
        "start_period": "60s",
        "start_interval": "500ms",
    }
    assert "every 3s" in notes[0]
    assert "30 failures instead of 3" in notes[0]


def test_an_interval_that_is_not_said_is_dockers_30_s() -> None:
    """So it is shortened as well; the same for the three failures."""
    assert check()[0] == {"test": TEST, "interval": "3s", "retries": 30, **START}


def test_a_short_interval_stays() -> None:
    """What is quick enough is not touched, and nothing is said."""
    found, notes = check(", interval: 500ms, retries: 5")
    assert found == {"test": TEST, "interval": "500ms", "retries": 5, **START}
    assert notes == []


@settings(deadline=None, max_examples=10)
@given(checks=st.lists(st.tuples(st.integers(1, 7200), st.integers(1, 50)), min_size=1, max_size=40))
def test_it_is_never_unhealthy_any_sooner(checks: list[tuple[int, int]]) -> None:
    """The time of the failures in a row is at least what it was, and no longer than one interval more."""
    services = {
        f"s{number}": {
            "image": "w",
            "healthcheck": {"test": TEST, "interval": f"{interval}s", "retries": retries},
        }
        for number, (interval, retries) in enumerate(checks)
    }
    made = converted(write.text({"services": services})).document["services"].values()
    for (interval, retries), body in zip(checks, made, strict=True):
        found = body["healthcheck"]
        seconds = float(str(found["interval"]).removesuffix("s")) * int(str(found["retries"]))
        assert interval * retries <= seconds < interval * retries + 3


@pytest.mark.parametrize("said", ["{disable: true}", "{test: NONE}", "{test: [NONE]}"])
def test_a_check_that_is_switched_off_stays_off(said: str) -> None:
    """The image may have one of its own."""
    body, _ = web(f"healthcheck: {said}")
    wanted = {"test": ["CMD-SHELL", "NONE"]} if said == "{test: NONE}" else {"disable": True}
    assert wanted.items() <= body["healthcheck"].items()


def test_a_text_is_for_a_shell() -> None:
    """As in compose."""
    body, _ = web("healthcheck: {test: 'probe || exit 1', interval: 1s}")
    assert body["healthcheck"]["test"] == ["CMD-SHELL", "probe || exit 1"]


def test_none_at_all_is_told() -> None:
    """A task counts as running before it can answer."""
    _, stack = web("")
    assert "before it can answer" in notes_of(stack, "healthcheck")[0]


def test_a_task_that_starts_is_checked_often() -> None:
    """Its first success decides when it counts as running; failures do not count until the period is over."""
    found, _ = check(", interval: 3s")
    assert found == {"test": TEST, "interval": "3s", "retries": 3, **START}


def test_a_start_interval_and_period_that_are_said_stay() -> None:
    """Nothing is lost, so nothing is said."""
    body, stack = web("healthcheck: {test: [CMD, p], interval: 1s, start_interval: 1s, start_period: 1m}")
    assert body["healthcheck"].items() >= {"start_interval": "1s", "start_period": "60s"}.items()
    assert not notes_of(stack, "healthcheck.start_interval")


@pytest.mark.parametrize(
    "said", ["{test: [probe]}", "{interval: soon}", "{retries: few}", "{tset: x}", "{disable: perhaps}"]
)
def test_what_is_no_health_check_is_refused(said: str) -> None:
    """With its place in the file."""
    assert "services.web.healthcheck" in str(refusal(compose(f"healthcheck: {said}")))


@pytest.mark.parametrize(("seconds", "text"), [(3, "3s"), (0.5, "500ms"), (90061, "90061s"), (1.5, "1500ms")])
def test_times_are_spelled_as_docker_reads_them(seconds: float, text: str) -> None:
    """With their unit."""
    assert format_duration(seconds) == text


def test_slow_machine_has_its_checks_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a task whose check takes longer is ended, started again, and so on."""
    monkeypatch.setenv("WAVETANK_TIMEOUT_SCALE", "10")
    found, _ = check(", interval: 2s, timeout: 3s, retries: 3, start_period: 1m")
    assert found == {
        "test": TEST,
        "interval": "20s",
        "retries": 3,
        "timeout": "30s",
        "start_period": "600s",
        "start_interval": "5s",
    }
