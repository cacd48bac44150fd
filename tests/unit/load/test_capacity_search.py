"""The search for the capacity as a whole: queues whose limit is known, and how long it takes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
from stats_rig import Array, queue, samples_of

from harness.load.experiments.capacity import Search, capacity, drain_of
from harness.load.result import Interval
from harness.load.stats import knee, stages
from harness.load.stats.interval import effective_size
from tests.unit.load.simulated import Queue, bench

SECONDS, WARMUP = 20.0, 2.0
AIM = knee.Aim(objective_ms=1000, start=10)


@dataclasses.dataclass(frozen=True)
class Model:
    """A deployment with so many slots of 1/``rate`` s; exponential (M/M/c), or about the same each (D/D/c).

    ``truth`` is the rate at which every other run of 20 s meets ``objective_ms``, by 100 runs each at rates
    that were halved between (to 0.2 %).
    """

    slots: int
    rate: float
    objective_ms: float
    exponential: bool
    truth: float

    def run(self, rng: np.random.Generator, rate: float) -> tuple[knee.Trial, float]:
        """One run, and how long what was under way took to end."""
        count = round(rate * SECONDS)
        arrivals = np.sort(rng.uniform(0, SECONDS, count))
        latency = queue(arrivals, self.services(rng, count), self.slots)
        rows = samples_of(arrivals, latency * 1000)
        first, last = int(WARMUP * 1e9), int(arrivals[-1] * 1e9)
        kept, rates = stages.steady(rows, first, last), stages.rates(rows, first, last)
        beyond = stages.latencies(kept) > self.objective_ms
        trial = knee.Trial(
            rate,
            rates.offered,
            rates.achieved,
            len(kept),
            stages.quantile_of_run(kept, 0.95),
            beyond=float(beyond.mean()),
            size=effective_size(beyond),
        )
        return trial, max(float((arrivals + latency).max()) - SECONDS, 0.0)

    def services(self, rng: np.random.Generator, count: int) -> Array:
        """How long each program runs."""
        mean = 1 / self.rate
        return rng.exponential(mean, count) if self.exponential else rng.normal(mean, mean / 10, count)

    def search(self, seed: int) -> tuple[knee.Search, float]:
        """As the experiment searches, and for how many seconds by the schedule's arithmetic."""
        rng = np.random.default_rng(seed)
        served = self.slots * self.rate * rng.normal(1, 0.03)
        aim = knee.Aim(self.objective_ms, 0.95 * served, resolution=0.1, factor=1.1)
        search, spent = knee.Search(aim), 8.0
        while spent + SECONDS + 2 <= 8.75 * SECONDS:
            rate = knee.next_rate(search) or knee.once_more(search)
            if rate is None:
                break
            trial, drained = self.run(rng, rate)
            search, spent = search.after(trial), spent + SECONDS + drained + 2
        return search, spent


MODELS = {
    "mmc": Model(8, 8.4, 2000, exponential=True, truth=69.9),
    "mmc-strict": Model(8, 8.4, 500, exponential=True, truth=62.3),
    "ddc": Model(8, 8.4, 2000, exponential=False, truth=69.9),
    "ddc-strict": Model(8, 8.4, 300, exponential=False, truth=62.3),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_true_limit_is_within_the_interval(model: Model) -> None:
    """In 95 of 100 searches, none of which takes three minutes."""
    right, widths = [], []
    for seed in range(40):
        search, spent = model.search(seed)
        found = knee.capacity(search).rate
        assert spent < 180
        assert found.low is not None
        high = math.inf if found.high is None else found.high
        right.append(found.low <= model.truth <= high)
        widths.append(high / max(found.low, 0.1) - 1)
    assert sum(right) >= 38
    assert np.median(widths) < 0.26


def test_the_experiment_takes_less_than_three_minutes() -> None:
    """By its runs' own time, closed loop and draining included; four slots of 100 ms serve 40 a second."""
    queue_ = Queue(workers=4)
    found = capacity(bench(queue_), Search(objective={"p95_ms": 1000}))
    assert sum(run.seconds for run in found.runs) < 180
    assert (queue_.orders[0].loop, queue_.orders[0].seconds) == ("closed", 6.0)
    assert found.capacity is not None
    assert 30 < found.capacity.rate.value < 44
    assert found.capacity.over is not None
    assert (found.verdict, len(found.runs)) == ("pass", len(found.capacity.steps) + 1)


def test_no_chance_is_in_how_many_arrive() -> None:
    """Rates that lie close to each other are told apart by that."""
    queue_ = Queue(workers=4)
    capacity(bench(queue_), Search(first=20, objective={"p95_ms": 1000}, within=45))
    assert [len(order.arrivals) for order in queue_.orders][:1] == [400]


def test_a_search_that_ends_early_says_so() -> None:
    """Two runs know nothing of the end; one more would take longer than was allowed."""
    found = capacity(bench(Queue(workers=4)), Search(first=10, within=45))
    assert len(found.runs) == 2
    assert "ended after 45 s, not yet known to 10%: use a longer --within" in found.told
    assert found.verdict == "inconclusive"


def test_nothing_served_begins_low() -> None:
    """A deployment that answers nothing right has no rate to begin near."""
    found = capacity(bench(Queue(workers=4, wrong=1.0)), Search())
    assert found.verdict == "fail"
    assert found.capacity is not None
    assert found.capacity.steps[0]["rate"] == 5.0


def test_draining_is_bounded_by_the_objective() -> None:
    """Several times of what a program may take, and no longer than is allowed at all."""
    assert drain_of(Search(objective={"p95_ms": 1000}), 60) == 10
    assert drain_of(Search(objective={"p95_ms": 8000, "errors": 0.1}), 60) == 24
    assert drain_of(Search(objective={"p99_ms": 60_000}), 60) == 60


def test_a_stopped_search_measures_nothing_more() -> None:
    """What the closed loop saw is kept."""
    stopped = bench(Queue(workers=4))
    stopped.stop.set()
    found = capacity(stopped, Search())
    assert (len(found.runs), found.partial, found.verdict) == (1, "stopped", "inconclusive")


def few(rate: float, p95: float, arrivals: int = 40) -> knee.Trial:
    """A run of too few arrivals for an interval."""
    return knee.Trial(rate, rate, rate, arrivals, Interval(p95), size=float(arrivals))


def test_one_run_without_an_interval_is_reported_as_such() -> None:
    """Far within the objective, and yet nobody can tell from 40 arrivals; two such runs will do."""
    search = knee.Search(AIM, (few(5, 81),))
    assert knee.held(search, 5) is None
    assert knee.so_far(search) == (
        "one run so far: p95 81 ms: 40 arrivals are too few to compare it with 1000 ms; "
        "an interval takes 2 such runs at least"
    )
    assert knee.capacity(search).steps[0]["why"] == knee.so_far(search)
    search = search.after(few(5, 83))
    assert knee.held(search, 5) is True
    assert "so far" not in knee.so_far(search)


def test_a_limit_inside_the_interval_is_reported_as_that() -> None:
    """One run, whose interval there is, is near the limit."""
    near = replace(few(15, 990, 400), latency=Interval(990, 940, 1040), beyond=0.045)
    told = "p95 990 ms (940 to 1040 ms): the objective of 1000 ms is inside the interval"
    assert knee.so_far(knee.Search(AIM, (near,))) == f"one run so far: {told}"
    assert knee.so_far(knee.Search(AIM, (near, near))) == (
        f"{told}; 2 runs so far at this rate do not decide it"
    )


def test_far_within_is_reported_by_one_run() -> None:
    """None of 90 arrivals was beyond the objective: no neighbour's resemblance makes that less."""
    assert knee.held(knee.Search(AIM, (few(5, 81, 90),)), 5) is True


def test_the_line_needs_runs_that_fall() -> None:
    """Too few, all at one rate, or no slope: no interval from them."""
    fast, slow = few(10, 500, 90), few(12, 2000, 90)
    assert knee.crossing(knee.Search(AIM, (fast, slow))) is None
    assert knee.crossing(knee.Search(AIM, (fast,) * 5)) is None
    rising = tuple(few(rate, 2000 - 50 * rate, 90) for rate in (10, 11, 12, 13, 14))
    assert knee.crossing(knee.Search(AIM, rising)) is None
    falling = tuple(few(rate, 1000 * rate / 12, 90) for rate in (10.0, 11.0, 13.0, 14.5))
    low, high = knee.crossing(knee.Search(AIM, falling)) or (0.0, 0.0)
    assert 11.4 < low < 12 < high < 12.6
