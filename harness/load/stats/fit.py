"""Throughput against workers: a straight line, Amdahl's law, the Universal Scalability Law; or a refusal.

C(N) = L N / (1 + s (N - 1) + k N (N - 1)): L one worker's rate, s contention, k coherence (Gunther, Guerrilla
Capacity Planning, 2007, ch. 4). Amdahl's law (1967) has no k, a straight line neither.

All three are linear in N / C, with coefficients that cannot be negative, so the fit is `scipy.optimize.nnls`:
it needs no guess to start from, has one answer, and can find exactly 0. Weights turn the distance in N / C
back into one in C, over C's standard error, so that what is least is the usual weighted sum of squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from harness.load.result import Fit, Interval

Array: TypeAlias = npt.NDArray[np.float64]
Model = Literal["linear", "amdahl", "usl"]

PARAMETERS: dict[Model, tuple[str, ...]] = {
    "linear": ("lambda",),
    "amdahl": ("lambda", "sigma"),
    "usl": ("lambda", "sigma", "kappa"),
}
NAMES: dict[Model, str] = {"linear": "a straight line", "amdahl": "Amdahl's law", "usl": "the USL"}
LEAST_R2 = 0.95
LEAST_POINTS = 3
DRAWS = 500
# No mean is taken to be known better than to this share of it.
LEAST_ERROR = 1e-3


@dataclass(frozen=True)
class Points:
    """Mean throughput ``c`` at each number of workers ``n``, its standard error, and degrees of freedom.

    The variance of each is half that of its own repetitions and half that of all (relative to their means):
    three repetitions that happen to agree must not outweigh the rest.
    """

    n: Array
    c: Array
    error: Array
    freedom: int

    def upto(self, workers: float) -> Points:
        """Those with at most so many workers."""
        kept = self.n <= workers
        return Points(self.n[kept], self.c[kept], self.error[kept], self.freedom)


def points_of(repetitions: Mapping[int, Sequence[float]]) -> Points:
    """From the throughput of each repetition, by number of workers. ValueError: none, or not positive."""
    workers = sorted(repetitions)
    runs = [np.asarray(repetitions[n], dtype=np.float64) for n in workers]
    if not runs or any(not len(run) or not (run > 0).all() for run in runs):
        raise ValueError("each number of workers needs repetitions with a throughput above 0")
    means = np.array([run.mean() for run in runs])
    freedom = np.array([len(run) - 1 for run in runs])
    squares = np.array([float(((run / run.mean() - 1) ** 2).sum()) for run in runs])
    pooled = squares.sum() / max(freedom.sum(), 1)
    own = squares / np.maximum(freedom, 1)
    variance = np.where(freedom > 0, (own + pooled) / 2, pooled)
    sizes = np.array([len(run) for run in runs])
    relative = np.maximum(np.sqrt(variance / sizes), LEAST_ERROR)
    return Points(np.array(workers, dtype=np.float64), means, means * relative, int(freedom.sum()))


def fit(model: Model, points: Points, *, cores: float = math.inf, seed: int = 1) -> Fit:
    """The model fitted, or with ``refused`` saying why it must not be used.

    ``cores``: what more workers than that cannot use; one more worker is not predicted beyond it. Intervals
    of the parameters, of the band and of the next worker's worth are from a parametric bootstrap: `DRAWS`
    times each mean is drawn anew by its own error (Student's t) and the model fitted again.
    """
    if refused := _too_little(model, points):
        return Fit(model=model, parameters={}, r2=0.0, refused=refused)
    found = solve(model, points, points.c)
    draws = np.array([solve(model, points, c) for c in _drawn(points, seed)])
    r2 = _r2(points.c, curve(found, points.n))
    refused = _refusal(model, points, r2)
    parameters = {name: _interval(found[i], draws[:, i]) for i, name in enumerate(PARAMETERS[model])}
    peak = None if refused or model != "usl" else peak_of(found, parameters["kappa"])
    more = points.n[-1] + 1 <= cores and not refused
    return Fit(
        model=model,
        parameters=parameters,
        r2=r2,
        band=_band(points, found, draws),
        peak_workers=peak,
        peak=None if peak is None else float(curve(found, np.array([peak]))[0]),
        next_worker=_next_worker(float(points.n[-1]), found, draws) if more else None,
        refused=refused,
    )


def solve(model: Model, points: Points, c: Array) -> Array:
    """(lambda, sigma, kappa) for throughputs ``c`` at the points; 0 is what the model does not have."""
    n, terms = points.n, len(PARAMETERS[model])
    design = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])[:, :terms]
    fitted = c
    for _ in range(3):
        weights = c * fitted / (n * points.error)
        found, _rest = optimize.nnls(design * weights[:, None], n / c * weights)
        fitted = n / np.maximum(design @ found, 1e-12)
    first = max(float(found[0]), 1e-12)
    return np.array([1 / first, *(found[1:] / first), *([0.0] * (3 - terms))])


def curve(parameters: Array, n: Array) -> Array:
    """Throughput at ``n`` workers by (lambda, sigma, kappa)."""
    scale, sigma, kappa = parameters
    return np.asarray(scale * n / (1 + sigma * (n - 1) + kappa * n * (n - 1)), dtype=np.float64)


def peak_of(parameters: Array, kappa: Interval) -> float | None:
    """Workers at the USL's maximum, sqrt((1 - s) / k); None: kappa's interval holds 0, there may be none."""
    if not kappa.low or parameters[1] >= 1:
        return None
    return math.sqrt((1 - float(parameters[1])) / kappa.value)


def kinked_at(points: Points) -> float | None:
    """The workers up to which throughput rises in a straight line, to be flat from there; None: it does not.

    A line with a kink has one parameter less than the USL, and must still lie clearly nearer to the points.
    """
    lines = [_kink(points, split) for split in range(2, len(points.n))]
    workers, fitted = min(lines, key=lambda line: _chi2(points, line[1]))
    smooth = _chi2(points, curve(solve("usl", points, points.c), points.n))
    nearer = _chi2(points, fitted) + float(stats.chi2.ppf(0.95, 1)) < smooth
    return workers if workers < points.n[-1] and nearer and _r2(points.c, fitted) >= LEAST_R2 else None


def _kink(points: Points, split: int) -> tuple[float, Array]:
    """Where a line, by the first ``split`` points, meets the plateau of the rest; and both at all points."""
    weights = points.error**-2
    up, flat = slice(None, split), slice(split, None)
    slope = float((weights * points.n * points.c)[up].sum() / (weights * points.n**2)[up].sum())
    top = float(np.average(points.c[flat], weights=weights[flat]))
    return top / slope, np.minimum(slope * points.n, top)


def _too_little(model: Model, points: Points) -> str:
    count, needed = len(points.n), len(PARAMETERS[model])
    if count < LEAST_POINTS:
        return f"{count} numbers of workers: it takes at least {LEAST_POINTS} to distinguish two curves"
    if count <= needed:
        return f"{count} points fix the {needed} parameters of {NAMES[model]}: nothing is left to test it by"
    if not points.freedom:
        return "each number of workers was measured once: nobody knows how sure the points are"
    return ""


def _refusal(model: Model, points: Points, r2: float) -> str:
    """Why the fitted model does not carry a prediction, or nothing."""
    chi2_flat = _chi2(points, np.full_like(points.c, np.average(points.c, weights=points.error**-2)))
    if chi2_flat < float(stats.chi2.ppf(0.95, len(points.n) - 1)):
        return "throughput is the same with any number of workers: something else limits it"
    if (workers := kinked_at(points)) is not None:
        return (
            f"throughput rises in a straight line up to {workers:.1f} workers and is flat from there: "
            f"a kink, as at the number of cores, which {NAMES[model]} cannot represent"
        )
    if r2 < LEAST_R2:
        return f"R² is {r2:.3f}, below {LEAST_R2}: the points do not lie on {NAMES[model]}"
    return ""


def _chi2(points: Points, fitted: Array) -> float:
    return float((((points.c - fitted) / points.error) ** 2).sum())


def _r2(c: Array, fitted: Array) -> float:
    """The share of the points' variance that the model explains; 0 if there is none to explain."""
    total = float(((c - c.mean()) ** 2).sum())
    return 1 - float(((c - fitted) ** 2).sum()) / total if total > 0 else 0.0


def _drawn(points: Points, seed: int) -> Array:
    """Throughputs as another measurement might have found them: a row for each draw."""
    random = np.random.default_rng(seed)
    noise = random.standard_t(points.freedom, (DRAWS, len(points.n)))
    return np.asarray(np.maximum(points.c + points.error * noise, points.c / 100))


def _interval(value: float, draws: Array) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))


def _next_worker(workers: float, found: Array, draws: Array) -> Interval:
    """What one more than the most that were measured would bring, a second."""
    both = np.array([workers, workers + 1])
    return _interval(
        float(np.diff(curve(found, both))[0]), np.array([np.diff(curve(d, both))[0] for d in draws])
    )


def _band(points: Points, found: Array, draws: Array) -> tuple[tuple[float, float, float, float], ...]:
    """(workers, low, value, high) from one worker to one more than was measured."""
    n = np.linspace(min(1.0, points.n[0]), points.n[-1] + 1, 41)
    low, high = np.quantile(np.array([curve(d, n) for d in draws]), (0.025, 0.975), axis=0)
    rows = np.column_stack([n, low, curve(found, n), high]).tolist()
    return tuple((row[0], row[1], row[2], row[3]) for row in rows)
