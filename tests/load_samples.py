"""What experiments find, one of each kind, as it stands in a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.load.result import (
    STAGES,
    Capacity,
    ExperimentResult,
    Fit,
    Interval,
    NodeSeries,
    Overload,
    QueueSeries,
    Run,
    Scaling,
    Second,
    Stage,
)

Values = npt.NDArray[np.float64]

BEGAN = "2026-11-25T16:04:11+00:00"
MEDIANS = {"accepted": 2.4, "queue": 4.1, "execution": 31.0, "judged": 48.0, "total": 55.0}
ROLES = {
    "client": ("client",),
    "runner": ("runner",),
    "judge0-lb": ("judge0-lb",),
    "judge0-server": ("server-1", "server-2"),
    "judge0-worker": ("worker-1", "worker-2"),
    "database": ("postgres", "valkey"),
}
SHARES = {"judge0-worker": 0.72, "judge0-server": 0.16, "judge0-lb": 0.04, "database": 0.08}
WORKLOAD: Mapping[str, Any] = {
    "name": "mixed",
    "seed": 1,
    "programs": [
        {"name": "hello", "language": "python", "weight": 6.0},
        {"name": "sum", "language": "c", "weight": 2.0},
        {"name": "loop", "language": "javascript", "weight": 2.0},
    ],
}
ROUTE: Mapping[str, Any] = {
    "door": "judge0",
    "way": "batch",
    "why": "with Judge0 1.13.1 wait=true bypasses the queue, and what one submission answers is cached",
    "facing": {"version": "1.13.1", "wait_bypasses_queue": True, "queue_limit": 100, "batch_limit": 20},
}
ENVIRONMENT: Mapping[str, Any] = {
    "kernel": "6.18.5",
    "cores": 2,
    "memory_mb": 24000,
    "versions": {"docker": "20.10.24", "judge0": "1.13.1", "wavetank": "0.1.0"},
    "limits": {"nofile": 1048576, "connections": 256},
    "noise": {"stolen_percent": 0.4, "timer_p99_ms": 0.06},
}
OBJECTIVE: Mapping[str, Any] = {"p95_ms": 400.0, "errors": 0}


def stage(values: Values) -> Stage:
    """Latencies in ms, with a point for each tenth of a nine."""
    ends = 1 - 10.0 ** -np.arange(0, np.log10(values.size) + 0.01, 0.1)
    told = [float(each) for each in np.quantile(values, [0.5, 0.9, 0.99, 0.999, 1])]
    curve = tuple((float(end), float(ms)) for end, ms in zip(ends, np.quantile(values, ends), strict=True))
    return Stage(int(values.size), float(values.mean()), *told, hdr="", curve=curve)


def stages(rng: np.random.Generator, count: int, slowness: float = 1.0) -> dict[str, Stage]:
    """All stages of so many submissions, with a long tail."""
    return {
        name: stage(slowness * MEDIANS[name] * rng.lognormal(0, 0.35, count) * (1 + rng.pareto(4.0, count)))
        for name in STAGES
    }


def nodes(rng: np.random.Generator, seconds: int, load: Values) -> tuple[NodeSeries, ...]:
    """CPU and memory of every node under a load that is a share of capacity."""
    t = tuple(float(each) for each in range(seconds))
    return tuple(
        NodeSeries(
            node, role, 2.0, t,
            cpu=tuple((SHARES.get(role, 0.01) * 2 * load * rng.uniform(0.9, 1.1, seconds)).round(3).tolist()),
            memory_mb=tuple(np.round(180 + 4 * np.sqrt(np.arange(seconds)), 1).tolist()),
            source="cgroup",
            parts={role: tuple((0.5 * load).round(3).tolist())} if role.startswith("judge0") else {},
            steal=(0.02,) * seconds,
        )
        for role, names in ROLES.items()
        for node in names
    )  # fmt: skip


def queue(seconds: int, load: Values, workers: int) -> QueueSeries:
    """A queue that grows where the load is more than the workers take."""
    waiting = np.maximum(np.cumsum((load - 1) * 30), 0) + 3 * load
    working = np.minimum(workers, np.ceil(workers * load))
    whole = [tuple(int(value) for value in each) for each in (waiting, working)]
    return QueueSeries(
        tuple(float(each) for each in range(seconds)), whole[0], whole[1], (workers,) * seconds
    )


def series(rng: np.random.Generator, rates: Values, limit: float, slow: float = 1.0) -> tuple[Second, ...]:
    """Seconds of a run: what is beyond ``limit`` a second is refused."""
    made = []
    for t, rate in enumerate(rates):
        due, ended = int(rng.poisson(rate)), int(min(rng.poisson(rate), limit))
        errors = max(0, int(due - limit))
        busy = min(rate / limit, 1.5)
        p50 = float(slow * 55 * (1 + 4 * busy**6) * rng.uniform(0.93, 1.07))
        p99 = p50 * float(rng.uniform(2.4, 3.6)) if ended else None
        made.append(Second(float(t), due, due, due - errors, ended, errors, int(busy * 9), p50, p99))
    return tuple(made)


def run(
    label: str, rate: float, *, seconds: int = 60, limit: float = 90.0, seed: int = 1, **more: Any
) -> Run:
    """One run at a constant rate, the first tenth of it warm-up."""
    rng = np.random.default_rng(seed)
    rates = more.pop("rates", np.full(seconds, rate))
    told = series(rng, rates, limit, more.pop("slow", 1.0))
    load = rates / limit
    refused = sum(each.errors for each in told)
    whole: dict[str, Any] = {
        "workers": 2,
        "errors": {"REFUSED": refused} if refused else {},
        "late_p99_ms": 0.046,
        "stages": stages(rng, int(rates.sum()), 1.0 + 2 * (rate > limit)),
        "series": told,
        "nodes": nodes(rng, seconds, load),
        "queue": queue(seconds, load, 2),
        "bottleneck": {
            "what": "worker CPU",
            "why": "worker-1 and worker-2 used 1.44 of 2 cores while the others were idle",
            "evidence": {"worker-1": 1.44, "queue": {"mean": 3.2, "most": 8}},
        },
        "said": {"REFUSED": ('503: {"error": "queue is full"}',)} if refused else {},
    }
    achieved = min(rate, limit) * 0.996
    return Run(
        label,
        BEGAN,
        float(seconds),
        seconds / 10,
        rate,
        achieved,
        arrivals=int(rates.sum()),
        **(whole | more),
    )


def found(experiment: str, told: str, runs: tuple[Run, ...], **more: Any) -> ExperimentResult:
    """What all experiments have in common."""
    given: dict[str, Any] = {
        "verdict": "pass", "workload": dict(WORKLOAD), "route": dict(ROUTE), "objective": dict(OBJECTIVE),
        "environment": dict(ENVIRONMENT),
    }  # fmt: skip
    return ExperimentResult(experiment, told=told, began=BEGAN, seconds=312.4, runs=runs, **(given | more))  # type: ignore[arg-type]


def latency() -> ExperimentResult:
    """Three repetitions at 50 a second."""
    runs = tuple(run(f"repetition {number}", 50.0, seed=number) for number in (1, 2, 3))
    return found(
        "latency",
        "At 50 submissions a second, 95 % were final within 131 ms (127 to 136 ms).",
        runs,
        throughput=Interval(49.9, 49.6, 50.2),
        latency={
            "p50_ms": Interval(60.1, 58.8, 61.4),
            "p95_ms": Interval(131.0, 127.0, 136.0),
            "p99_ms": Interval(212.0, 190.0, 241.0),
        },
        samples={"rate": (49.8, 49.9, 50.0), "p95_ms": (130.0, 131.0, 132.0)},
    )


def capacity() -> ExperimentResult:
    """A search that found 84 a second, with one step that nobody can judge."""
    tried = [(20.0, True), (30.0, True), (45.0, True), (67.5, True), (101.2, False), (84.4, True),
             (92.8, None), (88.6, False)]  # fmt: skip
    why = {True: "p95 212 ms, no errors", False: "p95 1,940 ms, more than 400 ms",
           None: "the generator sent 3.1 ms late"}  # fmt: skip
    steps = tuple({"rate": rate, "held": held, "why": why[held]} for rate, held in tried)
    runs = tuple(
        run(f"step {place}: {rate:g}/s", rate, seconds=30, seed=place)
        for place, (rate, _) in enumerate(tried, 1)
    )
    return found(
        "capacity",
        "It takes 84.4 submissions a second (82.1 to 86.9) with 95 % of them within 400 ms and no errors.",
        runs,
        throughput=Interval(84.4, 82.1, 86.9),
        capacity=Capacity(
            Interval(84.4, 82.1, 86.9), 88.6, "95 % within 400 ms, no errors",
            "84.4 a second held in three of three runs, 88.6 did not.", steps,
        ),
    )  # fmt: skip


def scaling() -> ExperimentResult:
    """Throughput at 1 to 8 workers on four cores: a fit that carries, two refused."""
    measured = {1: (24.1, 0.6), 2: (43.9, 1.1), 4: (62.4, 1.6), 8: (63.0, 2.4)}
    points = tuple(
        (n, Interval(value, value - spread, value + spread)) for n, (value, spread) in measured.items()
    )
    at = np.linspace(1, 8, 29)
    usl = 24.3 * at / (1 + 0.06 * (at - 1) + 0.03 * at * (at - 1))
    amdahl = 24.0 * at / (1 + 0.19 * (at - 1))
    fits = (
        Fit("usl", {"lambda": Interval(24.3, 23.1, 25.5), "sigma": Interval(0.06, 0.04, 0.08),
                    "kappa": Interval(0.03, 0.022, 0.038)}, 0.993, _band(at, usl, 0.05), 5.6, 65.1,
            Interval(10.6, 8.9, 12.3)),
        Fit("amdahl", {"lambda": Interval(24.0, 20.1, 27.9), "sigma": Interval(0.19, 0.05, 0.33)}, 0.914,
            _band(at, amdahl, 0.1), refused="R² is 0.914, less than 0.95: the points bend at the 4 cores"),
        Fit("linear", {}, 0.41, refused="there are 2 points up to the cores, and 3 are needed"),
    )  # fmt: skip
    told = "Two workers bring 43.9 a second on 4 cores; a third would bring 10.6 more (8.9 to 12.3)."
    runs = tuple(run(f"{n} workers", value, workers=n, seed=n) for n, (value, _) in measured.items())
    return found("scaling", told, runs, scaling=Scaling(points, fits, 4, told))


def _band(at: Values, values: Values, share: float) -> tuple[tuple[float, float, float, float], ...]:
    wide = share * (0.5 + at / 8)
    rows = np.stack([at, values * (1 - wide), values, values * (1 + wide)], axis=1)
    return tuple((float(n), float(low), float(value), float(high)) for n, low, value, high in rows)


def soak() -> ExperimentResult:
    """Twenty minutes, ended by hand, with a pause in the middle."""
    rates = np.full(1200, 40.0)
    rates[700:706] = 140.0
    one = run("soak", 40.0, seconds=1200, rates=rates, partial="ended by ctrl-C after 1,200 of 3,600 s")
    return found(
        "soak",
        "For 20 minutes 40 a second were taken; memory of worker-1 grew by 6 MB a minute.",
        (one,),
        verdict="inconclusive",
        doubts=("it was ended after a third of its time", "this machine lost 2.1 % of its time to others"),
        partial="ended by ctrl-C after 1,200 of 3,600 s",
    )


def overload() -> ExperimentResult:
    """Half again as much as it takes, for a minute, then calm."""
    rates = np.concatenate([np.full(20, 50.0), np.full(60, 160.0), np.full(40, 50.0)])
    one = run("beyond capacity", 160.0, seconds=120, rates=rates, limit=95.0)
    told = Overload(160.0, 93.1, 66.4, '503: {"error": "queue is full"}', 128.0, 1190.0, 1500.0, 3.4,
                    "66.4 a second were refused in words; 3.4 s later all was as before.")  # fmt: skip
    return found(
        "overload",
        "Beyond capacity it refuses clearly, what it accepts stays within 1,500 ms, it recovers in 3.4 s.",
        (run("before", 50.0, seconds=30), one),
        verdict="fail",
        overload=told,
    )


SAMPLES = {each.__name__: each for each in (latency, capacity, scaling, soak, overload)}


def documents() -> list[dict[str, Any]]:
    """All of them as they are read from ``report.json``."""
    made: list[dict[str, Any]] = json.loads(json.dumps([make().document() for make in SAMPLES.values()]))
    return made
