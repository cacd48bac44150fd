"""The search for the highest rate that meets an objective: its steps, from the first one at the top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.core.formatting import figure, interval
from harness.html.drawing import chart, scale
from harness.html.drawing.chart import LINE, Plot, Table
from harness.html.drawing.scale import finite, known

ROW, TOP = 17.0, 26.0
STATES = {True: ("held", "● held"), False: ("missed", "✕ did not hold"), None: ("unknown", "○ no verdict")}


def draw(capacity: Mapping[str, Any], key: str) -> Markup | None:
    """The picture of a report's ``capacity``; None if no step was tried."""
    steps = [step for step in capacity["steps"] if finite(step["rate"]) is not None]
    if not steps:
        return None
    plot = _plot(capacity, steps)
    parts = [chart.heading(11, "Rates that were tried", [STATES[held] for held in _states(steps)])]
    parts += [chart.upright(plot, value, "grid") for value, _ in plot.x.ticks]
    parts += [_answer(plot, capacity)]
    path = [(step["rate"], float(place)) for place, step in enumerate(steps)]
    parts += [chart.line(plot, path, "path")]
    parts += [_step(plot, step, at) for step, at in zip(steps, path, strict=True)]
    parts += [chart.axis(plot, "submissions a second")]
    description = "; ".join(f"{figure(step['rate'])}/s {_word(step['held'])}" for step in steps)
    height = plot.bottom + 2 * LINE + 4
    return chart.picture(key, "Steps of the search", description, height, parts, kind="search")


def table(capacity: Mapping[str, Any]) -> Table:
    """The same in numbers, and why."""
    rows = tuple(
        (figure(step["rate"]), _word(step.get("held")), str(step.get("why") or "–"))
        for step in capacity["steps"]
    )
    return Table("Steps of the search", ("submissions a second", "objective", "why"), rows)


def _word(held: bool | None) -> str:
    return STATES[held][1][2:]


def _states(steps: Sequence[Mapping[str, Any]]) -> list[bool | None]:
    tried = {step["held"] for step in steps}
    return [held for held in STATES if held in tried]


def _plot(capacity: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Plot:
    answer = capacity["rate"]
    rates = known([step["rate"] for step in steps] + [answer["value"], answer["high"], capacity["over"]])
    y = scale.Scale(len(steps) - 0.5, -0.5, ())  # the first step is at the top
    return Plot(scale.linear(0.0, max(rates) * 1.05, most=8, snug=True), y, TOP + LINE, ROW * len(steps))


def _answer(plot: Plot, capacity: Mapping[str, Any]) -> Markup:
    """What was found, as a line with its interval, and in words above it."""
    value, low, high = (finite(capacity["rate"][name]) for name in ("value", "low", "high"))
    if value is None:
        return Markup()
    stripe = Markup() if low is None or high is None else chart.shade(plot, low, high, "estimate")
    anchor = "end" if plot.x.share(value) > 0.5 else "start"
    words = f"{interval(capacity['rate'])} a second"
    return (
        stripe
        + chart.upright(plot, value, "answer")
        + chart.words_at(plot.across(value), plot.top - 4, words, kind="answer-words", anchor=anchor)
    )


def _step(plot: Plot, step: Mapping[str, Any], at: tuple[float, float]) -> Markup:
    kind, _ = STATES[step["held"]]
    why = f": {step['why']}" if step.get("why") else ""
    words = f"{figure(step['rate'])}/s {_word(step['held'])}{why}"
    return chart.dot(plot, at, kind, words, radius=4.5) if kind != "missed" else _cross(plot, at, words)


def _cross(plot: Plot, at: tuple[float, float], words: str) -> Markup:
    """As a sign, which keeps its form however wide the picture is."""
    return Markup('<text class="missed" x="{}" y="{}" text-anchor="middle">✕<title>{}</title></text>').format(
        plot.across(at[0]), chart.number(plot.down(at[1]) + 4.5), words
    )
