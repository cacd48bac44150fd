"""Parts of charts: axes, lines, bands, marks and words, as SVG that is as wide as there is room.

Places along x are percents, along y pixels, so words stay as large as the page's others. Paths, which take
no percents, stand in an inner picture that is stretched; their strokes are not. Room beside the chart, for
words, is left by the style sheet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.html.drawing.scale import Scale, finite

LINE = 15.0  # pixels that a line of words takes
STRETCHED = 1000.0  # the width of the inner picture, in its own units

Point = tuple[float | None, float | None]


@dataclass(frozen=True)
class Table:
    """What a picture shows, in numbers: the first of each row is its header."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plot:
    """A field with its axes; ``top`` and ``height`` in pixels."""

    x: Scale
    y: Scale
    top: float
    height: float

    @property
    def bottom(self) -> float:
        """Where it ends, in pixels."""
        return self.top + self.height

    def across(self, value: float) -> str:
        """Where a value is along x, as SVG wants it."""
        return f"{100 * self.x.share(value):.2f}%"

    def down(self, value: float) -> float:
        """Where a value is along y, in pixels of the whole picture."""
        return self.top + self.height * (1 - self.y.share(value))


def picture(
    key: str, title: str, description: str, height: float, parts: Iterable[Markup], *, kind: str
) -> Markup:
    """The whole chart. ``key`` makes the page's ids unique; ``description`` describes it in words."""
    return Markup(
        '<svg class="chart {kind}" role="img" aria-labelledby="{key}-title {key}-text" height="{height}">'
        '<title id="{key}-title">{title}</title><desc id="{key}-text">{description}</desc>{parts}</svg>'
    ).format(
        key=key,
        title=title,
        description=description,
        height=number(height),
        parts=Markup().join(parts),
        kind=kind,
    )


def frame(plot: Plot) -> Markup:
    """Lines across at the ticks of y, with their values to the left."""
    return Markup().join(
        Markup(
            '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>'
            '<text class="tick" x="0" dx="-6" y="{1}" text-anchor="end">{2}</text>'
        ).format(number(plot.down(value)), number(plot.down(value) + 4), words)
        for value, words in plot.y.ticks
    )


def axis(plot: Plot, title: str = "") -> Markup:
    """The values of x below the plot, and what they are."""
    ticks = Markup().join(
        Markup(
            '<line class="notch" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
            '<text class="tick" x="{0}" y="{3}" text-anchor="middle">{4}</text>'
        ).format(plot.across(value), *map(number, (plot.bottom, plot.bottom + 4, plot.bottom + LINE)), words)
        for value, words in plot.x.ticks
    )
    return ticks + words_at("100%", plot.bottom + 2 * LINE, title, anchor="end", kind="tick")


def line(plot: Plot, points: Iterable[Point], kind: str) -> Markup:
    """A line through ``points``; where one is not known, it is broken."""
    drawn = "".join(_path(plot, part) for part in _unbroken(points))
    return (
        stretched(plot, Markup('<path class="line {}" d="{}"/>').format(kind, drawn)) if drawn else Markup()
    )


def area(plot: Plot, points: Iterable[Point], kind: str) -> Markup:
    """What lies between a line and the bottom."""
    drawn = ""
    for part in _unbroken(points):
        first, last = (_place(plot, point).partition(" ")[0] for point in (part[0], part[-1]))
        drawn += f"{_path(plot, part)}L{last} {number(plot.height)}L{first} {number(plot.height)}z"
    return (
        stretched(plot, Markup('<path class="area {}" d="{}"/>').format(kind, drawn)) if drawn else Markup()
    )


def band(plot: Plot, edges: Sequence[tuple[float, float, float]], kind: str) -> Markup:
    """Between two lines: ``edges`` are (x, low, high)."""
    there = [each for each in edges if all(finite(value) is not None for value in each)]
    if len(there) < 2:
        return Markup()
    around = [(x, low) for x, low, _ in there] + [(x, high) for x, _, high in reversed(there)]
    return stretched(plot, Markup('<path class="band {}" d="{}z"/>').format(kind, _path(plot, around)))


def stretched(plot: Plot, inner: Markup) -> Markup:
    """Paths of a plot, in units of which :data:`STRETCHED` are its width."""
    return Markup(
        '<svg y="{}" width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>'
    ).format(*map(number, (plot.top, plot.height, STRETCHED, plot.height)), inner)


def shade(plot: Plot, first: float, last: float, kind: str, words: str = "") -> Markup:
    """A stripe from one value of x to another, as tall as the plot."""
    width = 100 * (plot.x.share(last) - plot.x.share(first))
    if width <= 0:
        return Markup()
    description = Markup("<title>{}</title>").format(words) if words else ""
    return Markup('<rect class="{}" x="{}" y="{}" width="{:.2f}%" height="{}">{}</rect>').format(
        kind, plot.across(first), number(plot.top), width, number(plot.height), description
    )


def upright(plot: Plot, value: float, kind: str) -> Markup:
    """A line from top to bottom at a value of x."""
    return Markup('<line class="{0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>').format(
        kind, plot.across(value), number(plot.top), number(plot.bottom)
    )


def level(plot: Plot, value: float, kind: str, words: str) -> Markup:
    """A line from side to side at a value of y, with its words above its left end."""
    y = plot.down(value)
    return Markup('<line class="{0}" x1="0" x2="100%" y1="{1}" y2="{1}"/>').format(
        kind, number(y)
    ) + words_at("0", y - 4, words, kind=f"{kind}-words", dx=4)


def dot(plot: Plot, at: tuple[float, float], kind: str, words: str, *, radius: float = 4) -> Markup:
    """A round mark that says its words when it is pointed at."""
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
        kind, plot.across(at[0]), number(plot.down(at[1])), number(radius), words
    )


def whisker(plot: Plot, x: float, low: float, high: float, kind: str) -> Markup:
    """An upright line from one value of y to another."""
    return Markup('<line class="{0}" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>').format(
        kind, plot.across(x), number(plot.down(low)), number(plot.down(high))
    )


def heading(top: float, title: str, keys: Iterable[tuple[str, str]] = ()) -> Markup:
    """A plot's title on its own line, and which line is which: (kind, words), each in its colour."""
    spans = Markup().join(
        Markup('<tspan class="key {}" dx="10">{}</tspan>').format(kind, words) for kind, words in keys
    )
    return Markup('<text x="0" dx="-40" y="{}"><tspan class="heading">{}</tspan>{}</text>').format(
        number(top), title, spans
    )


def words_at(x: str, y: float, words: str, *, kind: str = "", anchor: str = "start", dx: float = 0) -> Markup:
    """Words, or nothing if there are none."""
    if not words:
        return Markup()
    return Markup('<text class="{}" x="{}" dx="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, x, number(dx), number(y), anchor, words
    )


def spread(places: Sequence[float], room: float = 13.0) -> list[float]:
    """Places of words, in their order, moved down as far as it takes to stand ``room`` apart."""
    moved = list(places)
    order = sorted(range(len(moved)), key=moved.__getitem__)
    for above, below in itertools.pairwise(order):
        moved[below] = max(moved[below], moved[above] + room)
    return moved


def number(value: float) -> str:
    """A place, to a tenth of a pixel."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _unbroken(points: Iterable[Point]) -> list[list[tuple[float, float]]]:
    parts: list[list[tuple[float, float]]] = [[]]
    for point in points:
        x, y = map(finite, point)
        if x is None or y is None:
            parts.append([])
        else:
            parts[-1].append((x, y))
    return [part for part in parts if part]


def _path(plot: Plot, points: Sequence[tuple[float, float]]) -> str:
    """One point alone is a stroke of no length, which round caps make a dot."""
    places = [_place(plot, point) for point in points]
    return "M" + "L".join(places if len(places) > 1 else 2 * places)


def _place(plot: Plot, point: tuple[float, float]) -> str:
    x, y = point
    return f"{number(STRETCHED * plot.x.share(x))} {number(plot.down(y) - plot.top)}"
