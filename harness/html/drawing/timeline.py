"""One trial of a fault as a timeline: submissions as dots, and what came when as bars. Drawn as SVG.

Places along the time are percents, sizes and text are pixels: the picture is as wide as there is room, and
its words stay as large as the others. What colour says is also said by the row that a mark stands in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.html.words import plural, seconds

LEAD = 1.0  # percent that are left free on each side
RADIUS, LINE, BAR, GAP = 2.5, 15, 8, 8
TALLEST, LONGEST = 48.0, 20.0  # pixels, and the seconds that they stand for; longer answers end there
STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
TICKS = 8
OUTCOMES = ("accepted", "refused", "unanswered", "unknown", "lost", "duplicated")
WORDS = {"unknown": "not known what became of it", "duplicated": "ended twice"}
DONE = {"power_off": "without power", "partition": "cut off"}
HEALED = {"power_off": "power was ordered", "partition": "it was let in again"}


@dataclass(frozen=True)
class Span:
    """A bar from one second to another, with its words; ``open``: it came to no end."""

    kind: str
    words: str
    start: float
    end: float
    open: bool = False


@dataclass(frozen=True)
class Scale:
    """From seconds since the fault to percents of the width."""

    first: float
    last: float

    def x(self, second: float) -> str:
        """Where a second is, as SVG wants it."""
        share = (min(max(second, self.first), self.last) - self.first) / (self.last - self.first)
        return f"{LEAD + share * (100 - 2 * LEAD):.2f}%"

    def width(self, start: float, end: float) -> str:
        """How wide a bar is."""
        whole = self.last - self.first
        inside = min(end, self.last) - max(start, self.first)
        return f"{max(inside, 0.0) / whole * (100 - 2 * LEAD):.2f}%"

    def ticks(self) -> list[int]:
        """Whole seconds to be written below."""
        step = next((each for each in STEPS if (self.last - self.first) / each <= TICKS), STEPS[-1])
        return list(range(math.ceil(self.first / step) * step, math.floor(self.last) + 1, step))


def draw(trial: Mapping[str, Any], fault: str, key: str) -> Markup:
    """The picture of one of a report's trials; ``fault`` is its kind, ``key`` makes the page's ids unique."""
    line = trial["timeline"]
    scale = _scale(line)
    parts: list[Markup] = []
    y = 0.0
    for outcome in OUTCOMES:
        made = [each for each in line["submissions"] if each["outcome"] == outcome]
        if made:
            lane, height = _lane(outcome, made, scale, y)
            parts.append(lane)
            y += height + GAP
    for span in spans(trial, fault):
        parts.append(_bar(span, scale, y))
        y += LINE + BAR + GAP
    height = y + LINE
    return Markup(
        '<svg class="timeline" role="img" aria-labelledby="{key}-title {key}-text" height="{height}">'
        '<title id="{key}-title">What happened when</title><desc id="{key}-text">{description}</desc>'
        "{marks}{parts}{axis}</svg>"
    ).format(
        key=key,
        height=_number(height),
        description="; ".join(_description(trial, fault)),
        marks=_line(scale, 0.0, y) + _line(scale, line["healing"], y),
        parts=Markup().join(parts),
        axis=_axis(scale, height),
    )


def spans(trial: Mapping[str, Any], fault: str) -> list[Span]:
    """The bars from top to bottom."""
    line = trial["timeline"]
    healing, ended, lasted = line["healing"], line["ended"], seconds(line["healing"])
    done, healed = DONE.get(fault, fault), HEALED.get(fault, "it was healed")
    ready = trial["ready_s"]
    return [
        Span("fault", f"{done} for {lasted}", 0.0, healing),
        _until("detected", "shown Down", "not detected as Down", trial["detected_s"], healing),
        _until("rto", "answering again", "not answering while it lasted", trial["rto_s"], line["observed"])
        if trial["rto_s"] != 0
        else Span("rto", "answering all the while", 0.0, line["observed"]),
        _until("full", "full replicas", "not at full replicas while it lasted", trial["full_s"], healing)
        if trial["full_s"] != 0
        else Span("full", "full replicas all the while", 0.0, healing),
        Span("ready", f"Ready {seconds(ready)} after {healed}", healing, healing + ready)
        if ready is not None
        else Span("ready", "not Ready again", healing, ended, open=True),
    ]


def _until(kind: str, words: str, never: str, value: float | None, last: float) -> Span:
    if value is None:
        return Span(kind, never, 0.0, last, open=True)
    return Span(kind, f"{words} after {seconds(value)}", 0.0, value)


def _scale(line: Mapping[str, Any]) -> Scale:
    begun = [each["begun"] for each in line["submissions"]]
    first = max(min([*begun, -1.0]), -10.0)
    return Scale(first, max(line["ended"], line["healing"], first + 1.0))


def _lane(outcome: str, made: Sequence[Mapping[str, Any]], scale: Scale, y: float) -> tuple[Markup, float]:
    """Dots of one outcome, the higher the longer the answer took, and how tall they are together."""
    waits = [0.0 if outcome == "unanswered" else each["seconds"] or 0.0 for each in made]
    rises = [TALLEST * min(each, LONGEST) / LONGEST for each in waits]
    floor = y + LINE + max(rises) + 2 * RADIUS
    dots = Markup().join(
        Markup('<circle cx="{}" cy="{}" r="{}"/>').format(
            scale.x(each["begun"]), _number(floor - RADIUS - rise), RADIUS
        )
        for each, rise in zip(made, rises, strict=True)
    )
    slowest = f", the slowest after {seconds(max(waits))}" if max(waits) else ""
    label = _text(y, f"{len(made)} {WORDS.get(outcome, outcome)}{slowest}")
    return Markup('<g class="{}">{}{}</g>').format(outcome, label, dots), floor - y


def _bar(span: Span, scale: Scale, y: float) -> Markup:
    return Markup(
        '<g class="{kind}">{text}'
        '<rect class="{state}" x="{x}" y="{y}" width="{width}" height="{height}"/></g>'
    ).format(
        kind=span.kind,
        text=_text(y, span.words),
        state="open" if span.open else "closed",
        x=scale.x(span.start),
        y=_number(y + LINE + 1),
        width=scale.width(span.start, span.end),
        height=BAR - 2,
    )


def _axis(scale: Scale, height: float) -> Markup:
    near_the_end = scale.last - (scale.last - scale.first) / 25
    return Markup().join(
        Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
            scale.x(each), _number(height - 2), "end" if each > near_the_end else "middle", f"{each} s"
        )
        for each in scale.ticks()
    )


def _line(scale: Scale, second: float, height: float) -> Markup:
    return Markup('<line x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(scale.x(second), _number(height))


def _text(y: float, text: str) -> Markup:
    return Markup('<text x="{}%" y="{}">{}</text>').format(LEAD, _number(y + LINE - 4), text)


def _description(trial: Mapping[str, Any], fault: str) -> Iterator[str]:
    for outcome in OUTCOMES:
        number = sum(each["outcome"] == outcome for each in trial["timeline"]["submissions"])
        if number:
            yield f"{plural(number, 'submission')} {WORDS.get(outcome, outcome)}"
    yield from (span.words for span in spans(trial, fault))


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
