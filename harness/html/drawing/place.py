"""Where everything goes, in pixels: boxes in columns, each line at its own height, labels beside arrowheads.

Between two columns there is first a zone for curves, then one in which all lines run level and their labels
stand on them. Lines in it are a slot apart, so labels cannot meet, and no curve crosses a label or a box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from harness.html.drawing.layers import Layered, Step
from harness.html.drawing.plan import Box, Plan

SLOT = 17.0
LABEL_HEIGHT = 13.0
ROW = 38.0
PAD = 7.0
GAP = 14.0
CURVES = 40.0
HEAD = 7.0
MARGIN = 12.0
FRAME = 22.0
NAME_WIDTH, NOTE_WIDTH, LABEL_WIDTH = 7.3, 6.2, 6.3
SWEEPS = 16


@dataclass(frozen=True)
class Rect:
    """Left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def meets(self, other: Rect) -> bool:
        """Whether the two share any area."""
        across = self.x < other.right and other.x < self.right
        return across and self.y < other.bottom and other.y < self.bottom


@dataclass(frozen=True)
class Line:
    """A step's level start, the zone it curves in, and its level end: (x, y) at each of the four."""

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Placed:
    """The whole picture. ``labels`` are in the order of the arrows."""

    width: float
    height: float
    frame: Rect | None
    boxes: Mapping[str, Rect]
    lines: Mapping[Step, Line]
    labels: tuple[Rect, ...]


@dataclass(frozen=True)
class _Slots:
    """Heights of lines relative to the middle of what they touch, by (box or bend, step) on either side."""

    left: Mapping[tuple[str, Step], float]
    right: Mapping[tuple[str, Step], float]


def placed(plan: Plan, graph: Layered) -> Placed:
    """Put everything in its place. The same plan always gives the same places."""
    boxes = {box.key: box for box in plan.boxes}
    slots = _slots(graph)
    heights = {key: _height(boxes.get(key), key, slots) for column in graph.columns for key in column}
    middles = _middles(graph, heights, slots)
    lefts, widths, zones, total = _across(graph, boxes)
    rects = {
        key: Rect(lefts[index], middles[key] - heights[key] / 2, widths[index], heights[key])
        for index, column in enumerate(graph.columns)
        for key in column
    }
    at = {key: index for index, column in enumerate(graph.columns) for key in column}
    lines = {step: _line(step, rects, middles, slots, zones[at[step.end]]) for step in graph.steps}
    labels = tuple(
        _label(lines[route[-1]], arrow.label) for arrow, route in zip(graph.arrows, graph.routes, strict=True)
    )
    frame = _frame(plan, rects, graph, zones)
    bottom = max((rect.bottom for rect in rects.values()), default=0.0)
    height = max(bottom, frame.bottom if frame else 0.0) + MARGIN
    return Placed(total, height, frame, {key: rects[key] for key in boxes if key in rects}, lines, labels)


def label_width(text: str) -> float:
    """How wide a label gets at most."""
    return len(text) * LABEL_WIDTH


def _slots(graph: Layered) -> _Slots:
    row = {key: index for column in graph.columns for index, key in enumerate(column)}
    arriving: dict[str, list[Step]] = defaultdict(list)
    leaving: dict[str, list[Step]] = defaultdict(list)
    for step in graph.steps:
        arriving[step.end].append(step)
        leaving[step.start].append(step)
    left: dict[tuple[str, Step], float] = {}
    for key, steps in arriving.items():
        order = sorted(steps, key=lambda step: row[step.start])
        left |= {(key, step): height for step, height in zip(order, _spread(len(order)), strict=True)}
    right: dict[tuple[str, Step], float] = {}
    for key, steps in leaving.items():
        nets: dict[str, list[int]] = defaultdict(list)
        for step in steps:
            nets[step.net].append(row[step.end])
        by_goal = sorted(nets, key=lambda net: _mean(nets[net]))
        heights = dict(zip(by_goal, _spread(len(by_goal)), strict=True))
        right |= {(key, step): heights[step.net] for step in steps}
    return _Slots(left, right)


def _spread(number: int) -> list[float]:
    return [(index - (number - 1) / 2) * SLOT for index in range(number)]


def _height(box: Box | None, key: str, slots: _Slots) -> float:
    """Bends take a slot; boxes what their members and lines need."""
    if box is None:
        return SLOT
    most = max(
        (
            abs(height)
            for side in (slots.left, slots.right)
            for (each, _), height in side.items()
            if each == key
        ),
        default=0.0,
    )
    members = len(box.members)
    rows = members * ROW + (PAD * (members + 1) if members > 1 else 0) + (SLOT if box.among else 0)
    return max(rows, 2 * most + SLOT)


def _middles(graph: Layered, heights: Mapping[str, float], slots: _Slots) -> dict[str, float]:
    """Heights of the middles: each near where its lines come from and go to, in order, without overlap."""
    middles: dict[str, float] = {}
    for column in graph.columns:
        middles |= _stacked(column, heights, dict.fromkeys(column, 0.0))
    for sweep in range(SWEEPS):
        final = sweep == SWEEPS - 1
        columns = graph.columns if sweep % 2 == 0 or final else tuple(reversed(graph.columns))
        for column in columns:
            wanted = {
                key: _wanted(
                    key, graph, middles, slots, before=sweep % 2 == 0 or final, after=sweep % 2 == 1 or final
                )
                for key in column
            }
            middles |= _stacked(column, heights, wanted)
    top = min((middles[key] - heights[key] / 2 for key in middles), default=0.0)
    return {key: middle - top + MARGIN + FRAME for key, middle in middles.items()}


def _wanted(
    key: str, graph: Layered, middles: Mapping[str, float], slots: _Slots, *, before: bool, after: bool
) -> float:
    heights = []
    for step in graph.steps:
        if before and step.end == key:
            heights.append(middles[step.start] + slots.right[step.start, step] - slots.left[key, step])
        if after and step.start == key:
            heights.append(middles[step.end] + slots.left[step.end, step] - slots.right[key, step])
    return sum(heights) / len(heights) if heights else middles[key]


def _stacked(
    column: Sequence[str], heights: Mapping[str, float], wanted: Mapping[str, float]
) -> dict[str, float]:
    """As near to what is wanted as the order and the room between neighbours allow (least squares)."""
    offsets = list(
        accumulate(
            ((heights[one] + heights[other]) / 2 + GAP for one, other in pairwise(column)),
            initial=0.0,
        )
    )
    pools: list[list[float]] = []
    for key, offset in zip(column, offsets, strict=False):
        pools.append([wanted[key] - offset])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    levels = [_mean(pool) for pool in pools for _ in pool]
    return {key: level + offset for key, level, offset in zip(column, levels, offsets, strict=False)}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _across(graph: Layered, boxes: Mapping[str, Box]) -> tuple[list[float], list[float], list[float], float]:
    """Left edges and widths of the columns, where the zone of labels before each begins, and the total."""
    at = {key: index for index, column in enumerate(graph.columns) for key in column}
    labels: dict[int, float] = defaultdict(float)
    for arrow, route in zip(graph.arrows, graph.routes, strict=True):
        index = at[route[-1].end]
        labels[index] = max(labels[index], label_width(arrow.label) + 2 * HEAD + 4)
    x, lefts, widths, zones = MARGIN, [], [], []
    for index, column in enumerate(graph.columns):
        if index:
            x += CURVES
        zones.append(x)
        x += labels[index]
        lefts.append(x)
        widths.append(max((_width(boxes[key]) for key in column if key in boxes), default=0.0))
        x += widths[-1]
    return lefts, widths, zones, x + MARGIN


def _width(box: Box) -> float:
    texts = [max(len(name) * NAME_WIDTH, len(note) * NOTE_WIDTH) for name, note in box.members]
    inner = max([*texts, len(box.among) * NOTE_WIDTH])
    return inner + 20 + (2 * PAD if len(box.members) > 1 else 0)


def _line(
    step: Step, rects: Mapping[str, Rect], middles: Mapping[str, float], slots: _Slots, zone: float
) -> Line:
    start = middles[step.start] + slots.right[step.start, step]
    end = middles[step.end] + slots.left[step.end, step]
    return Line(
        ((rects[step.start].right, start), (zone - CURVES, start), (zone, end), (rects[step.end].x, end))
    )


def _label(line: Line, text: str) -> Rect:
    """Above the level end of the line, clear of the arrowhead."""
    x, y = line.points[3]
    width = label_width(text)
    return Rect(x - HEAD - 2 - width, y - 1 - LABEL_HEIGHT, width, LABEL_HEIGHT)


def _frame(plan: Plan, rects: Mapping[str, Rect], graph: Layered, zones: Sequence[float]) -> Rect | None:
    """Round everything that is inside the VPC, bends included."""
    outside = {box.key for box in plan.boxes if box.kind == "outside"}
    columns = [
        index for index, column in enumerate(graph.columns) if any(key not in outside for key in column)
    ]
    inside = [rects[key] for index in columns for key in graph.columns[index] if key not in outside]
    if not inside:
        return None
    left = zones[columns[0]] - 8 if columns[0] else rects[graph.columns[0][0]].x - 8
    right = max(rect.right for rect in inside) + 10
    top = min(rect.y for rect in inside) - FRAME
    return Rect(left, top, right - left, max(rect.bottom for rect in inside) + 10 - top)
