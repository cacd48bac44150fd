"""How much of its cores a node used in the steady part of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from harness.load.result import NodeSeries

LEAST_SECONDS = 3  # readings; with fewer nothing is said of a node


@dataclass(frozen=True)
class Use:
    """``busy`` is the share of the cores in the median second, what a hypervisor kept (``steal``) included:
    a core that cannot be had is used up. ``mean`` is in cores; ``mainly`` the service that used most.
    """

    node: str
    role: str
    cores: float
    busy: float
    mean: float
    steal: float
    mainly: str
    readings: int

    def told(self) -> dict[str, Any]:
        """As plain JSON."""
        told: dict[str, Any] = {"cores": self.cores, "busy": round(self.busy, 3), "mean": round(self.mean, 3)}
        told |= {"steal": round(self.steal, 3)} if self.steal else {}
        return told | ({"mainly": self.mainly} if self.mainly else {})


def uses(nodes: Iterable[NodeSeries], window: tuple[float, float]) -> list[Use]:
    """What each node used between ``window``'s seconds; those with too few readings are left out."""
    found = (_use(node, list(_within(node.t, window))) for node in nodes)
    return [use for use in found if use.readings >= LEAST_SECONDS and use.cores > 0]


def _use(node: NodeSeries, rows: list[int]) -> Use:
    cpu, steal = [node.cpu[row] for row in rows], [node.steal[row] for row in rows if node.steal]
    taken = [used + kept for used, kept in zip(cpu, steal or [0.0] * len(cpu), strict=True)]
    cores = node.cores or 1.0
    parts = {name: sum(used[row] for row in rows) for name, used in node.parts.items()}
    mainly = max(parts, key=lambda name: parts[name], default="")
    return Use(
        node=node.node,
        role=node.role,
        cores=node.cores,
        busy=median(taken) / cores if taken else 0.0,
        mean=fmean(cpu) if cpu else 0.0,
        steal=median(steal) / cores if steal else 0.0,
        mainly=mainly,
        readings=len(rows),
    )


def _within(t: Sequence[float], window: tuple[float, float]) -> Iterator[int]:
    return (row for row, at in enumerate(t) if window[0] <= at <= window[1])
