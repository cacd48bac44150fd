"""Trials as the report has them."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from failover_rig import trial

from harness import html
from harness.faults.section import section
from harness.run.report import SCHEMA_FILE, start


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """Three trials of two faults."""
    return section([trial(), trial("server-2", again=3.0), trial(again=14.0, start_=5000.0)])


def test_a_section_is_as_the_schema_says(told: list[dict[str, Any]]) -> None:
    """And can be written and read."""
    schema = {**json.loads(SCHEMA_FILE.read_text()), "required": []}
    jsonschema.validate({"failover": json.loads(json.dumps(told))}, schema)


def test_trials_of_one_fault_are_together(told: list[dict[str, Any]]) -> None:
    """In the order in which the faults were first tried."""
    assert [(each["nodes"], len(each["trials"])) for each in told] == [(["server-1"], 2), (["server-2"], 1)]


def test_times_are_quantiles_of_the_trials(told: list[dict[str, Any]]) -> None:
    """With one trial all of them are the same."""
    both, one = told
    assert both["rto_s"] == {"p50": 10.5, "p95": 14.5, "max": 14.5}
    assert one["rto_s"] == {"p50": 3.5, "p95": 3.5, "max": 3.5}
    assert both["full_s"]["max"] == 18.0
    assert both["ready_s"]["max"] == 8.0


def test_counts_are_sums(told: list[dict[str, Any]]) -> None:
    """Each submission is one of them, and what has no answer is no refusal."""
    both = told[0]
    for each in both["trials"]:
        assert each["submitted"] == len(each["timeline"]["submissions"])
    assert both["submitted"] == sum(each["submitted"] for each in both["trials"])
    assert both["unanswered"] == 2
    assert both["refused"] == 30 + 42


def test_a_timeline_counts_from_the_fault(told: list[dict[str, Any]]) -> None:
    """Whenever that was."""
    for each in told[0]["trials"]:
        line = each["timeline"]
        assert (line["healing"], line["healed"], line["ended"]) == (25, 27, 40)
        assert min(one["begun"] for one in line["submissions"]) == -2
        assert [one["seconds"] for one in line["submissions"]].count(None) == 1


def test_the_page_shows_it(told: list[dict[str, Any]]) -> None:
    """The slowest trial, in words and as a picture."""
    page = html.render({**start("a", "local", "swarm"), "failover": told})
    assert "server-1 without power" in page
    assert "10.5 s / 14.5 s / 14.5 s" in page
    assert "Trial 2 of 2, which was the slowest to answer again." in page
    assert "answering again after 14.5 s" in page
    assert "They run on other nodes again, by themselves." in page
