"""The experiments, on a deployment that is only a queue."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.core.errors import UsageError
from harness.load.experiments.bench import Bench
from harness.load.experiments.capacity import Search, capacity
from harness.load.experiments.found import ExperimentResult
from harness.load.experiments.latency import Latency, latency
from harness.load.experiments.measure import Plan, generator_doubts, measure
from harness.load.experiments.overload import Overloading, overload
from harness.load.experiments.repeat import Repetition
from harness.load.experiments.scaling import Scale, scaling
from harness.load.experiments.soak import Soak, creeps, soak, trend
from harness.load.model import Order
from harness.load.result import NodeSeries
from harness.load.schedule import poisson
from harness.load.watch.watching import Observed
from tests.unit.load.simulated import ROUTE, WORKLOAD, Queue, bench

EXPERIMENTS: dict[str, Callable[[Bench], ExperimentResult]] = {
    "latency": lambda on: latency(on, Latency(rate=5, seconds=20)),
    "capacity": lambda on: capacity(on, Search(first=5, seconds=20)),
    "scaling": lambda on: scaling(on, Scale(workers=(1, 2), seconds=10)),
    "soak": lambda on: soak(on, Soak(rate=5, seconds=100)),
    "overload": lambda on: overload(replace(on, queue_limit=100), Overloading()),
}


def test_latency_meets_its_objective() -> None:
    """Far below capacity, with a limit far above what is seen: it passes, and says what it saw."""
    found = latency(bench(Queue(workers=4)), Latency(rate=10, seconds=60, objective={"p95_ms": 2000}))
    assert (found.verdict, found.doubts) == ("pass", ())
    assert 200 < found.latency["p95_ms"].value < 500
    assert found.throughput is not None
    assert found.throughput.value == pytest.approx(10, rel=0.15)


def test_latency_beyond_its_objective_fails() -> None:
    """The limit lies below the whole interval."""
    found = latency(bench(Queue(workers=4)), Latency(rate=10, seconds=60, objective={"p95_ms": 100}))
    assert found.verdict == "fail"
    assert "the limit is 100" in found.told


def test_limit_inside_the_interval_is_inconclusive() -> None:
    """Nobody can tell on which side of the limit the truth lies."""
    rough = Latency(rate=10, seconds=30, repetition=Repetition(3, 3, 0.9))
    value = latency(bench(Queue(workers=4)), rough).latency["p95_ms"].value
    found = latency(bench(Queue(workers=4)), replace(rough, objective={"p95_ms": value}))
    assert found.verdict == "inconclusive"


@pytest.mark.parametrize("limit", [5000.0, 1.0], ids=["far-within", "far-beyond"])
def test_one_run_of_few_arrivals_meets_no_limit_and_misses_none(limit: float) -> None:
    """There is no interval yet, and it is said in these words."""
    once = Latency(rate=2, seconds=20, objective={"p95_ms": limit}, repetition=Repetition(1, 1))
    found = latency(bench(Queue(workers=4)), once)
    assert found.verdict == "inconclusive"
    assert "one run so far: an interval takes at least 2" in found.told
    assert "one run so far" in found.doubts[-1]


def test_what_was_offered_is_what_was_due_and_not_the_rate_of_the_plan() -> None:
    """A short schedule may have half the arrivals that its rate says: all 28 of 28 were served."""
    seconds = tuple(float(second) for second in range(31))
    idle = NodeSeries("runner", "runner", 4.0, seconds, (0.1,) * 31, (100.0,) * 31)
    seen = SimpleNamespace(collect=lambda _began: Observed((idle,), None, None, ()))
    watched = replace(bench(Queue(workers=4)), watch=lambda: nullcontext(seen))
    run = measure(watched, Plan("few", poisson(1, 30, 1), rate=2.0)).run
    assert (run.arrivals, run.offered, run.errors) == (28, 2.0, {})
    assert run.bottleneck["what"] == "none", run.bottleneck
    nothing = measure(watched, Plan("none", poisson(1, 30, 1)[:0], rate=2.0)).run
    assert (nothing.arrivals, nothing.bottleneck["what"]) == (0, "unknown"), nothing.bottleneck


def test_wrong_answers_fail_whatever_the_latency() -> None:
    """A wrong answer is an error, not a fast success."""
    found = latency(bench(Queue(workers=4, wrong=0.02)), Latency(rate=20, seconds=60))
    assert found.verdict == "fail"
    assert "failed, the limit is" in found.told


def test_runs_are_repeated_until_the_interval_is_narrow() -> None:
    """A wider tolerance takes fewer runs; one that is never met ends in doubt."""
    wide, narrow = Repetition(2, 12, 0.5), Repetition(2, 4, 0.001)
    quick = latency(bench(Queue(workers=4)), Latency(rate=20, seconds=30, repetition=wide))
    slow = latency(bench(Queue(workers=4)), Latency(rate=20, seconds=30, repetition=narrow))
    assert len(quick.runs) < len(slow.runs) == 4
    assert slow.verdict == "inconclusive"
    assert "not known to" in slow.doubts[-1]


def test_each_run_has_other_arrivals_and_the_seed_repeats_them() -> None:
    """Repetitions are independent; the same seed gives the same series."""
    one, other = Queue(workers=4), Queue(workers=4)
    for queue in (one, other):
        latency(bench(queue), Latency(rate=20, seconds=10, repetition=Repetition(2, 2)))
    first, second = (order.arrivals.tolist() for order in one.orders)
    assert first != second
    assert [order.arrivals.tolist() for order in other.orders] == [first, second]


def test_stopped_measurement_is_partial() -> None:
    """What was measured until then is told, and never as a pass."""
    stopped = bench(Queue(workers=4))
    stopped.stop.set()
    found = latency(stopped, Latency(rate=10, seconds=30))
    assert (found.verdict, found.partial, len(found.runs)) == ("inconclusive", "stopped", 1)


@pytest.mark.parametrize("experiment", ["latency", "capacity", "scaling", "soak", "overload"])
def test_what_is_stopped_before_anything_was_due_says_so(experiment: str) -> None:
    """Nothing was measured: that is no error of ours, and no result."""
    queue = Queue(workers=2)
    queue.stopped_at_once = True
    stopped = bench(queue)
    stopped.stop.set()
    found = EXPERIMENTS[experiment](stopped)
    assert found.verdict == "inconclusive"
    assert found.partial


def test_capacity_of_a_queue_is_found() -> None:
    """Four slots of 100 ms serve 40 a second; below that p95 meets a second, beyond it never."""
    found = capacity(bench(Queue(workers=4)), Search(first=10, seconds=120, objective={"p95_ms": 1000}))
    assert found.capacity is not None
    assert 28 < found.capacity.rate.value < 42
    assert found.capacity.over is not None
    assert found.capacity.over > found.capacity.rate.value


def test_search_needs_one_objective() -> None:
    """Two limits would be two searches."""
    with pytest.raises(UsageError, match="one objective"):
        capacity(bench(Queue()), Search(objective={"p95_ms": 1.0, "p99_ms": 2.0}))


def test_scaling_measures_each_number_and_puts_workers_back() -> None:
    """Throughput grows with the workers, and there are as many as before afterwards."""
    queue = Queue(workers=2)
    found = scaling(bench(queue), Scale(workers=(1, 2, 4, 8), seconds=60))
    assert queue.scaled == [1, 2, 4, 8, 2]
    assert found.scaling is not None
    measured = [value.value for _, value in found.scaling.points]
    assert measured == sorted(measured)
    assert measured[-1] == pytest.approx(8 * measured[0], rel=0.2)


def test_scaling_beyond_the_cores_predicts_no_peak() -> None:
    """Past two cores more workers bring nothing: that is no shape of the law, and it is said so."""
    found = scaling(bench(Queue(workers=2, cores=2)), Scale(workers=(1, 2, 4, 8), seconds=60))
    assert found.scaling is not None
    assert all(fit.peak is None for fit in found.scaling.fits)
    assert any(fit.refused for fit in found.scaling.fits)


def test_workers_that_cannot_be_scaled_are_reported() -> None:
    """Before anything is measured."""
    queue = Queue()
    with pytest.raises(UsageError, match="cannot be scaled"):
        scaling(replace(bench(queue), scale=None), Scale())
    assert queue.orders == []


def test_steady_soak_creeps_nowhere() -> None:
    """Half of what it could serve, for long."""
    found = soak(bench(Queue(workers=4)), Soak(rate=10, seconds=600))
    assert found.verdict == "pass"
    assert "nothing crept" in found.told


def test_soak_beyond_capacity_creeps() -> None:
    """A little more than can be served: each minute is slower than the one before."""
    found = soak(bench(Queue(workers=4)), Soak(rate=44, seconds=600))
    assert found.verdict == "fail"
    assert "latency crept up" in found.told


def test_a_soak_too_short_to_decide_decides_nothing() -> None:
    """In a few seconds any wave looks like growth: ctrl-C soon after the start made such a run fail."""
    found = soak(bench(Queue(workers=4)), Soak(rate=44, seconds=50, warmup=5))
    assert found.verdict == "inconclusive"
    assert "too short to decide whether anything grows" in found.doubts
    assert "crept" not in found.told


def test_trend_needs_enough_windows() -> None:
    """Seven values carry none; eight that grow do."""
    assert trend([1.0, 2, 3, 4, 5, 6, 7]) is None
    grown = trend([float(value) for value in range(1, 13)])
    assert grown is not None
    assert grown.change == pytest.approx(11)


@pytest.mark.parametrize("experiment", ["latency", "capacity", "scaling", "soak"])
def test_what_was_found_is_plain_json(experiment: str) -> None:
    """The report's reader needs no Python."""
    document = EXPERIMENTS[experiment](bench(Queue())).document()
    assert json.loads(json.dumps(document, allow_nan=False))["experiment"] == experiment


def test_creeping_memory_is_named() -> None:
    """The node whose memory grows, and by how much."""
    measured = measure(bench(Queue(workers=4)), Plan("soak", poisson(10, 300, 1)))
    t = tuple(float(second) for second in range(300))
    growing = NodeSeries("worker-1", "judge0-worker", 1.0, t, (0.1,) * 300, tuple(100 + at for at in t))
    calm = NodeSeries("worker-2", "judge0-worker", 1.0, t, (0.1,) * 300, (100.0,) * 300)
    told = list(creeps(replace(measured, run=replace(measured.run, nodes=(growing, calm)))))
    assert len(told) == 1
    assert "memory of worker-1 crept up" in told[0]


def test_overload_is_refused_bounded_and_recovers() -> None:
    """A queue with a limit: what is beyond it is refused, and soon after the load all is as before."""
    queue = Queue(workers=4, limit=100)
    found = overload(replace(bench(queue), queue_limit=100), Overloading(seconds=30))
    assert found.verdict == "pass"
    assert found.overload is not None
    assert found.overload.refused > 0.3
    assert found.overload.recovered_s is not None


def test_overload_without_a_limit_is_not_bounded() -> None:
    """A queue that takes everything makes everybody wait, and for long after."""
    queue = Queue(workers=4)
    found = overload(replace(bench(queue), queue_limit=100), Overloading(seconds=60))
    assert found.verdict == "fail"
    assert "the bound" in found.told


def test_overload_needs_a_rate_beyond_capacity() -> None:
    """Forty a second are served; ten are no overload."""
    with pytest.raises(UsageError, match="not beyond capacity"):
        overload(replace(bench(Queue(workers=4)), queue_limit=100), Overloading(rate=10))


def test_overload_needs_a_limit_to_be_held_to() -> None:
    """A Judge0 that tells none cannot be judged."""
    with pytest.raises(UsageError, match="max_queue_size"):
        overload(bench(Queue()), Overloading())


def test_generator_that_was_late_is_doubted() -> None:
    """Arrivals that began late say nothing of the deployment, and a lack of connections is told as such."""
    recording = Queue(workers=4).generate(Order(ROUTE, WORKLOAD, poisson(20, 10, 1)))
    assert generator_doubts(recording, recording.samples, late=0.2) == []
    assert "late itself" in generator_doubts(recording, recording.samples, late=500.0)[0]
    starved = replace(recording, starved=len(recording.samples), peak_connections=4)
    assert "all 4 were in use" in generator_doubts(starved, starved.samples, late=500.0)[0]
