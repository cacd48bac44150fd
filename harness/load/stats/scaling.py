"""What a scaling experiment says: the points, the models that were fitted, and the finding in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.load.result import Fit, Interval, Scaling
from harness.load.stats.fit import NAMES, PARAMETERS, Model, Points, fit, points_of
from harness.load.stats.interval import t_interval

MODELS: tuple[Model, ...] = ("linear", "amdahl", "usl")


def scaling(
    repetitions: Mapping[int, Sequence[float]], *, cores: int, cpu_bound: bool, seed: int = 1
) -> Scaling:
    """From the throughput (a second) of each repetition, by number of workers.

    ``cpu_bound``: each worker keeps a core busy, so that only points up to ``cores`` are fitted: what lies
    beyond is a kink, which none of the models has. ValueError: a number of workers without repetitions, or
    with a throughput that is not above 0.
    """
    points = points_of(repetitions)
    limit = float(cores) if cpu_bound else math.inf
    kept = points.upto(limit)
    beyond = len(points.n) - len(kept.n)
    fits = tuple(fit(model, kept, cores=limit, seed=seed) for model in MODELS)
    sentences = (_spread(points), *_left_out(beyond, cores), *_findings(fits, kept, limit))
    return Scaling(
        points=tuple((n, t_interval(repetitions[n])) for n in sorted(repetitions)),
        fits=fits,
        cores=cores,
        told=". ".join(sentences) + ".",
    )


def best(fits: Sequence[Fit]) -> Fit | None:
    """The chosen model: the richest usable one whose last parameter is clearly above 0, or None.

    A richer model always lies nearer to the points; it is worth it only if what it adds is there.
    """
    usable = [one for one in fits if not one.refused]
    needed = [one for one in usable if _is_needed(one)]
    return next(reversed(needed or usable[:1]), None)


def _is_needed(one: Fit) -> bool:
    last = one.parameters[PARAMETERS[one.model][-1]]
    return bool(last.low and last.low > 0)


def _spread(points: Points) -> str:
    first, last = (f"{points.c[i]:.1f} a second with {points.n[i]:.0f}" for i in (0, -1))
    return f"{first}, {last} workers" if len(points.n) > 1 else f"{first} workers"


def _left_out(beyond: int, cores: int) -> tuple[str, ...]:
    if not beyond:
        return ()
    left = "one point with more is" if beyond == 1 else f"{beyond} points with more are"
    return (f"Jobs that keep a core busy cannot scale beyond {cores} cores: {left} left out of the models",)


def _findings(fits: Sequence[Fit], kept: Points, limit: float) -> tuple[str, ...]:
    chosen = best(fits)
    if chosen is None:
        return (f"No model is used: {fits[-1].refused}",)
    name = NAMES[chosen.model]
    freedom = len(kept.n) - len(PARAMETERS[chosen.model])
    return (
        f"{name[0].upper()}{name[1:]} fits {len(kept.n)} points (R² {chosen.r2:.3f})",
        *_thin(freedom, len(kept.n)),
        _peak(chosen, fits, float(kept.n[-1])),
        _next(chosen, float(kept.n[-1]), limit),
    )


def _thin(freedom: int, points: int) -> tuple[str, ...]:
    if freedom > 1:
        return ()
    return (f"{points} points leave {freedom} degree of freedom: that it fits is hardly a test of it",)


def _peak(chosen: Fit, fits: Sequence[Fit], measured: float) -> str:
    if chosen.peak_workers is not None and chosen.peak is not None:
        where = "" if chosen.peak_workers <= measured else ", beyond what was measured"
        return f"Predicted peak: {chosen.peak:.1f} a second at {chosen.peak_workers:.1f} workers{where}"
    usl = next(one for one in fits if one.model == "usl")
    if usl.refused:
        return f"No peak is predicted: {usl.refused}"
    return "No peak is predicted: kappa's interval holds 0"


def _next(chosen: Fit, measured: float, limit: float) -> str:
    if chosen.next_worker is None:
        return f"One more worker would have no core of its own beyond {limit:.0f}"
    return f"One worker more than {measured:.0f} brings {_size(chosen.next_worker)} a second"


def _size(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.value:+.1f}"
    return f"{interval.value:+.1f} ({interval.low:+.1f} to {interval.high:+.1f})"
