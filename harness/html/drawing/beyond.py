"""Beyond capacity: what became of the load, and how long what was accepted took, before and during."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from harness.core.formatting import figure
from harness.html.drawing import chart, scale
from harness.html.drawing.chart import LINE, Plot, Table
from harness.html.drawing.scale import Scale, finite, known
from harness.html.words import seconds

BAR, TOP = 16.0, 6.0
ROW = LINE + BAR + 8
NOTHING = Scale(0.0, 1.0, ())


def draw(overload: Mapping[str, Any], key: str) -> Markup | None:
    """The picture of a report's ``overload``; None if there are no numbers to draw."""
    rates = _rates(overload)
    latency, bound = _latency(overload), finite(overload["bound_ms"])
    if not known([*rates.values()]) and not known([*latency.values()]):
        return None
    parts = [chart.heading(11, "Submissions a second")]
    top = TOP + LINE
    whole = scale.linear(0.0, max([*known(rates.values()), 0.0]), snug=True)
    parts += [_bar(whole, top + ROW * place, name, rates[name], "/s") for place, name in enumerate(rates)]
    top += ROW * len(rates) + LINE
    parts += [chart.heading(top + 5, "95 % were no slower than, ms")]
    top += LINE
    axis = scale.linear(0.0, max(known([*latency.values(), bound]), default=1.0) * 1.02, snug=True)
    parts += [_bar(axis, top + ROW * place, name, latency[name], " ms") for place, name in enumerate(latency)]
    plot = Plot(axis, NOTHING, top, ROW * len(latency))
    parts += [] if bound is None else [_bound(plot, bound)]
    description = "; ".join(row[0] + " " + row[1] for row in table(overload).rows)
    height = plot.bottom + LINE + 6
    return chart.picture(key, "Before and beyond capacity", description, height, parts, kind="beyond")


def table(overload: Mapping[str, Any]) -> Table:
    """The same in numbers."""
    back = overload["recovered_s"]
    rows = [(name, f"{figure(value)} /s") for name, value in _rates(overload).items()]
    rows += [(f"p95 {name}", f"{figure(value)} ms") for name, value in _latency(overload).items()]
    rows += [("bound of p95", f"{figure(overload['bound_ms'])} ms")]
    rows += [("refusal message", str(overload["refusal"] or "–"))]
    rows += [("recovered after", "not observed" if finite(back) is None else seconds(back))]
    return Table("Before, during and after", ("what", "measured"), tuple(rows))


def _rates(overload: Mapping[str, Any]) -> dict[str, float]:
    return {name: overload[name] for name in ("offered", "accepted", "refused")}


def _latency(overload: Mapping[str, Any]) -> dict[str, float]:
    return {
        "before, within capacity": overload["baseline_p95_ms"],
        "during, of what was accepted": overload["accepted_p95_ms"],
    }


def _bar(x: Scale, top: float, name: str, value: float, unit: str) -> Markup:
    """A bar from the left, with its words above."""
    words = chart.words_at("0", top + LINE - 4, f"{name}: {figure(value)}{unit}")
    if finite(value) is None:
        return words
    kind = name.partition(",")[0]
    return words + chart.shade(Plot(x, NOTHING, top + LINE, BAR), 0.0, value, f"bar-{kind}")


def _bound(plot: Plot, bound: float) -> Markup:
    anchor = "end" if plot.x.share(bound) > 0.5 else "start"
    words = f"bound: {figure(bound)} ms"
    return chart.upright(plot, bound, "objective") + chart.words_at(
        plot.across(bound), plot.bottom + LINE - 2, words, kind="objective-words", anchor=anchor
    )
