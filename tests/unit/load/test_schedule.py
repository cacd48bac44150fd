"""When arrivals are due."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.load.model import SECOND, Times
from harness.load.schedule import constant, parse, poisson, ramp, steps, trace


def test_a_constant_rate_has_even_gaps() -> None:
    """The first is due at once, the last before the end."""
    assert constant(4, 1).tolist() == [0, SECOND // 4, SECOND // 2, 3 * SECOND // 4]
    assert len(constant(0.1, 30)) == 3
    assert len(constant(0.3, 10)) == 3


def test_poisson_arrivals_repeat_with_their_seed_and_have_exponential_gaps() -> None:
    """Mean and deviation of gaps are the same, and the number is about rate times seconds."""
    made = poisson(1000, 100, 7)
    assert np.array_equal(made, poisson(1000, 100, 7))
    assert not np.array_equal(made[:100], poisson(1000, 100, 8)[:100])
    gaps = np.diff(made) / SECOND
    assert abs(len(made) - 100_000) < 5 * 100_000**0.5
    assert gaps.min() >= 0
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.02)


def test_a_ramp_has_the_rate_it_should_at_each_time() -> None:
    """Up and down; and what does not change is constant."""
    made = ramp(10, 100, 60) / SECOND
    assert len(made) == 3300
    assert np.sum(made < 1) == pytest.approx(10.75, abs=1)
    assert np.sum(made >= 59) == pytest.approx(99.25, abs=1)
    down = ramp(100, 10, 60)
    assert np.all(np.diff(down) > 0)
    assert down[-1] < 60 * SECOND
    assert np.allclose(ramp(50, 50, 3), constant(50, 3), atol=1)


def test_steps_follow_one_another() -> None:
    """Each at its own rate, from where the one before ended."""
    made = steps([(10, 1), (20, 0.5)])
    assert made.tolist() == [*constant(10, 1).tolist(), *(constant(20, 0.5) + SECOND).tolist()]


def test_a_trace_is_read_as_it_was_recorded(tmp_path: Path) -> None:
    """Comments and blank lines aside."""
    file = tmp_path / "trace"
    file.write_text("# seconds\n0\n0.5  # same\n0.5\n\n2e1\n")
    assert trace(file).tolist() == [0, SECOND // 2, SECOND // 2, 20 * SECOND]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0\n1\n0.5\n", r":3: '0\.5'"),
        ("0\nsoon\n", r":2: 'soon'"),
        ("-1\n", r":1: '-1'"),
        ("inf\n", r":1: 'inf'"),
        ("# none\n", "no arrivals"),
    ],
)
def test_a_trace_that_is_none_names_its_line(tmp_path: Path, text: str, problem: str) -> None:
    """File, line, and what would be right."""
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(UsageError, match=problem):
        trace(file)


def test_a_trace_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As any file."""
    with pytest.raises(UsageError, match=r"none\.txt: this trace cannot be read"):
        trace(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("constant:50x30s", constant(50, 30)),
        ("constant:0.5x1m", constant(0.5, 60)),
        ("poisson:50x500ms", poisson(50, 0.5, 3)),
        ("ramp:10-100x60s", ramp(10, 100, 60)),
        ("steps:10x30s,20x30s", steps([(10, 30), (20, 30)])),
    ],
)
def test_the_command_line_writes_schedules_so(text: str, same: Times) -> None:
    """Each kind, in several units."""
    assert np.array_equal(parse(text, seed=3), same)


@pytest.mark.parametrize(
    "text", ["", "constant", "constant:", "constant:50", "constant:50x30", "constant:-5x3s", "ramp:10x3s",
             "steps:10x3s,", "poisson:ax3s", "trace:", "burst:5x5s", "constant:1_0x3s"]
)  # fmt: skip
def test_an_invalid_schedule_is_an_error_with_valid_forms(text: str) -> None:
    """With every form there is."""
    with pytest.raises(UsageError, match="not a schedule: take constant:50x30s"):
        parse(text, seed=1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("constant:0x3s", "a rate of 0"),
        ("poisson:5x0s", "0 s is not a duration"),
        ("ramp:0-10x3s", "a rate of 0"),
        ("ramp:10-0x3s", "a rate of 0"),
        ("steps:10x3s,0x3s", "a rate of 0"),
        ("constant:1000000x1h", "more than 50,000,000"),
    ],
)
def test_a_load_that_is_none_or_too_much_is_refused(text: str, problem: str) -> None:
    """Zero is no rate and no time."""
    with pytest.raises(UsageError, match=problem):
        parse(text, seed=1)


def test_a_negative_rate_is_refused() -> None:
    """Whoever asks for it."""
    with pytest.raises(UsageError, match="a rate of -1"):
        constant(-1, 3)
