"""What is recorded, and read by another that maps the same memory."""

from __future__ import annotations

import os

import numpy as np

from harness.judge0.model import NEVER
from harness.load.model import Outcome
from harness.load.recorder import TEXTS, Recorder, size


def test_a_row_holds_what_was_reported_of_an_arrival() -> None:
    """And NEVER for what was not."""
    record = Recorder(3)
    record.programs(np.array([2, 0, 1], np.int16))
    record.begin(0, 10)
    record.begin(1, 20)
    record.sent(0, 11)
    record.sent(0, 99)
    record.accepted(0, 12)
    record.done(0, Outcome.OK, 13, status=3, queued_us=5, ran_us=6, judged_us=7)
    samples = record.samples()
    assert len(samples) == 2
    assert samples[0].tolist() == (2, Outcome.OK, 3, 10, 11, 12, 13, 5, 6, 7)
    assert samples[1].tolist() == (0, Outcome.UNFINISHED, 0, 20, *([NEVER] * 6))


def test_what_ended_unfinished_has_no_end() -> None:
    """Its time is the run's, not its own."""
    record = Recorder(1)
    record.begin(0, 0)
    record.done(0, Outcome.UNFINISHED, 77)
    assert record.samples()["ended"].tolist() == [NEVER]


def test_counts_and_first_words_are_kept() -> None:
    """The same words once, and only a few of them."""
    record = Recorder(10)
    for number in range(10):
        record.begin(number, number)
        record.done(number, Outcome.FAILED if number else Outcome.OK, 1, message=f"500 {number // 2}")
    assert record.counts() == {"begun": 10, "accepted": 0, "ended": 10, "errors": 9}
    assert record.messages() == {"FAILED": ("500 0", "500 1", "500 2")}
    assert len(record.messages()["FAILED"]) == TEXTS


def test_another_reads_the_same_memory() -> None:
    """In the order in which they ended."""
    fd = os.memfd_create("test")
    try:
        os.ftruncate(fd, size(4))
        writer, reader = Recorder(4, fd), Recorder(4, fd)
    finally:
        os.close(fd)
    for number in range(3):
        writer.begin(number, number)
    writer.done(2, Outcome.OK, 5)
    writer.done(0, Outcome.OK, 6)
    assert reader.counts()["begun"] == 3
    assert reader.ended_between(0, 2).tolist() == [2, 0]
    assert np.array_equal(reader.samples(), writer.samples())
