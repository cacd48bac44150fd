"""What makes two experiments the same: the experiment, its workload, door, way, and rate."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.gate.reading import Entry, Experiment, Stored, Workload

# Rates of random arrivals that were asked for alike need not be told alike.
SAME_RATE = 0.02


@dataclass(frozen=True)
class Key:
    """``rate`` is None where an experiment has no single one, as a search has."""

    experiment: str
    workload: str
    door: str
    way: str
    rate: float | None

    def __str__(self) -> str:
        rate = "" if self.rate is None else f" at {self.rate:g}/s"
        return f"{self.experiment} of {self.workload!r}{rate} through {self.door} ({self.way})"

    def matches(self, other: Key) -> bool:
        """Whether the two may be held against each other."""
        same = self._words() == other._words()
        return same and same_rate(self.rate, other.rate)

    def _words(self) -> tuple[str, ...]:
        return self.experiment, self.workload, self.door, self.way


def key_of(experiment: Entry | Stored) -> Key:
    """The key of an experiment, measured or kept."""
    rate = experiment.rate if isinstance(experiment, Stored) else rate_of(experiment)
    return _key(experiment, rate)


def _key(experiment: Experiment, rate: float | None) -> Key:
    route = experiment.route
    return Key(experiment.experiment, experiment.workload.name, route.door, route.way, rate)


def rate_of(entry: Entry) -> float | None:
    """Arrivals a second: what was asked for, or what all runs were offered alike."""
    asked = entry.objective.get("rate")
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        return float(asked)
    offered = [run.offered for run in entry.runs]
    if not offered or not all(same_rate(offered[0], each) for each in offered):
        return None
    return offered[0]


def same_rate(one: float | None, other: float | None) -> bool:
    """Whether two rates are one, as far as anybody can tell."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=SAME_RATE)


def workload_sha256(workload: Workload) -> str:
    """A hash of everything that is said of a workload."""
    return sha256(workload.model_dump())


def sha256(document: Any) -> str:
    """A hash of a document's content: the order of its keys does not count."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def listed(experiments: Iterable[Entry | Stored]) -> str:
    """The experiments there are, in words."""
    return "; ".join(str(key_of(each)) for each in experiments) or "none"
