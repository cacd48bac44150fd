"""Times and counts of one trial, from what was observed. Pure; times are seconds.

The service *answers again* with the first accepted answer after which no submission is refused or left
without an answer, and there are never more than ``QUIET`` seconds without another accepted answer, for at
least ``STEADY`` of them. So a service that never faltered answers again after 0 s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from harness.core.wait import scaled
from harness.faults.history import Entry, Judgement, begun
from harness.faults.run import Times
from harness.faults.watch import Snapshot, are_ready, is_at_capacity, shown_down, unsettled

Outcome = Literal["accepted", "refused", "unanswered", "lost", "duplicated", "unknown"]

UNSERVED: tuple[Outcome, ...] = ("refused", "unanswered")
QUIET = 5.0
STEADY = 10
# A submission that is open for longer counts as unanswered, until it has an answer.
OPEN = 10.0


@dataclass(frozen=True)
class Sent:
    """One submission; ``ended`` is None as long as there is no answer.

    ``clear``: its answer, if there is one, has a token or a status of Judge0's, or is a refusal.
    """

    op: int
    begun: float
    ended: float | None
    outcome: Outcome
    clear: bool

    def is_open(self, now: float) -> bool:
        """Whether its outcome is still open ``now``."""
        return self.ended is None and now - self.begun <= scaled(OPEN)

    @property
    def is_accepted(self) -> bool:
        """Whether it was accepted."""
        return self.ended is not None and self.clear and self.outcome not in UNSERVED


@dataclass(frozen=True)
class Measured:
    """``rto_s``: until the service answered again; ``gap_s``: the longest time without an accepted answer.

    ``detected_s``: until the managers showed the nodes ``Down``; ``full_s``: until every service had its
    tasks on other nodes; ``ready_s``: from the healing until the nodes were ``Ready``; ``settled_s``: from
    then until all was as before. None: that was not observed.
    """

    rto_s: float | None
    gap_s: float
    detected_s: float | None
    full_s: float | None
    ready_s: float | None
    settled_s: float | None


def sent(history: Iterable[Entry], judgement: Judgement | None = None) -> tuple[Sent, ...]:
    """The submissions of a history, in the order in which they were submitted.

    With a ``judgement``, outcomes include those that were lost or ended twice, or may have been.
    """
    found = [
        Sent(each.op, each.at, end.at if end else None, _outcome(each.op, end, judgement), _is_clear(end))
        for each, end in begun(history)
    ]
    return tuple(sorted(found, key=lambda one: one.begun))


def _outcome(op: int, end: Entry | None, judgement: Judgement | None) -> Outcome:
    judged = judgement.classes.get(op) if judgement else None
    if judged is not None and judged != "ok":
        return judged
    if end is None or end.kind == "info":
        return "unanswered"
    if not _is_clear(end):
        return "unknown"
    return "accepted" if end.kind == "ok" else "refused"


def _is_clear(end: Entry | None) -> bool:
    return end is None or end.kind != "ok" or end.is_accepted


def answers_again(all_: Sequence[Sent], since: float, until: float) -> float | None:
    """The time of the first answer after which the service answers; None where there is none yet.

    ``since`` where it never stopped. What is submitted, or answered, after ``until`` does not count.
    """
    wrong = [each.begun for each in all_ if since <= each.begun < until and _went_wrong(each, until)]
    answers = accepted(all_, since, until)
    points = pairwise([since, *answers, until])
    pauses = [after for before, after in points if after - before > scaled(QUIET)]
    begin = max([since, *wrong, *pauses])
    steady = [each for each in answers if each >= begin]
    if len(steady) < STEADY:
        return None
    return since if begin == since else steady[0]


def _went_wrong(submission: Sent, until: float) -> bool:
    return not submission.is_accepted and not submission.is_open(until)


def accepted(all_: Iterable[Sent], since: float, until: float) -> list[float]:
    """The times of accepted answers, in order, after ``since`` and before ``until``."""
    times = (each.ended for each in all_ if each.is_accepted and each.ended is not None)
    return sorted(time for time in times if since < time < until)


def known_until(all_: Sequence[Sent], now: float) -> float:
    """The time at which the first submission was sent whose outcome is still open ``now``."""
    return min([now, *(each.begun for each in all_ if each.is_open(now))])


def longest_gap(all_: Sequence[Sent], since: float, until: float) -> float:
    """The longest time between ``since`` and ``until`` without an accepted answer."""
    points = [since, *accepted(all_, since, until), until]
    return max(after - before for before, after in pairwise(points))


def measure(
    times: Times,
    all_: Sequence[Sent],
    snapshots: Sequence[Snapshot],
    nodes: Sequence[str],
    capacity: Mapping[str, int],
    *,
    lost_any: bool,
) -> Measured:
    """The times of a trial; ``lost_any``: whether there were tasks to be run elsewhere."""
    before = [each for each in snapshots if times.ordered <= each.at <= times.healing]
    after = [each for each in snapshots if each.at > times.healing]
    again = answers_again(all_, times.ordered, times.observed)
    return Measured(
        rto_s=None if again is None else _rounded(again - times.ordered),
        gap_s=_rounded(longest_gap(all_, times.ordered, times.observed)),
        detected_s=_since(
            times.ordered, (each.at for each in before if each.state and shown_down(each.state, nodes))
        ),
        full_s=_since(
            times.ordered,
            (each.at for each in before if each.state and is_at_capacity(each.state, capacity, nodes)),
        )
        if lost_any
        else _nothing_to_do(before),
        ready_s=_since(
            times.healing, (each.at for each in after if each.state and are_ready(each.state, nodes))
        ),
        settled_s=_since(
            times.healing, (each.at for each in after if each.state and not unsettled(each.state))
        ),
    )


def _nothing_to_do(snapshots: Sequence[Snapshot]) -> float | None:
    return 0.0 if any(each.state for each in snapshots) else None


def _since(start: float, times: Iterable[float]) -> float | None:
    first = next(iter(times), None)
    return None if first is None else _rounded(first - start)


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def quantiles(values: Sequence[float | None]) -> dict[str, float | None]:
    """``p50``, ``p95`` and ``max``: each is a measured value, and at least that share of all is not above it.

    A time that was not reached counts as longer than any other; a quantile that falls on it is None.
    """
    ordered = sorted(math.inf if each is None else each for each in values)

    def at(share: float) -> float | None:
        if not ordered:
            return None
        value = ordered[max(math.ceil(share * len(ordered)) - 1, 0)]
        return None if math.isinf(value) else value

    return {"p50": at(0.5), "p95": at(0.95), "max": at(1.0)}
