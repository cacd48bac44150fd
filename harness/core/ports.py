"""Sets of ports as sorted, disjoint intervals; the arithmetic that firewalls need."""

from __future__ import annotations

from collections.abc import Iterable

Ports = tuple[tuple[int, int], ...]

NONE: Ports = ()
ALL: Ports = ((1, 65535),)


def parse(text: str) -> Ports:
    """``"22"``, ``"8000-9000"``, ``"0"`` or ``"all"``, or several with commas. Raises ``ValueError``."""
    return union(*(_parse_one(part.strip()) for part in text.split(",")))


def render(ports: Ports) -> str:
    """``22,8000-9000``; ``all`` and ``none`` in words."""
    if ports == ALL:
        return "all"
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ports) or "none"


def size(ports: Ports) -> int:
    """How many ports there are in a set."""
    return sum(b - a + 1 for a, b in ports)


def union(*sets: Ports) -> Ports:
    """The ports in any of the sets."""
    return _merge(interval for ports in sets for interval in ports)


def intersect(one: Ports, other: Ports) -> Ports:
    """The ports in both."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return _merge(pair for pair in pairs if pair[0] <= pair[1])


def subtract(one: Ports, other: Ports) -> Ports:
    """The ports in ``one`` that are not in ``other``."""
    for c, d in other:
        parts = ((a, min(b, c - 1)) for a, b in one), ((max(a, d + 1), b) for a, b in one)
        one = _merge(pair for part in parts for pair in part if pair[0] <= pair[1])
    return one


def _parse_one(text: str) -> Ports:
    if text in ("0", "all"):
        return ALL
    first, dash, last = text.partition("-")
    if not (first.isdecimal() and (last.isdecimal() or not dash)):
        raise ValueError(f"{text!r} is neither a port nor a range of ports")
    a, b = int(first), int(last or first)
    if not (1 <= a <= 65535 and 1 <= b <= 65535):
        raise ValueError(f"{text!r} is out of range: ports go from 1 to 65535")
    if a > b:
        raise ValueError(f"{text!r} is reversed: the lower port comes first")
    return ((a, b),)


def _merge(intervals: Iterable[tuple[int, int]]) -> Ports:
    merged: list[tuple[int, int]] = []
    for a, b in sorted(intervals):
        if merged and a <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return tuple(merged)
