"""Where something was measured, and what of it differs where something else was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.gate.key import sha256, workload_sha256
from harness.gate.reading import Entry, Environment, Stored
from harness.topology.source import read

TOPOLOGY = "topology_sha256"
# What figures depend on so much that others are of no use.
COMPARED = ("target", "cores", "kernel")
TOLD = ("kernel", "cores", "memory_mb", "engine", "wavetank", "python")


def topology_sha256(file: Path) -> str:
    """A hash of what a topology says; comments, order and ``objectives`` do not count.

    A limit that is moved changes nothing of what was measured.
    """
    data = dict(read(file).data)
    data.pop("objectives", None)
    return sha256(data)


def environment_of(report: Mapping[str, Any], entry: Entry, topology: str = "") -> Environment:
    """Where an entry of a report was measured: by its own word, else the report's.

    ``topology`` is the hash of the report's topology, for entries that do not tell it themselves.
    """
    told = {**(report.get("environment") or {}), **entry.environment}
    return Environment(
        target=str(report.get("target", "")),
        topology=str(report.get("topology", "")),
        topology_sha256=str(told.get(TOPOLOGY) or topology),
        **{key: told[key] for key in TOLD if _fits(key, told.get(key))},
    )


def differences(before: Environment, now: Environment, stored: Stored, entry: Entry) -> tuple[str, ...]:
    """Why figures of the two cannot be compared; empty: they can. What one side does not tell differs."""
    return (*_surroundings(before, now), *_workloads(stored, entry))


def _surroundings(before: Environment, now: Environment) -> Iterator[str]:
    for key in COMPARED:
        old, new = getattr(before, key), getattr(now, key)
        if old != new or old in ("", None):
            yield f"{key}: {old or 'not told'} then, {new or 'not told'} now"
    if before.topology != now.topology:
        yield f"topology: {before.topology!r} then, {now.topology!r} now"
    elif before.topology_sha256 != now.topology_sha256 or not now.topology_sha256:
        yield f"topology: {now.topology!r} does not say what it said then"


def _workloads(stored: Stored, entry: Entry) -> Iterator[str]:
    if stored.workload_sha256 != workload_sha256(entry.workload):
        yield f"workload: {entry.workload.name!r} is not made of the same programs as then"


def _fits(key: str, value: object) -> bool:
    """Whether a value may stand in ``Environment``; a report of another version may hold anything."""
    wanted = int if key in ("cores", "memory_mb") else str
    return isinstance(value, wanted) and not isinstance(value, bool)
