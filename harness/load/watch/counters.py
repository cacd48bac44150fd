"""Readings of counters that only grow, and the series of rates made from them.

A rate is the counter's growth divided by the growth of the clock that was read with it, on the same machine:
a late arrival of a reading does not change it. Only the time of a reading is that of its arrival, on this
machine's clock, so no two machines' clocks are ever compared; it is late by the network latency, some
milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from harness.load.result import NodeSeries

MIB = 1024 * 1024
Fault: TypeAlias = tuple[float, str]  # when, and why nothing could be read
SILENT_SECONDS = 3.5  # no reading for so long is a gap


@dataclass(frozen=True)
class Reading:
    """One reading. ``at`` is when it arrived here (``time.monotonic``), ``clock`` its own clock, in seconds.

    ``cpu`` and ``parts`` are CPU seconds since some start, of the whole and of its parts by their ids;
    ``steal`` those that a hypervisor took (None: unknown). ``memory`` is in bytes.
    """

    at: float
    clock: float
    cpu: float
    memory: float
    parts: Mapping[str, float] = field(default_factory=dict)
    steal: float | None = None


@dataclass
class Track:
    """All readings of one node so far. ``faults`` are reasons why there were none for a while: when, why.

    ``names`` are what the parts are called; parts of one name count together.
    """

    node: str
    role: str
    cores: float = 0.0
    source: str = ""
    readings: list[Reading] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """The rates between two readings: CPU in cores."""

    at: float
    cpu: float
    memory_mb: float
    parts: Mapping[str, float]
    steal: float | None


def series(track: Track, began: float, until: float) -> NodeSeries | None:
    """A node's series; ``began`` and ``until`` on this machine's monotonic clock. None: nothing was read."""
    steps = [step for step in _steps(tuple(track.readings)) if began <= step.at <= until]
    if not steps:
        return None
    used = [_by_name(step.parts, track.names) for step in steps]
    names = sorted({name for each in used for name in each})
    return NodeSeries(
        node=track.node,
        role=track.role,
        cores=track.cores,
        t=tuple(round(step.at - began, 3) for step in steps),
        cpu=tuple(round(step.cpu, 4) for step in steps),
        memory_mb=tuple(round(step.memory_mb, 1) for step in steps),
        source=track.source,
        parts={name: tuple(round(each.get(name, 0.0), 4) for each in used) for name in names},
        steal=_steal(steps),
    )


def gaps(
    name: str, times: Sequence[float], faults: Sequence[Fault], began: float, until: float
) -> Iterator[str]:
    """In words, when nothing was read for some seconds, and why, if a fault of that time explains it."""
    within = [began, *(at for at in times if began < at < until), until]
    if len(within) == 2 and until - began > SILENT_SECONDS:
        yield f"{name}: no readings{_why(faults, began - SILENT_SECONDS, until)}"
        return
    for first, second in pairwise(within):
        if second - first > SILENT_SECONDS:
            span = f"{first - began:.1f} s to {second - began:.1f} s"
            yield f"{name}: no readings from {span}{_why(faults, first, second)}"


def _steps(readings: Sequence[Reading]) -> Iterator[Step]:
    """Growth between neighbours. A clock or counter that went back began anew, as may one after a gap."""
    for before, after in pairwise(readings):
        seconds = after.clock - before.clock
        if seconds <= 0 or after.cpu < before.cpu or after.at - before.at > SILENT_SECONDS:
            continue
        yield Step(
            after.at,
            (after.cpu - before.cpu) / seconds,
            after.memory / MIB,
            dict(_grown(before.parts, after.parts, seconds)),
            _difference(before.steal, after.steal, seconds),
        )


def _grown(
    before: Mapping[str, float], after: Mapping[str, float], seconds: float
) -> Iterator[tuple[str, float]]:
    for name, used in after.items():
        if name in before:
            yield name, max(0.0, used - before[name]) / seconds


def _by_name(parts: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    summed: dict[str, float] = {}
    for identity, used in parts.items():
        name = names.get(identity, identity[:12])
        summed[name] = summed.get(name, 0.0) + used
    return summed


def _difference(before: float | None, after: float | None, seconds: float) -> float | None:
    return None if before is None or after is None else max(0.0, after - before) / seconds


def _steal(steps: Sequence[Step]) -> tuple[float, ...]:
    known = [step.steal for step in steps if step.steal is not None]
    return tuple(round(each, 4) for each in known) if len(known) == len(steps) else ()


def _why(faults: Sequence[Fault], first: float, last: float) -> str:
    reasons = [why for at, why in faults if first <= at <= last and why]
    return f" ({reasons[-1]})" if reasons else ""
