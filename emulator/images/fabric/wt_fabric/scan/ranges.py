"""Ports as ranges ``[[first, last], ...]`` and as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wt_fabric.scan.frames import Array


def expand(ranges: Sequence[Sequence[int]]) -> Array:
    """All ports of some ranges, in their order."""
    parts = [np.arange(first, last + 1, dtype=np.uint32) for first, last in ranges]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint32)


def collapse(flags: Array) -> list[list[int]]:
    """Where flags are set, as ranges of indices."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [[int(first), int(after) - 1] for first, after in edges.reshape(-1, 2)]


def number(ip: str) -> int:
    """An address as a number."""
    first, second, third, fourth = map(int, ip.split("."))
    return first << 24 | second << 16 | third << 8 | fourth
