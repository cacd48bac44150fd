"""What each cell of the isolation matrix says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.core import ports
from harness.core.ports import Ports
from harness.html.words import read_ports, short_ports, spaced_ports
from harness.topology.model import INTERNET

State = Literal["nothing", "passes", "violation", "inconclusive", "unobserved", "itself"]
STATES: Mapping[State, tuple[str, str]] = {
    "nothing": ("·", "as intended, nothing passes"),
    "passes": ("", "as intended, these ports pass"),
    "violation": ("✗", "violation"),
    "inconclusive": ("?", "inconclusive"),
    "unobserved": ("–", "not observed"),
    "itself": ("", "itself"),
}
RANGES = ("open", "closed", "filtered", "inconclusive", "must", "may", "computed")
STRANGER = "stranger"


@dataclass(frozen=True)
class Target:
    """A column: one address of a target."""

    name: str
    side: str


@dataclass(frozen=True)
class Cell:
    """One pair over one protocol: what is drawn (``symbol`` and ``ports``), and ``ranges`` for who asks.

    ``heat`` is 1 to 3 for few, many and very many ports that pass, 0 for none.
    """

    target: Target
    state: State
    symbol: str
    ports: str
    heat: int
    meaning: str
    ranges: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Matrix:
    """All pairs over one protocol; ``rows`` are a source and its cells, in the order of the columns."""

    protocol: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    counts: Mapping[str, int]


def targets(report: Mapping[str, Any]) -> tuple[Target, ...]:
    """The columns: private addresses first, each in the order of the topology, outsiders last."""
    found = {(row["target"], row["side"]) for row in _rows(report)}
    names = _in_order(report, (name for name, _ in found), outsiders_first=False)
    return tuple(
        Target(name, side) for side in ("private", "public") for name in names if (name, side) in found
    )


def matrix(report: Mapping[str, Any], protocol: str) -> Matrix | None:
    """The matrix of one protocol; None if no packet of it was sent."""
    rows = {
        (row["source"], row["target"], row["side"]): row
        for row in _rows(report)
        if row["protocol"] == protocol
    }
    if not rows:
        return None
    violated = _violated(report, protocol)
    asked = {each["name"] for each in report.get("droplets", [])} | {row["source"] for row in _rows(report)}
    sources = _in_order(report, asked, outsiders_first=True)
    columns = targets(report)
    lines = tuple(
        (source, tuple(_cell(source, target, rows, violated, protocol) for target in columns))
        for source in sources
    )
    counts: dict[str, int] = defaultdict(int)
    for _, line in lines:
        for cell in line:
            counts[cell.state] += 1
    return Matrix(protocol, lines, counts)


def _rows(report: Mapping[str, Any]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = report.get("isolation", {}).get("matrix", [])
    return rows


def _in_order(report: Mapping[str, Any], names: Iterable[str], *, outsiders_first: bool) -> list[str]:
    known = [each["name"] for part in ("droplets", "databases") for each in report.get(part, [])]
    outsiders = [INTERNET, STRANGER]
    order = [*outsiders, *known] if outsiders_first else [*known, *reversed(outsiders)]
    there = set(names)
    return [name for name in order if name in there] + sorted(there - set(order))


def _violated(report: Mapping[str, Any], protocol: str) -> Mapping[tuple[str, str, str], Ports]:
    violated: dict[tuple[str, str, str], Ports] = defaultdict(tuple)
    for each in report.get("isolation", {}).get("violations", []):
        if each["protocol"] == protocol:
            key = each["source"], each["target"], each["side"]
            which = ports.ALL if protocol == "icmp" else read_ports(each["ports"])
            violated[key] = ports.union(violated[key], which)
    return violated


def _cell(
    source: str,
    target: Target,
    rows: Mapping[tuple[str, str, str], Mapping[str, str]],
    violated: Mapping[tuple[str, str, str], Ports],
    protocol: str,
) -> Cell:
    key = source, target.name, target.side
    row = rows.get(key)
    if row is None:
        state: State = "itself" if source == target.name else "unobserved"
        return Cell(target, state, STATES[state][0], "", 0, STATES[state][1], ())
    sets = {name: read_ports(row[name]) for name in RANGES}
    reached = ports.union(sets["open"], sets["closed"])
    wrong = ports.union(violated.get(key, ports.NONE), _wrong(sets, reached))
    state, shown = _state(sets, reached, wrong)
    symbol, meaning = STATES[state]
    ranges = tuple((name, spaced_ports(row[name], protocol)) for name in RANGES)
    text = "" if not shown else _shown(shown, protocol)
    return Cell(target, state, symbol, text, _heat(reached), meaning, ranges)


def _wrong(sets: Mapping[str, Ports], reached: Ports) -> Ports:
    """Where packets differ from the intent: passed although not allowed, or not passed although intended."""
    leaked = ports.subtract(reached, sets["may"])
    return ports.union(leaked, ports.intersect(sets["filtered"], sets["must"]))


def _state(sets: Mapping[str, Ports], reached: Ports, wrong: Ports) -> tuple[State, Ports]:
    if wrong:
        return "violation", wrong
    if sets["inconclusive"]:
        return "inconclusive", sets["inconclusive"]
    return ("passes", reached) if reached else ("nothing", ports.NONE)


def _shown(which: Ports, protocol: str) -> str:
    if protocol == "icmp":
        return "echo"
    return "all" if which == ports.ALL else short_ports(ports.render(which), longest=11)


def _heat(reached: Ports) -> int:
    number = ports.size(reached)
    return 0 if not number else 1 if number < 10 else 2 if number < 1000 else 3
