"""Scaling models: known parameters are found, and a curve that is none of them is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from harness.load.result import Fit
from harness.load.stats.fit import Points, curve, fit, kinked_at, points_of, solve
from harness.load.stats.scaling import scaling

WORKERS = (1, 2, 4, 8, 12, 16)


def law(sigma: float, kappa: float) -> Callable[[int], float]:
    """The USL with 20 a second for one worker."""
    return lambda n: 20 * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


def kinked(cores: int) -> Callable[[int], float]:
    """Workers beyond the cores bring nothing."""
    return lambda n: 20.0 * min(n, cores)


def measured(
    truth: Callable[[int], float], workers: tuple[int, ...] = WORKERS, *, seed: int = 1, noise: float = 0.02
) -> dict[int, list[float]]:
    """Five repetitions each."""
    random = np.random.default_rng(seed)
    return {n: [truth(n) * (1 + noise * random.normal()) for _ in range(5)] for n in workers}


def usl(truth: Callable[[int], float], workers: tuple[int, ...] = WORKERS, seed: int = 1) -> Fit:
    """The USL fitted."""
    return fit("usl", points_of(measured(truth, workers, seed=seed)))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 0.5), st.floats(0, 0.05), st.floats(0.1, 1000))
def test_exact_points_give_the_parameters_back(sigma: float, kappa: float, scale: float) -> None:
    """To six digits, at the bounds too."""
    n = np.array(WORKERS, dtype=float)
    c = scale * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    found = solve("usl", Points(n, c, c / 100, 10), c)
    assert found == pytest.approx([scale, sigma, kappa], rel=1e-6, abs=1e-6)


def test_the_fit_is_that_of_weighted_least_squares() -> None:
    """`least_squares` on throughput itself, started at the truth."""
    points = points_of(measured(law(0.05, 0.01), noise=0.05))
    theirs = optimize.least_squares(
        lambda p: (curve(p, points.n) - points.c) / points.error, [20, 0.05, 0.01], bounds=(0, np.inf)
    )
    assert solve("usl", points, points.c) == pytest.approx(theirs.x, rel=0.05)


def test_intervals_of_parameters_cover_the_truth() -> None:
    """In about 95 % of 20 experiments."""
    found = [usl(law(0.05, 0.01), seed=seed).parameters for seed in range(20)]
    for name, truth in (("lambda", 20.0), ("sigma", 0.05), ("kappa", 0.01)):
        hits = [one[name].low <= truth <= one[name].high for one in found]  # type: ignore[operator]
        assert np.mean(hits) >= 0.85, name


def test_the_peak_is_predicted_where_it_is_carried() -> None:
    """sqrt(0.95 / 0.01) = 9.7 workers and 84.6 a second; one more than 16 takes away."""
    found = usl(law(0.05, 0.01))
    assert not found.refused
    assert found.r2 > 0.99
    assert found.peak_workers == pytest.approx(9.75, rel=0.06)
    assert found.peak == pytest.approx(84.6, rel=0.03)
    assert found.next_worker is not None
    assert found.next_worker.high is not None
    assert found.next_worker.high < 0


def test_without_coherence_no_peak_is_predicted() -> None:
    """Amdahl's law has none: kappa's interval holds 0."""
    found = usl(law(0.1, 0))
    assert (found.peak_workers, found.peak, found.parameters["kappa"].low) == (None, None, 0.0)
    told = scaling(measured(law(0.1, 0)), cores=64, cpu_bound=False).told
    assert "Amdahl's law fits 6 points" in told
    assert "No peak is predicted: kappa's interval holds 0" in told


def test_jobs_that_only_sleep_lie_on_a_straight_line() -> None:
    """The simplest model that does; one more worker brings as much as each before."""
    found = scaling(measured(law(0, 0), noise=0.005), cores=2, cpu_bound=False)
    assert "A straight line fits 6 points" in found.told
    line = found.fits[0]
    assert line.next_worker is not None
    assert line.next_worker.value == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize(
    ("cores", "workers"), [(4, (1, 2, 4, 8)), (4, (1, 2, 4, 8, 16)), (3, (1, 2, 3, 4, 6, 8)), (2, (1, 2, 4))]
)
def test_a_kink_is_refused_by_its_name(cores: int, workers: tuple[int, ...]) -> None:
    """Though R² of the USL may be 0.95 on it."""
    points = points_of(measured(kinked(cores), workers))
    assert kinked_at(points) == pytest.approx(cores, rel=0.05)
    found = scaling(measured(kinked(cores), workers), cores=cores, cpu_bound=False)
    assert all(one.refused and one.peak is None and one.next_worker is None for one in found.fits)
    assert "No model is used" in found.told


@pytest.mark.parametrize("seed", range(5))
def test_a_smooth_curve_is_not_taken_for_a_kink(seed: int) -> None:
    """Contention and coherence bend from the start."""
    assert kinked_at(points_of(measured(law(0.05, 0.01), seed=seed))) is None
    assert kinked_at(points_of(measured(law(0, 0), seed=seed))) is None


def test_jobs_that_keep_a_core_busy_are_fitted_up_to_the_cores() -> None:
    """What lies beyond is left out, and nothing is told of one worker more than there are cores."""
    found = scaling(measured(kinked(4), (1, 2, 3, 4, 8)), cores=4, cpu_bound=True)
    assert not found.fits[0].refused
    assert all(one.next_worker is None for one in found.fits)
    assert max(n for n, *_ in found.fits[0].band) == 5
    assert "one point with more is left out" in found.told
    assert "no core of its own beyond 4" in found.told
    assert [n for n, _ in found.points] == [1, 2, 3, 4, 8]


def test_two_cores_do_not_carry_a_model_of_what_keeps_them_busy() -> None:
    """One and two workers are two points."""
    found = scaling(measured(kinked(2), (1, 2, 4, 8)), cores=2, cpu_bound=True)
    assert all("takes at least 3" in one.refused for one in found.fits)
    assert "No model is used: 2 numbers of workers" in found.told


def test_three_points_do_not_test_three_parameters() -> None:
    """The USL goes through any three; Amdahl's law has one left."""
    points = points_of(measured(law(0.1, 0), (1, 2, 4)))
    assert "nothing is left to test it by" in fit("usl", points).refused
    assert not fit("amdahl", points).refused


def test_four_points_say_how_little_they_test() -> None:
    """One degree of freedom."""
    told = scaling(measured(law(0.05, 0.02), (1, 2, 4, 8)), cores=64, cpu_bound=False).told
    assert "4 points leave 1 degree of freedom" in told


def test_a_single_run_of_each_is_refused() -> None:
    """Without repetitions there is no interval to tell."""
    found = fit("usl", points_of({n: [law(0.1, 0)(n)] for n in WORKERS}))
    assert "measured once" in found.refused


def test_throughput_that_does_not_change_says_where_to_look() -> None:
    """No model of workers explains what something else limits."""
    told = scaling(measured(lambda _: 20.0), cores=64, cpu_bound=False).told
    assert "something else limits it" in told


def test_points_all_over_the_place_are_refused_by_r2() -> None:
    """No curve goes through them."""
    found = fit("usl", points_of({1: [10, 10.1], 2: [40, 40.1], 4: [15, 15.1], 8: [50, 50.1]}))
    assert found.refused.startswith("R² is")
    assert (found.peak, found.next_worker) == (None, None)


def test_three_repetitions_that_agree_do_not_outweigh_the_rest() -> None:
    """Their own variance is half of what a point counts by; the other half is that of all."""
    points = points_of({1: [10, 10, 10], 2: [18, 20, 22], 4: [36, 40, 44]})
    relative = points.error / points.c
    assert 0.4 < relative[0] / relative[1] < 1
    assert points.freedom == 6


@pytest.mark.parametrize("bad", [{}, {1: []}, {1: [1.0], 2: [0.0]}])
def test_workers_without_throughput_are_refused(bad: dict[int, list[float]]) -> None:
    """Nothing can be said of what was not measured."""
    with pytest.raises(ValueError, match="throughput above 0"):
        points_of(bad)


def test_the_band_holds_the_curve() -> None:
    """Low, value, high, from one worker on."""
    band = usl(law(0.05, 0.01)).band
    assert (band[0][0], band[-1][0]) == (1, 17)
    assert all(low <= value * 1.001 and value <= high * 1.001 for _, low, value, high in band)
    assert all(math.isfinite(number) for row in band for number in row)
