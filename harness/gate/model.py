"""One judgement, and all of them: plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from harness.load.result import Interval
from harness.run.report import Verdict

Kind = Literal["checks", "measurement", "objective", "baseline"]

GRAVITY: tuple[Verdict, ...] = ("pass", "inconclusive", "fail")


@dataclass(frozen=True)
class Judgement:
    """One thing that was judged.

    ``name`` is a metric, or what else was judged. ``limit`` is that of an objective, ``baseline`` and
    ``now`` are means over repetitions in the metric's own unit, ``change`` is a share of the baseline,
    or where ``relative`` is false (the baseline is 0) in the metric's unit. ``told`` is the reason.
    """

    kind: Kind
    name: str
    verdict: Verdict
    told: str
    limit: float | None = None
    baseline: Interval | None = None
    now: Interval | None = None
    change: Interval | None = None
    relative: bool = True
    p_value: float | None = None


@dataclass(frozen=True)
class Gate:
    """All judgements of one report; ``notes`` are for information and change no verdict."""

    run: str
    target: str
    topology: str
    judgements: tuple[Judgement, ...]
    baseline: str = ""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """A failure outweighs a doubt; if nothing was judged, it is inconclusive."""
        return worst(each.verdict for each in self.judgements)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; inconclusive if there are none."""
    return max(verdicts, key=GRAVITY.index, default="inconclusive")


def doubted(judgement: Judgement, why: str) -> Judgement:
    """The same with its figures, but inconclusive, because its basis is in doubt."""
    return replace(judgement, verdict="inconclusive", told=f"{judgement.told}; {why}")
