"""How much of its cores a node used, and the state of the queue, in the steady part of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from harness.load.result import NodeSeries, QueueSeries

LEAST_SECONDS = 3  # readings; with fewer a node has no result


@dataclass(frozen=True)
class Use:
    """``busy`` is the share of the cores in the median second, including what a hypervisor took (``steal``):
    such a core is not available. ``mean`` is in cores; ``mainly`` the service that used most.
    """

    node: str
    role: str
    cores: float
    busy: float
    mean: float
    steal: float
    mainly: str
    readings: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        document: dict[str, Any] = {
            "cores": self.cores,
            "busy": round(self.busy, 3),
            "mean": round(self.mean, 3),
        }
        document |= {"steal": round(self.steal, 3)} if self.steal else {}
        return document | ({"mainly": self.mainly} if self.mainly else {})


@dataclass(frozen=True)
class QueueUse:
    """Medians over the readings of the queue, and ``waited`` and ``all_busy``: in which share of them any
    submission waited, and all workers were busy. ``idle`` is how many workers were not.
    """

    waiting: float
    working: float
    workers: float
    idle: float
    waited: float
    all_busy: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


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


def queue_use(queue: QueueSeries, window: tuple[float, float]) -> QueueUse | None:
    """How the queue stood between ``window``'s seconds; None: too few readings."""
    rows = list(_within(queue.t, window))
    if len(rows) < LEAST_SECONDS:
        return None
    waiting, working, workers = (
        [column[row] for row in rows] for column in (queue.waiting, queue.working, queue.workers)
    )
    pairs = list(zip(working, workers, strict=True))
    return QueueUse(
        waiting=median(waiting),
        working=median(working),
        workers=median(workers),
        idle=median(max(0, there - busy) for busy, there in pairs),
        waited=round(sum(each > 0 for each in waiting) / len(rows), 3),
        all_busy=round(sum(busy >= there for busy, there in pairs) / len(rows), 3),
    )
