"""Samples of a run: latency of each stage, counts a second, rates, and what did not end well."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stats_rig import md1_mean_s, mdc, mmc, mmc_mean_s, samples_of

from harness.judge0.model import NEVER
from harness.load.model import SECOND, Outcome, Samples
from harness.load.stats import stages as of
from harness.load.stats.interval import effective_size


def few(outcome: Outcome = Outcome.OK) -> Samples:
    """Ten arrivals in a second, of 10 to 100 ms; the last has the outcome."""
    rows = samples_of(np.arange(10) / 10, np.arange(1, 11) * 10.0)
    rows["outcome"][-1] = outcome
    return rows


def test_stages_count_from_the_intended_start_and_by_judge0s_clock() -> None:
    """What Judge0 did not tell has no entry."""
    rows = few()
    rows["sent"] += 5_000_000
    rows["accepted"] = rows["intended"] + 3_000_000
    rows["queued_us"] = 2500
    found = of.stages(rows)
    assert set(found) == {"accepted", "queue", "total"}
    assert found["accepted"].max_ms == 3
    assert found["queue"].p50_ms == 2.5
    assert (found["total"].p50_ms, found["total"].max_ms) == (50, 100)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.OK])
def test_what_did_not_end_well_is_no_latency_but_endless_over_all(outcome: Outcome) -> None:
    """A fast wrong answer, or a slow one that is dropped, cannot make a run look better."""
    rows = few(outcome)
    assert of.stages(rows)["total"].count == 9
    assert of.quantile(rows, 0.9) == 90
    assert of.quantile(rows, 0.95) == math.inf
    assert of.errors(rows) == {outcome.name.lower(): 1}
    assert f"(1 {outcome.name.lower()})" in of.told_of_endless(rows)
    assert "90.00%" in of.told_of_endless(rows)


def test_a_run_that_ended_well_has_nothing_to_tell() -> None:
    """No errors, and no sentence."""
    assert (of.errors(few()), of.told_of_endless(few())) == ({}, "")


def test_nothing_has_no_quantile() -> None:
    """And no stages, no lateness."""
    with pytest.raises(ValueError, match="no samples"):
        of.quantile(few()[:0], 0.5)
    assert of.stages(few()[:0]) == {}
    assert of.lateness_ms(few()[:0]) == 0.0


def test_slices_are_by_the_intended_start() -> None:
    """Late as they may have been sent: the first is in, the last is not."""
    rows = few()
    rows["sent"] += SECOND
    assert list(of.steady(rows, SECOND // 10, SECOND // 2)["intended"]) == [
        100_000_000, 200_000_000, 300_000_000, 400_000_000
    ]  # fmt: skip


def test_achieved_is_what_ended_well_in_the_window() -> None:
    """Not what arrived in it and ended while draining."""
    rows = samples_of(np.arange(100) / 10, np.full(100, 5000.0))
    assert of.rates(rows, 0, 10 * SECOND) == of.Rates(10.0, 5.0)
    rows["outcome"] = Outcome.WRONG
    assert of.rates(rows, 0, 10 * SECOND) == of.Rates(10.0, 0.0)


def test_lateness_is_the_generators_own() -> None:
    """From intended to sent; what was never sent is not late but missing."""
    rows = few()
    rows["sent"] += np.arange(10) * 1_000_000
    rows["sent"][9] = NEVER
    assert (of.lateness_ms(rows), of.lateness_ms(rows, 0.5)) == (8, 4)


def test_seconds_hold_what_happened_in_them() -> None:
    """Due, sent, judged, errors and what is under way at the end of each."""
    rows = samples_of(np.array([0.0, 0.5, 1.5, 2.5]), np.array([100.0, 1000.0, 100.0, 100.0]))
    rows["outcome"][2] = Outcome.REFUSED
    rows["outcome"][3] = Outcome.UNFINISHED
    rows["ended"][3] = NEVER
    first, second, third = of.series(rows, 3)
    assert (first.due, first.sent, first.ended, first.errors, first.in_flight) == (2, 2, 1, 0, 1)
    assert (second.due, second.ended, second.errors, second.in_flight, second.p50_ms) == (1, 1, 1, 0, 1000)
    assert (third.due, third.ended, third.errors, third.in_flight) == (1, 0, 1, 1)
    assert (third.p50_ms, third.p99_ms) == (None, None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9.99), st.floats(0, 5000)), max_size=60))
def test_seconds_add_up_to_the_whole(arrivals: list[tuple[float, float]]) -> None:
    """Every arrival is due in one of them, and under way from being sent until it ended."""
    rows = samples_of(np.array([a for a, _ in arrivals]), np.array([b for _, b in arrivals]))
    seconds = of.series(rows, 15)
    assert len(seconds) == 15
    assert sum(s.due for s in seconds) == sum(s.ended for s in seconds) == len(rows)
    assert all(s.in_flight >= 0 for s in seconds)
    assert seconds[-1].in_flight == 0


def test_the_mean_of_a_queue_is_that_of_its_theory() -> None:
    """M/M/4 at 70 % and M/D/1 at 60 %, after the start is left out; and Little's L is lambda W."""
    random = np.random.default_rng(8)
    cases = [
        (mmc(random, 28, 10, 4, 30_000), 28, mmc_mean_s(28, 10, 4)),
        (mdc(random, 6, 10, 1, 30_000), 6, md1_mean_s(6, 10)),
    ]
    for rows, rate, mean_s in cases:
        cut, last = int(rows["intended"][1000]), int(rows["intended"][-1])
        kept = of.steady(rows, cut, last)
        latencies = of.latencies(kept)
        half = 1.96 * latencies.std() / math.sqrt(effective_size(latencies))
        assert latencies.mean() == pytest.approx(mean_s * 1000, abs=half * 1.02)
        assert of.in_flight(rows, cut, last) == pytest.approx(rate * mean_s, rel=0.05)
