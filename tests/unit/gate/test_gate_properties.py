"""A worse result never gets a better verdict: for any figures and limits, by objectives and by baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gate_samples import OBJECTIVES, found, report, run, standard
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.gate.baseline import make
from harness.gate.comparison import BaselineFile, compare_with_baseline
from harness.gate.environment import environment_of
from harness.gate.judge import Criteria, judge
from harness.gate.limits import at_least, at_most, errors, share
from harness.gate.model import GRAVITY
from harness.gate.reading import Baseline, Entry, entry
from harness.load.result import ExperimentResult, Interval
from harness.run.report import Verdict

amounts = st.floats(0.01, 1e5)
repetitions = st.lists(st.integers(100, 3000).map(float), min_size=2, max_size=7)
factors = st.floats(1, 20)


def gravity(verdict: Verdict) -> int:
    """0 pass, 1 inconclusive, 2 fail."""
    return GRAVITY.index(verdict)


def entry_of(made: ExperimentResult) -> Entry:
    """As it is read from a report."""
    return entry(made.document(), "here")


@given(amounts, amounts, amounts, amounts)
def test_more_latency_is_never_better(low: float, width: float, by: float, limit: float) -> None:
    """An interval that is moved up."""
    now = Interval(low + width / 2, low, low + width)
    later = Interval(low + width / 2 + by, low + by, low + width + by)
    assert gravity(at_most(later, limit)) >= gravity(at_most(now, limit))


@given(amounts, amounts, amounts, amounts)
def test_less_throughput_is_never_better(low: float, width: float, by: float, limit: float) -> None:
    """An interval that is moved down."""
    now = Interval(low + width / 2, low, low + width)
    less = Interval(low + width / 2 - by, low - by, low + width - by)
    assert gravity(at_least(less, limit)) >= gravity(at_least(now, limit))


@given(amounts, amounts, amounts, amounts)
def test_a_stricter_limit_is_never_kinder(low: float, width: float, by: float, limit: float) -> None:
    """The same figures against less."""
    now = Interval(low + width / 2, low, low + width)
    assert gravity(at_most(now, limit)) >= gravity(at_most(now, limit + by))
    assert gravity(at_least(now, limit + by)) >= gravity(at_least(now, limit))


@settings(deadline=None)
@given(st.integers(1, 100), st.data(), st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.5]))
def test_more_errors_are_never_better(wrong: int, data: st.DataObject, limit: float) -> None:
    """Nor is one more of the same kind ever forgiven."""
    fewer = data.draw(st.integers(0, wrong - 1))

    def verdict(count: int) -> Verdict:
        return errors(entry_of(replace(found(), runs=(run(0, wrong=count),))), limit).verdict

    assert gravity(verdict(wrong)) >= gravity(verdict(fewer))


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(50, 500))
def test_the_interval_of_a_share_holds_it(part: int, whole: int) -> None:
    """And stays within 0 and 1."""
    found_share = share(part, whole)
    assert found_share.low is not None
    assert found_share.high is not None
    assert 0 <= found_share.low <= found_share.value <= found_share.high <= 1


@settings(deadline=None, max_examples=60)
@given(repetitions, repetitions, factors)
def test_slower_repetitions_never_turn_fail_into_pass(old: list[float], new: list[float], by: float) -> None:
    """Against a baseline: all of them slower by the same factor."""
    kept = Baseline.model_validate(make(report(found(old)), where="r", topology="t"))
    given_baseline = BaselineFile(Path("baseline.json"), kept)

    def verdict(values: list[float]) -> Verdict:
        made = found(values)
        now = environment_of(report(made), entry_of(made), "t")
        judged = compare_with_baseline(given_baseline, entry_of(made), now, 0.1)
        return next(each.verdict for each in judged if each.name == "p95_ms")

    before, after = verdict(new), verdict([each * by for each in new])
    assert gravity(after) >= gravity(before)


@settings(deadline=None, max_examples=40)
@given(repetitions, factors, st.integers(0, 50))
def test_a_worse_report_never_turns_fail_into_pass(values: list[float], by: float, wrong: int) -> None:
    """The gate as a whole, by its objectives."""
    criteria = Criteria(standard(), OBJECTIVES)

    def verdict(made: ExperimentResult) -> Verdict:
        return judge(report(made), criteria, where="here").verdict

    better, worse = found(values), found([each * by for each in values], wrong=wrong)
    if verdict(better) == "fail":
        assert verdict(worse) != "pass"


@pytest.mark.parametrize("doubt", [{"partial": "cut"}, {"runs": ()}])
@pytest.mark.parametrize("factor", [1, 9])
def test_what_is_in_doubt_has_no_verdict(doubt: dict[str, Any], factor: int) -> None:
    """Neither way."""
    made = replace(found([800.0 * factor, 801.0 * factor]), **doubt)
    gate = judge(report(made), Criteria(standard(), OBJECTIVES), where="here")
    assert gate.verdict == "inconclusive"
