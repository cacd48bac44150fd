"""What makes two experiments the same: experiment, workload, entry point, submission mode and rate."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.gate.reading import Entry, Experiment, Stored, Workload

# Equal target rates of random arrivals need not give equal measured rates.
SAME_RATE = 0.02


@dataclass(frozen=True)
class Key:
    """``rate`` is None if an experiment has no single one, like a search."""

    experiment: str
    workload: str
    entry_point: str
    mode: str
    rate: float | None

    def __str__(self) -> str:
        rate = "" if self.rate is None else f" at {self.rate:g}/s"
        return f"{self.experiment} of {self.workload!r}{rate} through {self.entry_point} ({self.mode})"

    def matches(self, other: Key) -> bool:
        """Whether the two may be compared."""
        same = self._identity() == other._identity()
        return same and same_rate(self.rate, other.rate)

    def _identity(self) -> tuple[str, ...]:
        return self.experiment, self.workload, self.entry_point, self.mode


def key_of(experiment: Entry | Stored) -> Key:
    """The key of an experiment, measured or kept."""
    rate = experiment.rate if isinstance(experiment, Stored) else rate_of(experiment)
    return _key(experiment, rate)


def _key(experiment: Experiment, rate: float | None) -> Key:
    route = experiment.route
    return Key(experiment.experiment, experiment.workload.name, route.door, route.way, rate)


def rate_of(entry: Entry) -> float | None:
    """Arrivals a second: the requested rate, or the rate that all runs were offered."""
    asked = entry.objective.get("rate")
    if isinstance(asked, int | float) and not isinstance(asked, bool):
        return float(asked)
    offered = [run.offered for run in entry.runs]
    if not offered or not all(same_rate(offered[0], each) for each in offered):
        return None
    return offered[0]


def same_rate(one: float | None, other: float | None) -> bool:
    """Whether two rates are the same within the tolerance."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=SAME_RATE)


def workload_sha256(workload: Workload) -> str:
    """A hash of a workload's whole content."""
    return sha256(workload.model_dump())


def sha256(document: Any) -> str:
    """A hash of a document's content: the order of its keys does not count."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def listed(experiments: Iterable[Entry | Stored]) -> str:
    """The experiments there are, in words."""
    return "; ".join(str(key_of(each)) for each in experiments) or "none"
