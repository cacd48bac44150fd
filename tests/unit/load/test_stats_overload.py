"""Overload: refusals, the bound of what is accepted, and when all is as before."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from stats_rig import poisson

from harness.judge0.model import NEVER
from harness.load.model import SAMPLE, SECOND, Outcome, Samples
from harness.load.result import Interval, Overload
from harness.load.stats.overload import (
    Phases,
    bound_ms,
    is_sound,
    overload,
    recovered,
    recovered_below,
    window_medians,
)

PHASES = Phases(calm=0, load=20 * SECOND, stop=40 * SECOND, end=70 * SECOND)
RATE, LIMIT = 50.0, 40


def limited(limit: int = LIMIT, seed: int = 1) -> Samples:
    """One server of 50 a second with a queue of ``limit``, offered 15, then 150, then 15 a second."""
    random = np.random.default_rng(seed)
    phases = [(0, 20, 15.0), (20, 40, 150.0), (40, 70, 15.0)]
    arrivals = np.concatenate(
        [a + t[t < b - a] for a, b, rate in phases for t in [poisson(random, rate, int(2 * rate * (b - a)))]]
    )
    rows = np.zeros(len(arrivals), dtype=SAMPLE)
    rows["intended"] = rows["sent"] = (arrivals * SECOND).astype(np.int64)
    free, ends = 0.0, np.empty(0)
    for row, at in zip(rows, arrivals.tolist(), strict=True):
        ends = ends[ends > at]
        if len(ends) > limit:
            row["outcome"], row["accepted"], row["ended"] = Outcome.REFUSED, NEVER, at * SECOND
            continue
        free = max(free, at) + random.uniform(0.015, 0.025)
        ends = np.append(ends, free)
        row["accepted"], row["ended"] = at * SECOND, free * SECOND
    return rows


def judged(rows: Samples, **more: object) -> Overload:
    """Its judgement."""
    facts = {"queue_limit": LIMIT, "throughput": RATE, "messages": ("queue is full", "queue is full", "?")}
    return overload(rows, PHASES, **{**facts, **more})  # type: ignore[arg-type]


def test_a_queue_with_a_limit_bears_overload() -> None:
    """Two of three refused, a full queue's latency for the rest, and soon as before."""
    found = judged(limited())
    assert is_sound(found)
    assert found.offered == pytest.approx(150, rel=0.1)
    assert found.accepted == pytest.approx(50, rel=0.1)
    assert found.refused + found.accepted == pytest.approx(found.offered)
    assert found.refusal == "queue is full"
    assert found.baseline_p95_ms < 200
    assert 700 < found.accepted_p95_ms <= found.bound_ms < 1100
    assert found.recovered_s is not None
    assert found.recovered_s <= 5
    assert '"queue is full"' in found.told
    assert "within the" in found.told


def test_a_queue_without_a_limit_is_not_sound() -> None:
    """Nothing refused, latency far beyond the bound, and not as before for the rest of the run."""
    found = judged(limited(limit=1_000_000), messages=())
    assert not is_sound(found)
    assert found.recovered_s is None
    assert found.accepted_p95_ms > 10 * found.bound_ms
    assert "nothing was refused" in found.told
    assert "beyond the" in found.told
    assert "not recovered when the run ended" in found.told


def test_what_was_accepted_and_never_ended_is_endless() -> None:
    """Dropping it would make the overload look well."""
    rows = limited()
    lost = np.flatnonzero((rows["intended"] > PHASES.load) & (rows["accepted"] >= 0))[:200]
    rows["outcome"][lost] = Outcome.UNFINISHED
    rows["ended"][lost] = NEVER
    found = judged(rows)
    assert found.accepted_p95_ms == math.inf
    assert "p95 of what was accepted endless, beyond" in found.told
    assert not is_sound(found)


def test_refusals_without_words_are_not_clear() -> None:
    """A user must read why."""
    found = judged(limited(), messages=())
    assert "without a reason" in found.told
    assert not is_sound(found)


def test_failures_under_overload_are_counted_apart() -> None:
    """Neither accepted nor refused."""
    rows = limited()
    rows["outcome"][rows["outcome"] == Outcome.REFUSED] = Outcome.BROKEN
    found = judged(rows)
    assert found.refused == 0
    assert "neither accepted nor refused" in found.told


def test_nothing_accepted_is_not_sound() -> None:
    """However clear the refusals."""
    rows = limited()
    during = (rows["intended"] >= PHASES.load) & (rows["intended"] < PHASES.stop)
    rows["outcome"][during], rows["accepted"][during] = Outcome.REFUSED, NEVER
    found = judged(rows)
    assert (found.accepted, is_sound(found)) == (0, False)
    assert "nothing was accepted" in found.told


def test_the_bound_is_a_full_queue_and_what_calm_takes() -> None:
    """100 waiting at 20 a second are 5 s."""
    assert bound_ms(Interval(200, 150, 300), 100, 20) == 5300
    assert bound_ms(Interval(200), 100, 20) == 5200


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        ([10, 10, 10], 0.0),
        ([90, 50, 10, 10], 2.0),
        ([90, 10, 90, 10], 3.0),
        ([math.inf, math.nan, 10], 1.0),
        ([10, 10, 90], None),
        ([math.nan], None),
    ],
)
def test_recovered_is_from_when_it_stays_so(after: list[float], seconds: float | None) -> None:
    """One good second between bad ones is no recovery; nothing due tells nothing."""
    assert recovered(np.array(after), 20, 1.0) == seconds


def test_calm_windows_are_hardly_ever_beyond_their_own_bound() -> None:
    """Of 30 windows after 20 calm ones, none in most runs."""
    random = np.random.default_rng(2)
    runs = [random.lognormal(3, 0.2, 50) for _ in range(100)]
    assert np.mean([recovered(run[20:], recovered_below(run[:20]), 1.0) == 0 for run in runs]) >= 0.9


def test_two_calm_windows_are_too_few() -> None:
    """Nobody knows how much they vary."""
    with pytest.raises(ValueError, match="three calm windows"):
        recovered_below(np.array([10.0, 11.0, math.nan]))


def test_a_window_in_which_most_fail_is_endless() -> None:
    """And one in which nothing was due is not a number."""
    rows = np.zeros(3, dtype=SAMPLE)
    rows["intended"] = rows["ended"] = [0, 1, 2]
    rows["outcome"] = [Outcome.BROKEN, Outcome.BROKEN, Outcome.OK]
    found = window_medians(rows, 0, 2 * SECOND, 1.0)
    assert found[0] == math.inf
    assert np.isnan(found[1])


def test_what_never_recovers_is_not_sound() -> None:
    """However well it bore the load itself."""
    found = judged(limited())
    assert is_sound(found)
    assert not is_sound(dataclasses.replace(found, recovered_s=None))
