"""Which Judge0 answers, told by what the real ones and the reference one say, and the way to take there."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from detect_samples import CONFIG, answering, master, reference, released

from harness.core.errors import CheckFailedError, UsageError
from harness.judge0.detect import ALWAYS, choose_mode, detect


def test_the_released_judge0_is_known_by_what_it_lacks() -> None:
    """Its `wait` passes by the workers, its single looks are cached."""
    found = released()
    assert (found.kind, found.version) == ("released", "1.13.1")
    assert (found.wait_bypasses_queue, found.single_get_cached) == (True, 1.0)
    assert (found.queue_limit, found.batch_limit, found.callbacks) == (100, 20, True)
    assert found.timestamps == ("created_at", "finished_at", "wall_time")


def test_master_is_known_by_its_sign() -> None:
    """It says 1.13.1, too; its `wait` goes through the queue, and it has more timestamps."""
    found = master()
    assert (found.kind, found.version) == ("master", "1.13.1")
    assert (found.wait_bypasses_queue, found.wait_looks_after) == (False, 2.0)
    assert found.timestamps == (*ALWAYS, "queued_at", "started_at")


def test_the_reference_judge0_says_what_it_is() -> None:
    """Nobody takes its figures for the real one's."""
    found = reference()
    assert found.kind == "reference"
    assert not found.wait_bypasses_queue
    assert found.wait_looks_after == 0
    assert "reference" in found.why


def test_languages_are_those_that_it_has() -> None:
    """By our names."""
    found = detect(answering(languages=[{"id": 71, "name": "Python (3.8.1)"}, {"id": 45, "name": "x"}]))
    assert found.ids == {"python": 71}


def test_slots_are_what_its_workers_run_at_once() -> None:
    """None where it knows of no worker."""
    workers = [{"queue": "1.13.1", "size": 0, "available": 4, "idle": 4, "working": 0, "failed": 0}]
    assert detect(answering(workers=workers)).slots == 4
    assert released().slots is None


def test_what_was_recognised_is_told_in_plain_json() -> None:
    """As the report holds it."""
    told = master().to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["kind"] == "master"


def test_fields_are_not_asked_for_where_batches_are_off() -> None:
    """The look itself would be refused."""
    found = detect(answering(config={**CONFIG, "enable_batched_submissions": False}, fields=()))
    assert found.timestamps == ALWAYS


def test_another_refusal_is_not_taken_for_a_missing_field() -> None:
    """It is passed on."""
    pages = answering()

    def get(path: str) -> Any:
        if path.startswith("/submissions"):
            raise CheckFailedError("GET /submissions/batch: 503 database unavailable")
        return pages(path)

    with pytest.raises(CheckFailedError, match="503"):
        detect(get)


@pytest.mark.parametrize("about", [[], {}, "nginx"])
def test_what_is_no_judge0_is_told(about: Any) -> None:
    """With what it said instead."""
    with pytest.raises(UsageError, match="no Judge0"):
        detect(answering(about))


def test_without_a_wish_programs_are_polled() -> None:
    """On every Judge0, and the report says why."""
    for found in (released(), master(), reference()):
        mode, why = choose_mode(found)
        assert mode == "poll"
        assert "one submission's GET is cached for 1 s" in why
    assert "cached" not in choose_mode(dataclasses.replace(released(), single_get_cached=0.0))[1]


def test_waiting_is_not_taken_where_it_passes_by_the_workers() -> None:
    """It would measure the web server."""
    mode, why = choose_mode(released(), "wait")
    assert mode == "poll"
    assert "past queue and workers" in why


def test_waiting_is_taken_where_workers_do_the_work() -> None:
    """With its grain, where it has one."""
    assert choose_mode(reference(), "wait")[0] == "wait"
    mode, why = choose_mode(master(), "wait")
    assert mode == "wait"
    assert "looks after 2 s for the first time" in why


@pytest.mark.parametrize("wanted", ["poll", "batch", "callback"])
def test_other_wishes_are_met(wanted: Any) -> None:
    """Where this Judge0 allows them."""
    assert choose_mode(released(), wanted)[0] == wanted


@pytest.mark.parametrize(
    ("wanted", "off"),
    [
        ("wait", "wait"),
        ("poll", "batches"),
        ("batch", "batches"),
        ("callback", "callbacks"),
        (None, "batches"),
    ],
)
def test_what_judge0_does_not_allow_is_a_mistake(wanted: Any, off: Any) -> None:
    """Said before the run, with the setting."""
    found = dataclasses.replace(reference(), **{off: False})
    with pytest.raises(UsageError, match="does not allow it"):
        choose_mode(found, wanted)
