"""The result of an experiment, as it is in the report under ``load``: one entry for each, all plain JSON.

Milliseconds end in ``_ms``, seconds in ``_s``; rates are arrivals a second. Null means unknown.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Experiment = Literal["latency", "capacity", "scaling", "soak", "overload"]
Verdict = Literal["pass", "fail", "inconclusive"]

QUANTILES = ("p50", "p90", "p99", "p999", "max")
STAGES = ("accepted", "queue", "execution", "judged", "total")


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval at ``confidence``; ``low`` and ``high`` None: unknown."""

    value: float
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True)
class Stage:
    """Latency of one stage in ms: quantiles, mean, count, and the histogram (HDR, V2 compressed, base64).

    ``curve`` are points (quantile, ms) for the picture on a log scale, from 0 to 1 - 1/count.
    """

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    hdr: str = ""
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Second:
    """One second of a run, ``t`` seconds after its start: counts within it, quantiles in ms or None."""

    t: float
    due: int
    sent: int
    accepted: int
    ended: int
    errors: int
    in_flight: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class NodeSeries:
    """The resource use of one node, at the same ``t`` (seconds since the run's start) for each list.

    ``cpu`` in cores (``cores`` is how many it has), ``memory_mb`` in use. ``node`` may be a database's name.
    ``source`` says where CPU times come from, ``parts`` is the CPU of each service's containers, ``steal``
    what a hypervisor took, in cores (empty: unknown).
    """

    node: str
    role: str
    cores: float
    t: tuple[float, ...]
    cpu: tuple[float, ...]
    memory_mb: tuple[float, ...]
    source: str = ""
    parts: dict[str, tuple[float, ...]] = field(default_factory=dict)
    steal: tuple[float, ...] = ()


@dataclass(frozen=True)
class QueueSeries:
    """Judge0's queue: how many wait, how many are being worked on, how many workers there are."""

    t: tuple[float, ...]
    waiting: tuple[int, ...]
    working: tuple[int, ...]
    workers: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """One run of the generator, warm-up left out of everything but ``series``.

    ``offered`` and ``achieved`` are rates; ``errors`` counts by outcome's name; ``late_p99_ms`` is the
    generator's lateness. ``doubts`` say why the run is inconclusive, in words; empty: it is valid.
    """

    label: str
    began: str  # UTC, ISO 8601
    seconds: float
    warmup_s: float
    offered: float
    achieved: float
    workers: int | None
    arrivals: int
    errors: dict[str, int]
    late_p99_ms: float
    stages: dict[str, Stage]
    series: tuple[Second, ...] = ()
    nodes: tuple[NodeSeries, ...] = ()
    queue: QueueSeries | None = None
    bottleneck: dict[str, Any] = field(default_factory=dict)  # {"what", "why", "evidence": {...}}
    doubts: tuple[str, ...] = ()
    partial: str = ""
    said: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """A model of throughput against workers. ``refused`` says why it is not used, or is empty.

    ``band`` are points (workers, low, value, high). ``peak_workers`` and ``peak`` are None if the model
    has none or it is unknown. ``next_worker`` is what one more worker would add, a second.
    """

    model: Literal["amdahl", "usl", "linear"]
    parameters: dict[str, Interval]
    r2: float
    band: tuple[tuple[float, float, float, float], ...] = ()
    peak_workers: float | None = None
    peak: float | None = None
    next_worker: Interval | None = None
    refused: str = ""


@dataclass(frozen=True)
class Scaling:
    """Throughput at each number of workers, and what was fitted to it."""

    points: tuple[tuple[int, Interval], ...]
    fits: tuple[Fit, ...]
    cores: int
    told: str  # the finding in a sentence or two


@dataclass(frozen=True)
class Capacity:
    """The highest rate that meets the objective: what held at ``rate`` and what did not at ``over``."""

    rate: Interval
    over: float | None
    objective: str
    told: str
    steps: tuple[dict[str, Any], ...] = ()  # {"rate", "held": bool|None, "why"}


@dataclass(frozen=True)
class Overload:
    """Beyond capacity: the text of refusals, the latency of accepted submissions, and the recovery."""

    offered: float
    accepted: float
    refused: float
    refusal: str  # the text of the refusal, or empty
    baseline_p95_ms: float
    accepted_p95_ms: float
    bound_ms: float
    recovered_s: float | None
    told: str


@dataclass(frozen=True)
class ExperimentResult:
    """One experiment."""

    experiment: Experiment
    verdict: Verdict
    told: str  # in one sentence: the answer
    began: str
    seconds: float
    workload: dict[str, Any]  # name, seed, programs: [{name, language, weight}]
    route: dict[str, Any]  # door, way, why, and `facing`: what was detected
    objective: dict[str, Any]  # e.g. {"p95_ms": 2000, "errors": 0}
    environment: dict[str, Any]  # kernel, cores, versions, limits, noise
    throughput: Interval | None = None
    latency: dict[str, Interval] = field(default_factory=dict)  # p50_ms, p95_ms, p99_ms of total, with CIs
    samples: dict[str, tuple[float, ...]] = field(default_factory=dict)  # per repetition: rate, p50_ms, ...
    runs: tuple[Run, ...] = ()
    scaling: Scaling | None = None
    capacity: Capacity | None = None
    overload: Overload | None = None
    doubts: tuple[str, ...] = ()
    partial: str = ""

    def document(self) -> dict[str, Any]:
        """As plain JSON: infinity and NaN are null."""
        document: dict[str, Any] = _plain(asdict(self))
        return document


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
