"""The environment of a measurement, and the differences between two environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.gate.key import sha256, workload_sha256
from harness.gate.reading import Entry, Environment, Stored
from harness.topology.source import read

TOPOLOGY = "topology_sha256"
# Results depend so much on these that they are only comparable if these are equal.
COMPARED = ("target", "cores", "kernel")
RECORDED = ("kernel", "cores", "memory_mb", "engine", "wavetank", "python")


def topology_sha256(file: Path) -> str:
    """A hash of a topology's content; comments, order and ``objectives`` do not count.

    Changing a limit does not change what was measured.
    """
    data = dict(read(file).data)
    data.pop("objectives", None)
    return sha256(data)


def environment_of(report: Mapping[str, Any], entry: Entry, topology: str = "") -> Environment:
    """The environment of an entry of a report: its own values, else the report's.

    ``topology`` is the hash of the report's topology, for entries without one.
    """
    given = {**(report.get("environment") or {}), **entry.environment}
    return Environment(
        target=str(report.get("target", "")),
        topology=str(report.get("topology", "")),
        topology_sha256=str(given.get(TOPOLOGY) or topology),
        **{key: given[key] for key in RECORDED if _fits(key, given.get(key))},
    )


def differences(before: Environment, now: Environment, stored: Stored, entry: Entry) -> tuple[str, ...]:
    """Why results of the two cannot be compared; empty: they can. A value missing on one side differs."""
    return (*_surroundings(before, now), *_workloads(stored, entry))


def _surroundings(before: Environment, now: Environment) -> Iterator[str]:
    for key in COMPARED:
        old, new = getattr(before, key), getattr(now, key)
        if old != new or old in ("", None):
            yield f"{key}: {old or 'unknown'} then, {new or 'unknown'} now"
    if before.topology != now.topology:
        yield f"topology: {before.topology!r} then, {now.topology!r} now"
    elif before.topology_sha256 != now.topology_sha256 or not now.topology_sha256:
        yield f"topology: the content of {now.topology!r} has changed"


def _workloads(stored: Stored, entry: Entry) -> Iterator[str]:
    if stored.workload_sha256 != workload_sha256(entry.workload):
        yield f"workload: {entry.workload.name!r} does not have the same programs as then"


def _fits(key: str, value: object) -> bool:
    """Whether a value may stand in ``Environment``; a report of another version may hold anything."""
    wanted = int if key in ("cores", "memory_mb") else str
    return isinstance(value, wanted) and not isinstance(value, bool)
