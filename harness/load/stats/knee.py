"""The search for the highest rate that meets an objective, as pure functions over the trials so far.

The caller asks `next_rate`, runs it (draining before and after), adds the trial, and asks again until there
is no next rate; `capacity` is then the result. Rates go up in growing steps until one does not hold, then the
gap is halved until it is narrow enough. At last both ends are tried twice, and with `once_more` again while
the interval from all trials is wider than that.

A rate holds only if the *whole* interval of the quantile is within the objective; it fails if the whole
interval is beyond it, or if most of its trials had errors or refusals or did not keep up. Anything in between
is tried again, and undecided if it stays so: then it is neither the lower end nor the upper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special, stats

from harness.load.result import Capacity, Interval
from harness.load.stats.interval import combined
from harness.load.stats.words import LEAST_REPEATED

FARTHEST = 1.5
# A line through fewer runs has no scatter to speak of.
LEAST_RUNS = 4
# Of the line; the answer's is somewhat less, as the search looks several times (docs/statistics.md).
CONFIDENCE = 0.98


@dataclass(frozen=True)
class Aim:
    """The objective, and the parameters of the search.

    ``quantile`` (its name, such as p95) of the latency is at most ``objective_ms``, ``keep_up`` the least
    share of the offered rate that ends well in the same time (but for chance), ``errors`` the share of
    arrivals that may fail (refusals always count against a rate). The search begins at ``start``, ends at
    ``resolution`` (relative), stays within ``floor`` and ``ceiling``, and takes at most ``repetitions`` runs
    of a rate and ``most`` of all.
    """

    objective_ms: float
    start: float
    quantile: str = "p95"
    keep_up: float = 0.98
    errors: float = 0.0
    factor: float = 1.5
    resolution: float = 0.05
    floor: float = 0.1
    ceiling: float = math.inf
    repetitions: int = 3
    most: int = 40

    @property
    def text(self) -> str:
        """The objective in words."""
        return f"{self.quantile} within {self.objective_ms:g} ms, no more than {self.errors:.2%} errors"


@dataclass(frozen=True)
class Trial:
    """One run at ``rate``, without the warm-up.

    ``latency`` is the quantile (ms) of all arrivals with its interval, as `stages.quantile_of_run` has it.
    ``errors`` and ``refused`` count arrivals. ``doubt`` says why the run does not count, such as a generator
    that was the bottleneck; empty: it counts. ``beyond`` is the share of all arrivals that took longer than
    the objective, ``size`` the number of independent arrivals that they count as (None: unknown).
    """

    rate: float
    offered: float
    achieved: float
    arrivals: int
    latency: Interval
    errors: int = 0
    refused: int = 0
    doubt: str = ""
    beyond: float = 0.0
    size: float | None = None


@dataclass(frozen=True)
class Search:
    """An aim, and all trials so far in their order."""

    aim: Aim
    trials: tuple[Trial, ...] = field(default=())

    def after(self, trial: Trial) -> Search:
        """The search with one more trial."""
        return Search(self.aim, (*self.trials, trial))


def next_rate(search: Search) -> float | None:
    """The rate to run next; None: the search is over."""
    aim = search.aim
    if len(search.trials) >= aim.most:
        return None
    if not search.trials:
        return min(aim.start, aim.ceiling)
    latest = search.trials[-1].rate
    if _is_open(search, latest):
        return latest
    low, high = _held_below(search), _not_held(search)
    return _between(search, low, high) if high is not None else _up(search, low)


def held(search: Search, rate: float) -> bool | None:
    """Whether ``rate`` holds by all its trials; None: no trial yet, or undecided."""
    runs = [trial for trial in search.trials if trial.rate == rate and not trial.doubt]
    broken = sum(1 for trial in runs if _broke(search.aim, trial))
    if not runs or 2 * broken == len(runs):
        return None
    if 2 * broken > len(runs):
        return False
    return _within(search.aim, [trial for trial in runs if not _broke(search.aim, trial)])


def once_more(search: Search) -> float | None:
    """Once `next_rate` has no rate: the end that was tried less often; None if it is known well enough.

    Rates are compared by all their trials, so each trial makes the interval narrower.
    """
    low = _held_below(search) or 0.0
    over = _failed_above(search, low)
    found = _interval(search, low, over)
    if not low or over is None or found.low is None or found.high is None:
        return None
    if crossing(search) and found.high <= found.low * (1 + search.aim.resolution) * (1 + 1e-9):
        return None
    runs = [trial.rate for trial in search.trials]
    return min((low, over), key=runs.count)


def capacity(search: Search) -> Capacity:
    """The result of the search. ``rate`` is the highest that held, with an interval of the true one.

    It reaches from the highest that held to the lowest that failed above it, or further (`_interval`). If
    none held, ``rate`` is 0; ``high`` is None if none failed.
    """
    low = _held_below(search) or 0.0
    over = _failed_above(search, low)
    return Capacity(
        rate=_interval(search, low, over),
        over=over,
        objective=search.aim.text,
        told=_summary(search, low, over),
        steps=tuple(
            {
                "rate": trial.rate,
                "held": _one(search.aim, trial),
                "why": so_far(Search(search.aim, search.trials[: place + 1])),
            }
            for place, trial in enumerate(search.trials)
        ),
    )


def _interval(search: Search, low: float, over: float | None) -> Interval:
    """The highest that held, within where the true one lies: as far as its neighbours and `crossing` reach.

    Where no line can be drawn, half a step more on each side.
    """
    if not low or over is None:
        return Interval(low, low, over)
    step = 1 + search.aim.resolution / 2
    least, most = crossing(search) or (low / step, over * step)
    return Interval(low, min(low, least), max(over, most))


def headroom(aim: Aim, trial: Trial) -> float:
    """How far a trial was from missing the objective: 1 is half of the limit, 0 the limit, below 0 beyond it.

    The smaller one of latency's and throughput's, from -1 to 1; a trial with refusals or errors has -1.
    """
    if trial.refused or trial.errors > aim.errors * trial.arrivals:
        return -1.0
    missing = _missing(trial)
    parts = [aim.objective_ms / max(trial.latency.value, 1e-9)]
    parts += [_allowed_missing(aim, trial) / missing] if missing > 0 else []
    return max(-1.0, min(1.0, min(parts) - 1))


def crossing(search: Search) -> tuple[float, float] | None:
    """The rates between which the headroom is 0, by a line through the trials near it, over log(rate).

    Trials at one rate differ by more than their own intervals, because a queue remembers for longer than a
    run lasts. Their scatter about the line shows that (Fieller 1954; Draper, Smith: Applied Regression
    Analysis, 3.2). None if there are too few, or if no line falls clearly.
    """
    runs = _near_the_ends(search)
    x = np.log([trial.rate for trial in runs])
    if len(runs) < LEAST_RUNS or np.ptp(x) == 0:
        return None
    line = stats.linregress(x, [headroom(search.aim, trial) for trial in runs])
    t = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(runs) - 2))
    g = (t * line.stderr / line.slope) ** 2 if line.slope < 0 else math.inf
    if g >= 1:
        return None
    spread = float(((x - x.mean()) ** 2).sum())
    away = -line.intercept / line.slope - x.mean()
    error = line.stderr * math.sqrt(spread) / abs(line.slope)
    half = t * error / (1 - g) * math.sqrt((1 - g) / len(runs) + away**2 / spread)
    middle = float(x.mean() + away / (1 - g))
    if abs(middle - x.mean()) + half > 1:
        return None
    return math.exp(middle - half), math.exp(middle + half)


def _near_the_ends(search: Search) -> list[Trial]:
    """The valid trials near enough for a straight line: farther away, headroom is 1 anyway."""
    low = _held_below(search) or 0.0
    over = _failed_above(search, low) or math.inf
    least, most = low / FARTHEST, over * FARTHEST
    return [trial for trial in search.trials if not trial.doubt and least <= trial.rate <= most]


def why(aim: Aim, trial: Trial) -> str:
    """Why one trial holds, fails or is undecided, in words."""
    broke = _broke(aim, trial)
    if trial.doubt or broke:
        return f"does not count: {trial.doubt}" if trial.doubt else broke
    low, high = trial.latency.low, trial.latency.high
    between = f" ({low:.0f} to {high:.0f} ms)" if low is not None and high is not None else ""
    size = f"{trial.latency.value:.0f} ms" if math.isfinite(trial.latency.value) else "endless"
    text, side = f"{aim.quantile} {size}{between}", _within(aim, [trial])
    if side is not None:
        return f"{text}: {'within' if side else 'beyond'} {aim.objective_ms:g} ms"
    if low is not None and high is not None and low <= aim.objective_ms <= high:
        return f"{text}: the objective of {aim.objective_ms:g} ms is inside the interval"
    return f"{text}: {trial.arrivals} arrivals are too few to compare it with {aim.objective_ms:g} ms"


def so_far(search: Search) -> str:
    """The result of the latest trial, and of all trials at its rate, in words.

    If there can be no interval yet, it says so, and how many trials it takes.
    """
    latest = search.trials[-1]
    runs = [trial for trial in search.trials if trial.rate == latest.rate and not trial.doubt]
    text = why(search.aim, latest)
    if latest.doubt or held(search, latest.rate) is not None or _broke(search.aim, latest):
        return text
    if len(runs) > 1:
        return f"{text}; {len(runs)} runs so far at this rate do not decide it"
    if latest.latency.low is not None:
        return f"one run so far: {text}"
    return f"one run so far: {text}; an interval takes {_takes(search.aim, latest)} such runs at least"


def _takes(aim: Aim, trial: Trial) -> int:
    """How many trials like this one it takes at least until their interval can be on one side."""
    if not trial.size:
        return LEAST_REPEATED
    return max(LEAST_REPEATED, math.ceil(math.log(0.025) / math.log1p(-_tail(aim)) / trial.size))


def _tail(aim: Aim) -> float:
    """The share that may take longer than the objective."""
    return 1 - float(aim.quantile.removeprefix("p")) / 100


def _is_open(search: Search, rate: float) -> bool:
    """Whether another trial is needed to decide, and allowed."""
    runs = sum(1 for trial in search.trials if trial.rate == rate)
    return held(search, rate) is None and runs < search.aim.repetitions


def _up(search: Search, low: float | None) -> float | None:
    """All rates so far held: go up, or try the ceiling twice."""
    aim = search.aim
    if low is None:
        return None
    if low >= aim.ceiling:
        return _unconfirmed(search, (low,))
    return min(low * _stride(search), aim.ceiling)


def _stride(search: Search) -> float:
    """The factor of the next step in one direction: each time twice as far, at most half as much again."""
    factor, doublings = search.aim.factor, min(len(_rates(search)) - 1, 10)
    return float(min(factor ** (2**doublings), max(FARTHEST, factor)))


def _between(search: Search, low: float | None, high: float) -> float | None:
    """Halve the gap, or go down if nothing held; once it is narrow, try both ends twice."""
    aim = search.aim
    if low is None:
        down = high / _stride(search)
        return down if down >= aim.floor else _unconfirmed(search, (high,))
    if high > low * (1 + aim.resolution):
        return (low + high) / 2
    return _beyond_undecided(search, low)


def _beyond_undecided(search: Search, low: float) -> float | None:
    """Above ``low`` there may be undecided rates: find where those end."""
    aim, over = search.aim, _failed_above(search, low)
    unfailed = max(rate for rate in _rates(search) if over is None or rate < over)
    if over is None:
        counted = any(trial.rate == unfailed and not trial.doubt for trial in search.trials)
        return min(unfailed * _stride(search), aim.ceiling) if counted and unfailed < aim.ceiling else None
    if over > unfailed * (1 + aim.resolution):
        return (unfailed + over) / 2
    return _unconfirmed(search, (low, over))


def _unconfirmed(search: Search, ends: Sequence[float]) -> float | None:
    """The first of the ends that has only one valid trial and may be tried again."""
    for rate in ends:
        runs = [trial for trial in search.trials if trial.rate == rate]
        if len([trial for trial in runs if not trial.doubt]) < 2 and len(runs) < search.aim.repetitions:
            return rate
    return None


def _rates(search: Search) -> list[float]:
    return sorted({trial.rate for trial in search.trials})


def _not_held(search: Search) -> float | None:
    """The lowest rate that did not hold: failed, or undecided for good."""
    return next((rate for rate in _rates(search) if held(search, rate) is not True), None)


def _failed_above(search: Search, low: float) -> float | None:
    return next((rate for rate in _rates(search) if rate > low and held(search, rate) is False), None)


def _held_below(search: Search) -> float | None:
    """The highest rate that held with nothing below it that did not."""
    limit = _not_held(search)
    return max((rate for rate in _rates(search) if limit is None or rate < limit), default=None)


def _broke(aim: Aim, trial: Trial) -> str:
    """Why a trial failed whatever its latency, or an empty text."""
    if trial.refused:
        return f"{trial.refused} of {trial.arrivals} refused"
    if trial.errors > aim.errors * trial.arrivals:
        return f"{trial.errors} of {trial.arrivals} failed"
    if _fell_behind(aim, trial):
        return f"only {trial.achieved:.1f} of {trial.offered:.1f} a second ended"
    return ""


def _fell_behind(aim: Aim, trial: Trial) -> bool:
    """Whether fewer ended than should, by more than chance.

    What is missing is how many more were in flight at the window's end than at its start. Each is about
    Poisson around L = lambda W, so twice the standard deviation of their difference is chance.
    """
    if trial.offered <= 0:
        return False
    return _missing(trial) > _allowed_missing(aim, trial)


def _missing(trial: Trial) -> float:
    return trial.arrivals * (1 - trial.achieved / trial.offered) if trial.offered > 0 else 0.0


def _allowed_missing(aim: Aim, trial: Trial) -> float:
    under_way = trial.offered * min(trial.latency.value, aim.objective_ms) / 1000
    return (1 - aim.keep_up) * trial.arrivals + 2 * math.sqrt(2 * under_way)


def _within(aim: Aim, runs: Sequence[Trial]) -> bool | None:
    """Whether the quantile is on one side of the objective, by its interval over the trials.

    The interval is that of the share beyond the objective, if all trials have it: it decides best if a rate
    is far from its limit, because arrivals that all are within it are not correlated in that respect.
    """
    if any(trial.size is None for trial in runs):
        return _side(aim, combined([trial.latency for trial in runs]))
    low, high = share_interval(
        sum(trial.beyond * (trial.size or 0.0) for trial in runs), sum(trial.size or 0.0 for trial in runs)
    )
    return True if high <= _tail(aim) else False if low > _tail(aim) else None


def share_interval(part: float, whole: float, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share, of numbers that need not be whole."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(part, whole - part + 1, tail)) if part > 0 else 0.0
    high = float(special.betaincinv(part + 1, whole - part, 1 - tail)) if part < whole else 1.0
    return low, high


def _side(aim: Aim, latency: Interval) -> bool | None:
    """On which side of the objective the whole interval is; an infinite quantile is beyond it."""
    if math.isinf(latency.value):
        return False
    if latency.low is None or latency.high is None:
        return None
    if latency.high <= aim.objective_ms:
        return True
    return False if latency.low > aim.objective_ms else None


def _one(aim: Aim, trial: Trial) -> bool | None:
    """Whether one trial holds by itself."""
    if trial.doubt:
        return None
    return False if _broke(aim, trial) else _within(aim, [trial])


def _summary(search: Search, low: float, over: float | None) -> str:
    parts = [_range(search, low, over)]
    if undecided := [rate for rate in _rates(search) if rate > low and held(search, rate) is None]:
        parts.append(f"undecided: {_list(undecided)} a second")
    if above := [rate for rate in _rates(search) if rate > low and held(search, rate)]:
        parts.append(f"not monotone: {_list(above)} a second held, though {_not_held(search):.1f} did not")
    if unsteady := [rate for rate in _rates(search) if _contradicts(search, rate)]:
        parts.append(f"runs contradict each other at {_list(unsteady)} a second")
    if len(search.trials) >= search.aim.most and next_rate(Search(_one_more_run(search.aim), search.trials)):
        parts.append(f"ended after {len(search.trials)} runs, before the interval was narrow enough")
    return "; ".join(parts)


def _range(search: Search, low: float, over: float | None) -> str:
    if not low:
        end = f"{over:.1f} a second failed" if over else "none could be decided"
        return f"no rate held ({search.aim.text}): {end}"
    if over:
        ends = f"{low:.1f} a second held, {over:.1f} failed ({search.aim.text})"
        return ends + _between_text(search, low, over)
    return f"{low:.1f} a second held, none above it failed ({search.aim.text})"


def _between_text(search: Search, low: float, over: float) -> str:
    """The interval of the true rate, if it is wider than the two ends."""
    found = _interval(search, low, over)
    if found.low is None or found.high is None or (low, over) == (found.low, found.high):
        return ""
    return f"; by all runs it lies between {found.low:.1f} and {found.high:.1f}"


def _one_more_run(aim: Aim) -> Aim:
    return replace(aim, most=aim.most + 1)


def _contradicts(search: Search, rate: float) -> bool:
    """Whether one trial at a rate held and another failed."""
    return {True, False} <= {_one(search.aim, trial) for trial in search.trials if trial.rate == rate}


def _list(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:.1f}" for rate in rates)
