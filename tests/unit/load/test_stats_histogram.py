"""Histograms: how exact they are, that text brings them back, that merging loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import UsageError
from harness.load.stats.histogram import decode, encode, histogram_of, merge, stage_of

LATENCIES = st.lists(st.floats(0.0, 600_000.0), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(LATENCIES)
def test_a_histogram_is_the_one_that_the_library_records_one_by_one(values: list[float]) -> None:
    """Bucketing before recording changes nothing but the time it takes."""
    plain = HdrHistogram(1, 600_000_000, 3)
    for value in values:
        plain.record_value(round(value * 1000))
    ours = histogram_of(np.array(values))
    assert list(ours.counts) == list(plain.counts)
    assert ours.get_total_count() == len(values)


@settings(max_examples=40, deadline=None)
@given(LATENCIES)
def test_text_brings_a_histogram_back(values: list[float]) -> None:
    """Encoded and decoded, every quantile is as before."""
    before = histogram_of(np.array(values))
    after = decode(encode(before))
    assert after.get_total_count() == len(values)
    for percentile in (0, 50, 99, 100):
        assert after.get_value_at_percentile(percentile) == before.get_value_at_percentile(percentile)


@settings(max_examples=40, deadline=None)
@given(LATENCIES, LATENCIES)
def test_merged_stages_are_the_stage_of_all_values(left: list[float], right: list[float]) -> None:
    """In whichever order, to the 0.1 % of the histogram (and a microsecond)."""
    whole = stage_of(np.array(left + right))
    for parts in ((left, right), (right, left)):
        found = merge([stage_of(np.array(part)) for part in parts])
        assert found.count == whole.count
        assert found.mean_ms == pytest.approx(whole.mean_ms)
        assert found.max_ms == whole.max_ms
        assert found.p50_ms == pytest.approx(whole.p50_ms, rel=1e-3, abs=2e-3)
        assert found.p99_ms == pytest.approx(whole.p99_ms, rel=1e-3, abs=2e-3)
        assert found.p50_ms <= found.p99_ms <= found.max_ms


@settings(max_examples=40, deadline=None)
@given(LATENCIES)
def test_the_curve_ascends_from_the_least_to_the_maximum(values: list[float]) -> None:
    """Shares and latencies both, and it ends where one of all values is left."""
    curve = stage_of(np.array(values)).curve
    assert list(curve) == sorted(curve)
    assert [value for _, value in curve] == sorted(value for _, value in curve)
    assert curve[0][0] == 0.0
    assert curve[-1] == (1 - 1 / len(values), max(values))
    assert curve[0][1] == min(values) if len(values) > 1 else True


def test_quantiles_are_values_that_occurred() -> None:
    """The least that such a share does not exceed, as wrk and HDR have it: nothing in between."""
    stage = stage_of(np.arange(1.0, 1001.0)[::-1])
    assert (stage.p50_ms, stage.p90_ms, stage.p99_ms, stage.p999_ms) == (500, 900, 990, 999)
    assert (stage.count, stage.mean_ms, stage.max_ms) == (1000, 500.5, 1000)


def test_the_curve_has_the_points_that_people_read() -> None:
    """The median, and the nines."""
    shares = [share for share, _ in stage_of(np.arange(1.0, 2001.0)).curve]
    assert {0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9995} <= set(shares)


def test_beyond_ten_minutes_the_histogram_counts_ten_and_the_maximum_is_reported() -> None:
    """Nothing is lost from the count."""
    stage = stage_of(np.array([700_000.0, 1.0]))
    assert stage.max_ms == 700_000
    assert decode(stage.hdr).get_total_count() == 2


@pytest.mark.parametrize("bad", [[], [np.nan], [np.inf], [-1.0]])
def test_what_is_no_latency_is_refused(bad: list[float]) -> None:
    """A stage says what was measured, and nothing else."""
    with pytest.raises(ValueError, match="latenc"):
        stage_of(np.array(bad))


def test_text_with_something_else_in_it_is_refused() -> None:
    """Base64 is otherwise read past whatever is not part of it."""
    text = stage_of(np.arange(10.0)).hdr
    assert decode(text).get_total_count() == 10
    with pytest.raises(UsageError, match="not an HDR histogram"):
        decode(f"{text[:8]}%{text[8:]}")


@pytest.mark.parametrize("text", ["", "abc", "%%%", "aGVsbG8=", "HISTFAAAJ814nD2bD0hj37bf79nnJL"])
def test_text_that_holds_no_histogram_is_refused_in_words(text: str) -> None:
    """Whatever of it is wrong."""
    with pytest.raises(UsageError, match="not an HDR histogram"):
        decode(text)
