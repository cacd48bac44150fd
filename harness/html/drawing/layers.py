"""Which column each box stands in, and the bends that long arrows get in the columns they cross."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.html.drawing.plan import Arrow, Plan

SWEEPS = 12


@dataclass(frozen=True)
class Step:
    """A piece of an arrow, from one column to the next. ``start`` and ``end`` are boxes or bends;
    ``net`` names the arrows that share the line: same origin, same label."""

    start: str
    end: str
    net: str


@dataclass(frozen=True)
class Layered:
    """``columns`` hold boxes and bends from top to bottom; ``routes`` are the arrows' steps, from left to
    right, in the order of ``arrows``; ``backward`` are those that point to the left."""

    columns: tuple[tuple[str, ...], ...]
    arrows: tuple[Arrow, ...]
    routes: tuple[tuple[Step, ...], ...]
    backward: frozenset[int]
    bends: frozenset[str] = field(default_factory=frozenset)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step once."""
        return tuple(dict.fromkeys(step for route in self.routes for step in route))


def layered(plan: Plan) -> Layered:
    """Columns by the direction of the flows, with few crossings."""
    arrows = tuple(sorted(plan.arrows, key=lambda arrow: arrow.violated))
    forward, backward = _direct(arrows)
    column = _columns(plan, forward)
    routes = tuple(
        _route(start, end, _net(arrow, index if index in backward else None), column)
        for index, (arrow, (start, end)) in enumerate(zip(arrows, forward, strict=True))
    )
    boxes = [box.key for box in plan.boxes]
    bends = dict.fromkeys(step.end for route in routes for step in route if step.end not in column)
    column |= {bend: int(bend.rpartition("@")[2]) for bend in bends}
    columns = [[key for key in (*boxes, *bends) if column[key] == each] for each in range(_width(column))]
    ordered = _fewest_crossings(columns, dict.fromkeys(step for route in routes for step in route))
    return Layered(ordered, arrows, routes, frozenset(backward), frozenset(bends))


def _width(column: Mapping[str, int]) -> int:
    return max(column.values(), default=-1) + 1


def _net(arrow: Arrow, lone: int | None) -> str:
    shared = arrow.source if lone is None else f"{lone}"
    return f"{shared}|{arrow.label}|{arrow.violated}"


def _direct(arrows: Sequence[Arrow]) -> tuple[list[tuple[str, str]], set[int]]:
    """Each arrow's ends from left to right, without circles: who would close one is turned round."""
    after: dict[str, set[str]] = defaultdict(set)
    ends, backward = [], set()
    for index, arrow in enumerate(arrows):
        start, end = arrow.source, arrow.target
        if _reaches(after, end, start):
            start, end = end, start
            backward.add(index)
        after[start].add(end)
        ends.append((start, end))
    return ends, backward


def _reaches(after: Mapping[str, set[str]], start: str, goal: str) -> bool:
    seen, todo = {start}, [start]
    while todo:
        each = todo.pop()
        if each == goal:
            return True
        fresh = after.get(each, set()) - seen
        seen |= fresh
        todo += fresh
    return False


def _columns(plan: Plan, ends: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way from the left, then each as far right as pays; outside comes first and last."""
    outside = {box.key for box in plan.boxes if box.kind == "outside"}
    inside = [box.key for box in plan.boxes if box.key not in outside]
    before: dict[str, list[str]] = {key: [] for key in inside}
    after: dict[str, list[str]] = {key: [] for key in inside}
    for start, end in dict.fromkeys(ends):
        if start not in outside and end not in outside:
            before[end].append(start)
            after[start].append(end)
    column = _longest(inside, before)
    for key in sorted(inside, key=lambda key: -column[key]):
        if len(after[key]) > len(before[key]):
            column[key] = min(column[each] for each in after[key]) - 1
    last = max(column.values(), default=0) + 1
    return column | {key: last if key in plan.sinks else 0 for key in outside}


def _longest(keys: Iterable[str], before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    column: dict[str, int] = {}

    def find(key: str) -> int:
        if key not in column:
            column[key] = 1 + max((find(each) for each in before[key]), default=0)
        return column[key]

    for key in keys:
        find(key)
    return column


def _route(start: str, end: str, net: str, column: Mapping[str, int]) -> tuple[Step, ...]:
    """The steps from one box to another, with a bend in each column between them."""
    bends = [f"{net}@{each}" for each in range(column[start] + 1, column[end])]
    stops = [start, *bends, end]
    return tuple(Step(one, other, net) for one, other in itertools.pairwise(stops))


def _fewest_crossings(columns: Sequence[Sequence[str]], steps: Iterable[Step]) -> tuple[tuple[str, ...], ...]:
    """Order each column by where its neighbours stand, to and fro, and keep the best that was seen."""
    steps = tuple(steps)
    before, after = defaultdict(list), defaultdict(list)
    for step in steps:
        before[step.end].append(step.start)
        after[step.start].append(step.end)
    current = [list(column) for column in columns]
    best, fewest = current, crossings(current, steps)
    for sweep in range(SWEEPS):
        neighbours = after if sweep % 2 else before
        order = range(len(current) - 1, -1, -1) if sweep % 2 else range(len(current))
        current = [list(column) for column in current]
        for index in order:
            current[index] = _by_neighbours(current, index, neighbours)
        if (found := crossings(current, steps)) < fewest:
            best, fewest = current, found
    return tuple(tuple(column) for column in best)


def _by_neighbours(
    columns: Sequence[Sequence[str]], index: int, neighbours: Mapping[str, Sequence[str]]
) -> list[str]:
    place = {key: (row + 1) / (len(column) + 1) for column in columns for row, key in enumerate(column)}

    def middle(key: str) -> float:
        theirs = [place[each] for each in neighbours.get(key, ())]
        return sum(theirs) / len(theirs) if theirs else place[key]

    return sorted(columns[index], key=middle)


def crossings(columns: Sequence[Sequence[str]], steps: Iterable[Step]) -> int:
    """How many pairs of steps between the same two columns cross."""
    at = {key: (index, row) for index, column in enumerate(columns) for row, key in enumerate(column)}
    gaps: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for step in steps:
        gaps[at[step.start][0]].append((at[step.start][1], at[step.end][1]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for gap in gaps.values()
        for index, one in enumerate(gap)
        for other in gap[:index]
    )
