"""Samples and queues that play what a deployment would do, with answers that are known."""

from __future__ import annotations

import heapq
import math

import numpy as np
import numpy.typing as npt

from harness.judge0.model import NEVER
from harness.load.model import SAMPLE, SECOND, Outcome, Samples

Array = npt.NDArray[np.float64]


def samples_of(intended_s: Array, latency_ms: Array, outcome: Outcome = Outcome.OK) -> Samples:
    """One row for each arrival, all with the same outcome; Judge0 told of no durations."""
    rows = np.zeros(len(intended_s), dtype=SAMPLE)
    rows["intended"] = np.rint(intended_s * SECOND)
    rows["sent"] = rows["intended"]
    rows["accepted"] = rows["ended"] = rows["intended"] + np.rint(latency_ms * 1e6).astype(np.int64)
    rows["outcome"] = outcome
    for name in ("queued_us", "ran_us", "judged_us"):
        rows[name] = NEVER
    return rows


def poisson(random: np.random.Generator, rate: float, count: int) -> Array:
    """When ``count`` arrivals come, in seconds."""
    return np.asarray(np.cumsum(random.exponential(1 / rate, count)))


def queue(arrivals: Array, services: Array, servers: int) -> Array:
    """How long each is in a queue with so many servers, first come first served: wait and service, in s."""
    free = [0.0] * servers
    ends = np.empty(len(arrivals))
    for i, (arrival, service) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        ends[i] = max(arrival, free[0]) + service
        heapq.heapreplace(free, ends[i])
    return ends - arrivals


def mmc(random: np.random.Generator, rate: float, service_rate: float, servers: int, count: int) -> Samples:
    """A run against M/M/c that began empty."""
    arrivals = poisson(random, rate, count)
    services = random.exponential(1 / service_rate, count)
    return samples_of(arrivals, queue(arrivals, services, servers) * 1000)


def mdc(random: np.random.Generator, rate: float, service_rate: float, servers: int, count: int) -> Samples:
    """A run against M/D/c that began empty."""
    arrivals = poisson(random, rate, count)
    return samples_of(arrivals, queue(arrivals, np.full(count, 1 / service_rate), servers) * 1000)


def erlang_c(rate: float, service_rate: float, servers: int) -> float:
    """The share that has to wait in M/M/c (Erlang 1917)."""
    load = rate / service_rate
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def mmc_mean_s(rate: float, service_rate: float, servers: int) -> float:
    """The mean time in M/M/c."""
    return erlang_c(rate, service_rate, servers) / (servers * service_rate - rate) + 1 / service_rate


def mmc_beyond(t: float, rate: float, service_rate: float, servers: int) -> float:
    """The share that is longer than ``t`` seconds in M/M/c."""
    waits, slack = erlang_c(rate, service_rate, servers), servers * service_rate - rate
    alone = math.exp(-service_rate * t)
    both = service_rate * (alone - math.exp(-slack * t)) / (slack - service_rate)
    return (1 - waits) * alone + waits * (math.exp(-slack * t) + both)


def md1_mean_s(rate: float, service_rate: float) -> float:
    """The mean time in M/D/1 (Pollaczek and Khinchine)."""
    load = rate / service_rate
    return 1 / service_rate * (1 + load / (2 * (1 - load)))
