"""One run's seconds as they are drawn and written: long runs in steps of several.

Rates of a step are means; quantiles and what is in flight are the highest in it; errors are all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.formatting import figure
from harness.html.drawing.chart import Table
from harness.html.drawing.scale import known
from harness.html.words import count, plural

MOST_STEPS = 240
COLUMNS = ("second", "due /s", "ended /s", "errors", "in flight", "p50 ms", "p99 ms")
NODE_COLUMNS = (
    "node", "role", "cores", "CPU mean, cores", "CPU highest, cores", "stolen at most, cores",
    "memory highest, MB", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What is drawn at one place: ``due`` and ``ended`` a second, the rest within ``seconds``."""

    t: float
    seconds: int
    due: float
    ended: float
    errors: int
    in_flight: int
    p50: float | None
    p99: float | None

    @property
    def description(self) -> str:
        """All of it in words."""
        rates = f"{figure(self.t)} s: {figure(self.due)}/s due, {figure(self.ended)}/s ended"
        latency = f"p50 {figure(self.p50)} ms, p99 {figure(self.p99)} ms"
        return f"{rates}, {plural(self.errors, 'error')}, {count(self.in_flight)} in flight, {latency}"


def steps(series: Sequence[Mapping[str, Any]]) -> list[Step]:
    """A run's seconds, or so many together that a picture can hold them; those without a time left out."""
    timed = [second for second in series if known([second["t"]])]
    size = max(math.ceil(len(timed) / MOST_STEPS), 1)
    return [_step(timed[start : start + size], size) for start in range(0, len(timed), size)]


def _step(seconds: Sequence[Mapping[str, Any]], size: int) -> Step:
    return Step(
        t=seconds[0]["t"],
        seconds=size,
        due=sum(each["due"] for each in seconds) / len(seconds),
        ended=sum(each["ended"] for each in seconds) / len(seconds),
        errors=sum(each["errors"] for each in seconds),
        in_flight=max(each["in_flight"] for each in seconds),
        p50=max(known(each["p50_ms"] for each in seconds), default=None),
        p99=max(known(each["p99_ms"] for each in seconds), default=None),
    )


def table(shown: Sequence[Step]) -> Table:
    """Each step in numbers."""
    several = shown and shown[0].seconds > 1
    size = f"; each row stands for {shown[0].seconds} seconds" if several else ""
    return Table(f"From second to second{size}", COLUMNS, tuple(map(_row, shown)))


def _row(step: Step) -> tuple[str, ...]:
    counts = (figure(step.due), figure(step.ended), count(step.errors), count(step.in_flight))
    return (figure(step.t), *counts, figure(step.p50), figure(step.p99))


def nodes_table(nodes: Sequence[Mapping[str, Any]]) -> Table:
    """What each node did, in numbers."""
    rows = tuple(row for node in nodes for row in _node_rows(node))
    return Table("CPU and memory of each node, and CPU of what runs on it", NODE_COLUMNS, rows)


def _node_rows(node: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    memory, stolen = (_mean_and_most(node.get(name) or ())[1] for name in ("memory_mb", "steal"))
    cpu = _mean_and_most(node["cpu"])
    yield (node["node"], node["role"], figure(node["cores"]), *cpu, stolen, memory, node.get("source") or "–")
    for name, values in (node.get("parts") or {}).items():
        yield (f"{node['node']}: {name}", node["role"], "", *_mean_and_most(values), "", "", "")


def queue_table(queue: Mapping[str, Any]) -> Table:
    """What the queue did, in numbers."""
    rows = tuple((name, *_mean_and_most(queue[name])) for name in ("waiting", "working", "workers"))
    return Table("Queue and workers", ("submissions and workers", "mean", "most"), rows)


def _mean_and_most(values: Sequence[float]) -> tuple[str, str]:
    there = known(values)
    return (figure(sum(there) / len(there)), figure(max(there))) if there else ("–", "–")
