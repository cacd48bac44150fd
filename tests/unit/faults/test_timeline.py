"""The picture of a trial: every submission and every time is in it, where it belongs."""

from __future__ import annotations

import re
from typing import Any

import html_samples
import pytest

from harness import html
from harness.html.drawing.timeline import Scale, draw, spans
from harness.html.sections import failover


def sample(number: int = 1) -> dict[str, Any]:
    """A trial as the report has it."""
    trial: dict[str, Any] = html_samples.passing()["failover"][number]["trials"][0]
    return trial


def words(trial: dict[str, Any], fault: str = "power_off") -> dict[str, str]:
    """What its bars say."""
    return {each.kind: each.words for each in spans(trial, fault)}


def test_every_submission_is_a_dot_in_the_row_of_its_outcome() -> None:
    """However many there are."""
    trial = sample()
    picture = draw(trial, "power_off", "x")
    rows = re.findall(r'<g class="(accepted|refused|unanswered)">(.*?)</g>', picture)
    assert {kind: row.count("<circle") for kind, row in rows} == {
        kind: trial[kind] for kind in ("accepted", "refused", "unanswered")
    }


def test_a_row_that_nothing_is_in_is_left_out() -> None:
    """Nobody looks for what did not happen."""
    picture = draw(sample(0), "power_off", "x")
    assert 'class="refused"' not in picture
    assert 'class="lost"' not in picture


def test_a_lost_submission_has_a_row_of_its_own() -> None:
    """It is what the picture is looked at for."""
    trial = sample()
    trial["timeline"]["submissions"][0]["outcome"] = "lost"
    assert "1 lost" in draw(trial, "power_off", "x")


def test_a_slow_answer_stands_higher() -> None:
    """And one that took longer than the scale goes, no higher than that."""
    trial = sample(0)
    some = trial["timeline"]["submissions"][:3]
    for each, took in zip(some, (1.0, 10.0, 500.0), strict=True):
        each["seconds"] = took
    trial["timeline"]["submissions"] = some
    heights = [float(each) for each in re.findall(r'cy="([\d.]+)"', draw(trial, "power_off", "x"))]
    assert heights[0] > heights[1] > heights[2] > 0


def test_one_without_an_answer_takes_no_room() -> None:
    """How long it was waited for is our own patience."""
    trial = sample(0)
    trial["timeline"]["submissions"] = [{"begun": 1.0, "seconds": 45.0, "outcome": "unanswered"}]
    short = draw(trial, "power_off", "x")
    trial["timeline"]["submissions"][0]["seconds"] = None
    assert draw(trial, "power_off", "x") == short
    assert "1 unanswered<" in short


def test_a_table_says_what_nothing_means() -> None:
    """No pause in one column, nothing lost in another."""
    report = html_samples.passing()
    first = report["failover"][0]
    first["full_s"] = dict.fromkeys(first["full_s"], 0.0)
    content = failover.content(report)
    assert content is not None
    assert content["faults"][0]["times"] == ["no pause", "1.30 s", "none lost", "7.90 s"]
    assert content["faults"][1]["times"][0] == "13.1 s / 16.4 s / 16.4 s"


def test_bars_say_what_came_when() -> None:
    """In words, beside their length."""
    told = words(sample())
    assert told == {
        "fault": "without power for 25.0 s",
        "detected": "shown Down after 13.0 s",
        "rto": "answering again after 11.8 s",
        "full": "full replicas after 19.8 s",
        "ready": "Ready 7.90 s after power was ordered",
    }
    assert words(sample(), "partition")["ready"] == "Ready 7.90 s after it was let in again"


def test_what_did_not_come_is_said_and_drawn_open() -> None:
    """Not as a bar of no length."""
    trial = {**sample(), "rto_s": None, "detected_s": None, "full_s": None, "ready_s": None}
    told = words(trial)
    assert told["detected"] == "not detected as Down"
    assert told["rto"] == "not answering while it lasted"
    assert told["full"] == "not at full replicas while it lasted"
    assert told["ready"] == "not Ready again"
    assert draw(trial, "power_off", "x").count('class="open"') == 4


def test_no_pause_is_told_from_a_short_one() -> None:
    """The bar is whole then."""
    trial = sample(0)
    span = next(each for each in spans(trial, "power_off") if each.kind == "rto")
    assert (span.words, span.end) == ("answering all the while", trial["timeline"]["observed"])


def test_places_follow_the_time() -> None:
    """From a margin on the left to one on the right; what lies beyond stays at the edge."""
    scale = Scale(-2, 38)
    places = [float(scale.x(second).rstrip("%")) for second in (-5, -2, 0, 18, 38, 60)]
    assert places == [1.0, 1.0, 5.9, 50.0, 99.0, 99.0]
    assert scale.width(0, 20) == "49.00%"
    assert scale.width(30, 60) == "19.60%"
    assert scale.ticks() == [0, 5, 10, 15, 20, 25, 30, 35]


@pytest.mark.parametrize("last", [1.0, 7.0, 59.0, 119.0, 700.0, 5000.0])
def test_ticks_are_few(last: float) -> None:
    """However long a trial was."""
    assert 1 <= len(Scale(-1.0, last).ticks()) <= 10


def test_the_slowest_trial_is_shown() -> None:
    """One that never answered again is slower than any."""
    report = html_samples.passing()
    report["failover"][1]["trials"][2]["rto_s"] = None
    content = failover.content(report)
    assert content is not None
    assert content["faults"][1]["shown"].startswith("Trial 3 of 3")
    assert "not answering while it lasted" in content["faults"][1]["picture"]


def test_without_trials_there_is_no_section() -> None:
    """Not an empty one."""
    assert failover.content({}) is None
    assert 'id="failover"' not in html.render({**html_samples.passing(), "failover": []})


def test_what_went_wrong_stands_out() -> None:
    """In words, and in the table."""
    page = html.render(html_samples.failing())
    assert "1 of them were lost or ended twice" in page
    assert "judge0-server has 1 of 2 tasks" in page
