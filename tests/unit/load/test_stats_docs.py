"""docs/statistics.md: its figures are those of the code, and no stage, outcome or verdict is left out."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from harness.load.model import Outcome
from harness.load.result import STAGES
from harness.load.stats import compare, fit, histogram, knee, warmup

DOCS = Path(__file__).parents[3] / "docs/statistics.md"
AIM = knee.Aim(objective_ms=1, start=1)


@pytest.mark.parametrize(
    "said",
    [
        f"less than {AIM.keep_up:.0%} of what was offered".replace("%", " %"),
        f"as narrow as asked for ({AIM.resolution:.0%})".replace("%", " %"),
        f"it took {AIM.most} runs",
        f"it crosses 0 (Fieller 1954), at {knee.CONFIDENCE:.0%}".replace("%", " %"),
        {3: "three times at most"}[AIM.repetitions],
        {1.5: "by half at most"}[knee.FARTHEST],
        f"R² is below {fit.LEAST_R2}",
        f"bootstrap: {fit.DRAWS} times",
        {3: "fewer than three numbers of workers"}[fit.LEAST_POINTS],
        f"in {warmup.INTERVALS} equal intervals",
        {5: "means of five neighbours"}[warmup.BATCH],
        {3: "three\nsignificant digits"}[histogram.DIGITS],
        f"{histogram.LOWEST_US} µs to {histogram.HIGHEST_US // 60_000_000} min",
    ],
)
def test_figures_are_those_of_the_code(said: str) -> None:
    """Change the one, and the other must follow."""
    assert said in DOCS.read_text()


def test_nothing_is_left_out() -> None:
    """Every stage, outcome and verdict is named."""
    text = DOCS.read_text()
    outcomes = [outcome.name.lower() for outcome in Outcome if outcome is not Outcome.OK]
    for word in (*STAGES, *outcomes, *get_args(compare.Verdict)):
        assert word in text, word
