"""Doing several things at once."""

from __future__ import annotations

import threading

import pytest

from harness.deploy.parallel import in_parallel


def test_results_come_in_the_order_of_the_items() -> None:
    """Whoever is quicker."""
    second = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            second.wait(10)
        else:
            second.set()
        return item * 10

    assert in_parallel([1, 2], work) == [10, 20]


def test_first_failure_cuts_the_rest_short_and_is_raised() -> None:
    """Not what the interrupted say."""
    stop = threading.Event()

    def work(item: str) -> None:
        if item == "bad":
            raise ValueError("the cause")
        stop.wait(10)
        raise ValueError("interrupted")

    with pytest.raises(ValueError, match="the cause"):
        in_parallel(["slow", "bad"], work, interrupt=stop.set)
    assert stop.is_set()


def test_nothing_to_do_is_fine() -> None:
    """An application may need no image built."""
    assert in_parallel([], lambda item: item) == []
