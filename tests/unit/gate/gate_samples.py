"""Reports with a load in them, as `wavetank bench` writes them, and topologies with objectives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.gate.environment import topology_sha256
from harness.load.result import ExperimentResult, Interval, Run, Stage
from harness.load.stats.interval import t_interval
from harness.run.report import SCHEMA
from harness.run.settings import PROJECT
from harness.topology import load
from harness.topology.model import Objectives, Topology

STANDARD = PROJECT / "topologies" / "standard.yaml"
OBJECTIVES = Objectives("hello", 4.0, 2000.0, 4000.0, 0.0, 3.0, 0.1)

# One value for each of five repetitions.
STEADY = (800.0, 805.0, 795.0, 810.0, 790.0)
SAME = (803.0, 798.0, 801.0, 808.0, 793.0)
SLOWER = (1010.0, 1015.0, 1005.0, 1030.0, 990.0)
FASTER = (510.0, 515.0, 505.0, 530.0, 490.0)
WILD = (600.0, 1000.0, 790.0, 950.0, 700.0)
RATE = (3.9, 3.92, 3.88, 3.91, 3.89)
NONE = (0.0, 0.0, 0.0, 0.0, 0.0)

ENVIRONMENT = {"kernel": "6.1.0", "cores": 2, "memory_mb": 4096, "engine": "27.0"}
PASSED = {"id": "gates.x", "outcome": "passed", "reason": "", "seconds": 0.1, "evidence": ""}


@cache
def _standard() -> Topology:
    return load(STANDARD)


@cache
def hash_of(file: Path) -> str:
    """``topology_sha256``, once for each file: reading YAML is most of a test's time."""
    return topology_sha256(file)


def standard(objectives: Objectives | None = OBJECTIVES) -> Topology:
    """The standard topology with these objectives."""
    return replace(_standard(), objectives=objectives)


def run(number: int, wrong: int = 0, **changed: Any) -> Run:
    """One repetition with 100 arrivals, of which ``wrong`` were refused."""
    stage = Stage(100 - wrong, 700.0, 700.0, 780.0, 900.0, 950.0, 960.0, hdr=f"hdr-{number}")
    made = Run(
        label=f"4/s, {number}",
        began="2026-01-02T03:04:05.000+00:00",
        seconds=30.0,
        warmup_s=2.0,
        offered=4.0,
        achieved=3.9,
        workers=2,
        arrivals=100,
        errors={"refused": wrong} if wrong else {},
        late_p99_ms=0.1,
        stages={"total": stage},
    )
    return replace(made, **changed)


def found(p95: Sequence[float] = STEADY, wrong: int = 0, **changed: Any) -> ExperimentResult:
    """Latency at 4/s whose p95 was this in each repetition."""
    samples = {
        "throughput": RATE,
        "p50_ms": tuple(each / 2 for each in p95),
        "p95_ms": tuple(p95),
        "p99_ms": tuple(each * 1.5 for each in p95),
        "error_share": tuple(wrong / 100 for _ in p95),
    }
    made = ExperimentResult(
        experiment="latency",
        verdict="pass",
        told="p95 800 ms at 4/s",
        began="2026-01-02T03:04:05+00:00",
        seconds=160.0,
        workload={
            "name": "hello",
            "seed": 1,
            "programs": [{"name": "hello", "language": "python", "weight": 1}],
        },
        route={"door": "client", "way": "wait", "why": "it waits for workers"},
        objective={"rate": 4.0},
        environment=dict(ENVIRONMENT),
        throughput=t_interval(RATE),
        latency={name: t_interval(samples[name]) for name in ("p50_ms", "p95_ms", "p99_ms")},
        samples=samples,
        runs=tuple(run(number, wrong) for number in range(len(p95))),
    )
    return replace(made, **changed)


def report(*loads: ExperimentResult, **changed: Any) -> dict[str, Any]:
    """The report of a run whose checks passed, with these loads in it."""
    made = {
        "schema": SCHEMA,
        "run": "standard-7f3a",
        "target": "local",
        "topology": "standard",
        "verdict": "pass",
        "error": None,
        "droplets": [],
        "databases": [],
        "timings": {},
        "environment": dict(ENVIRONMENT),
        "checks": [PASSED],
        "load": [each.document() for each in loads],
    }
    return {**made, **changed}


def write(file: Path, document: Mapping[str, Any]) -> Path:
    """A document in a file."""
    file.write_text(json.dumps(document))
    return file


def interval(low: float, high: float) -> Interval:
    """From one to the other, with the value between."""
    return Interval((low + high) / 2, low, high)
