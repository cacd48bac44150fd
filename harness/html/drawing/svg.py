"""From places to SVG. Colours are the page's own, by class; nothing here depends on them alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from harness.html.drawing.layers import Layered, layered
from harness.html.drawing.place import PAD, ROW, SLOT, Line, Placed, Rect, placed
from harness.html.drawing.plan import Arrow, Box, Plan, plan


def draw(report: Mapping[str, Any]) -> Markup | None:
    """The picture of a report's topology; None if there is nothing to draw."""
    drawn = plan(report)
    if not drawn.boxes:
        return None
    graph = layered(drawn)
    return _svg(drawn, graph, placed(drawn, graph))


def _svg(drawn: Plan, graph: Layered, places: Placed) -> Markup:
    boxes = Markup().join(_box(box, places.boxes[box.key]) for box in drawn.boxes)
    arrows = Markup().join(
        _arrow(arrow, [places.lines[step] for step in route], label, backward=index in graph.backward)
        for index, (arrow, route, label) in enumerate(
            zip(graph.arrows, graph.routes, places.labels, strict=True)
        )
    )
    return Markup(
        '<svg class="topology" role="img" aria-labelledby="picture-title picture-text" '
        'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        '<title id="picture-title">The topology and its allowed flows</title>'
        '<desc id="picture-text">{text}</desc>{defs}{frame}{arrows}{boxes}</svg>'
    ).format(
        width=_number(places.width),
        height=_number(places.height),
        text="; ".join(line for arrow in graph.arrows for line in arrow.description.splitlines()),
        defs=_marker("arrowhead") + _marker("arrowhead-violated"),
        frame=_frame(places.frame),
        arrows=arrows,
        boxes=boxes,
    )


def _marker(name: str) -> Markup:
    return Markup(
        '<defs><marker id="{0}" class="{0}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        '<path d="M0 0.5L8 4L0 7.5z"/></marker></defs>'
    ).format(name)


def _frame(frame: Rect | None) -> Markup:
    if frame is None:
        return Markup()
    return _rect(frame, "vpc", 8) + _text("vpc-name", frame.x + 10, frame.y + 15, "VPC", anchor="start")


def _arrow(arrow: Arrow, lines: Sequence[Line], label: Rect, *, backward: bool) -> Markup:
    kind = "violated" if arrow.violated else "log-in" if arrow.label == "22" else "meant"
    head = "arrowhead-violated" if arrow.violated else "arrowhead"
    return Markup(
        '<g class="flow {kind}"><title>{description}</title>'
        '<path d="{path}" marker-{end}="url(#{head})"/>{label}</g>'
    ).format(
        kind=kind,
        description=arrow.description,
        path=_path(lines),
        end="start" if backward else "end",
        head=head,
        label=_text("ports", label.right, label.bottom - 3, arrow.label, anchor="end"),
    )


def _path(lines: Iterable[Line]) -> str:
    """Level, curved, level; a bend is crossed on the level."""
    parts: list[str] = []
    for line in lines:
        (x0, y0), (x1, y1), (x2, y2), (x3, _) = line.points
        middle = (x1 + x2) / 2
        parts.append(f"{'L' if parts else 'M'}{_number(x0)} {_number(y0)}H{_number(x1)}")
        parts.append(
            f"C{_number(middle)} {_number(y1)} {_number(middle)} {_number(y2)} {_number(x2)} {_number(y2)}"
        )
        parts.append(f"H{_number(x3)}")
    return "".join(parts)


def _box(box: Box, rect: Rect) -> Markup:
    if len(box.members) == 1:
        inner = _member(box.members[0], rect, box.kind)
    else:
        inner = _rect(rect, "group", 7) + _members(box, rect)
    among = (
        _text("note", rect.x + rect.width / 2, rect.bottom - 6, f"⇄ {box.among}") if box.among else Markup()
    )
    return Markup('<g class="node {}">{}{}</g>').format(box.kind, inner, among)


def _members(box: Box, rect: Rect) -> Markup:
    """One below the other, spread over the height of their frame."""
    room = (rect.height - (SLOT if box.among else 0) - PAD) / len(box.members)
    return Markup().join(
        _member(
            member,
            Rect(rect.x + PAD, rect.y + PAD + index * room, rect.width - 2 * PAD, room - PAD),
            box.kind,
        )
        for index, member in enumerate(box.members)
    )


def _member(member: tuple[str, str], rect: Rect, kind: str) -> Markup:
    name, note = member
    middle, centre = rect.x + rect.width / 2, rect.y + rect.height / 2
    radius = min(rect.height, ROW) / 2 if kind in ("outside", "stranger") else 4
    return (
        _rect(rect, "box", radius)
        + _text("name", middle, centre + (-2 if note else 4), name)
        + (_text("note", middle, centre + 12, note) if note else Markup())
    )


def _rect(rect: Rect, name: str, radius: float) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="{}"/>').format(
        name, *(_number(value) for value in (rect.x, rect.y, rect.width, rect.height, radius))
    )


def _text(name: str, x: float, y: float, text: str, *, anchor: str = "middle") -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        name, _number(x), _number(y), anchor, escape(text)
    )


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
