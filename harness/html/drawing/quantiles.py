"""How long the stages of a submission took: a line each, by quantile, with room for the rare slow ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.core.formatting import figure
from harness.html.drawing import chart, scale
from harness.html.drawing.chart import Plot, Table
from harness.html.words import count
from harness.load.result import STAGES

HEIGHT, TOP, LINE_AT = 240.0, 26.0, 11.0
LIMIT = re.compile(r"p(\d+)_ms")
NAMES = {
    "accepted": "until it was accepted",
    "queue": "waiting in the queue",
    "execution": "running",
    "judged": "from creation to final status, by Judge0's clock",
    "total": "from the intended start until its final status was known",
}
COLUMNS = ("stage", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "longest ms", "mean ms", "submissions")
SHOWN = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "mean_ms")

Goal = tuple[float, float, str]


def draw(run: Mapping[str, Any], objective: Mapping[str, Any], key: str) -> Markup | None:
    """The picture of one of a report's runs; None if nothing of it was measured."""
    lines = dict(_lines(run["stages"]))
    if not lines:
        return None
    goals = list(limits(objective))
    plot = _plot(lines, goals)
    parts = [chart.heading(LINE_AT, "Milliseconds by share of submissions"), chart.frame(plot)]
    parts += [_goal(plot, goal) for goal in goals]
    parts += [chart.line(plot, points, f"stage-{name}") for name, points in lines.items()]
    parts += [_labels(plot, lines), chart.axis(plot, "this share of all submissions was no slower")]
    height = plot.bottom + 2 * chart.LINE + 4
    description = "; ".join(_description(name, run["stages"][name]) for name in lines)
    return chart.picture(key, "Latency by stage and quantile", description, height, parts, kind="quantiles")


def table(run: Mapping[str, Any]) -> Table:
    """The same in numbers."""
    rows = tuple(
        (
            f"{name}: {NAMES.get(name, '')}",
            *(figure(stage.get(each)) for each in SHOWN),
            count(stage["count"]),
        )
        for name, stage in _ordered(run["stages"])
    )
    return Table("Latency by stage", COLUMNS, rows)


def limits(objective: Mapping[str, Any]) -> Iterator[Goal]:
    """What an objective says of latency: quantile, ms, and words. ``p999_ms`` is the 99.9th percentile."""
    for name, value in objective.items():
        digits = LIMIT.fullmatch(name)
        if digits and isinstance(value, int | float) and scale.finite(value):
            quantile = float(f"0.{digits[1]}")
            yield quantile, float(value), f"objective: {100 * quantile:g} % within {figure(value)} ms"


def _ordered(stages: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    names = [*(name for name in STAGES if name in stages), *(name for name in stages if name not in STAGES)]
    return [(name, stages[name]) for name in names]


def _lines(stages: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    for name, stage in _ordered(stages):
        points = [
            (quantile, ms)
            for quantile, ms in stage["curve"]
            if scale.finite(quantile) is not None and scale.finite(ms) is not None
        ]
        if points:
            yield name, sorted(points)


def _plot(lines: Mapping[str, Sequence[tuple[float, float]]], goals: Sequence[Goal]) -> Plot:
    values = [ms for points in lines.values() for _, ms in points]
    furthest = max(quantile for points in lines.values() for quantile, _ in points)
    y = scale.magnitudes([*values, *(ms for _, ms, _ in goals)])
    return Plot(scale.nines(furthest), y, TOP, HEIGHT)


def _goal(plot: Plot, goal: Goal) -> Markup:
    """The line, and where it counts."""
    quantile, ms, words = goal
    return chart.level(plot, ms, "objective", words) + chart.dot(plot, (quantile, ms), "objective-dot", words)


def _labels(plot: Plot, lines: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """Each line's name, to the right of the plot at the height of its end."""
    ends = chart.spread([plot.down(points[-1][1]) + 4 for points in lines.values()])
    over = max(0.0, max(ends) - plot.bottom - 4)
    return Markup().join(
        chart.words_at("100%", end - over, name, kind=f"key stage-{name}", dx=6)
        for name, end in zip(lines, ends, strict=True)
    )


def _description(name: str, stage: Mapping[str, Any]) -> str:
    half, rare = figure(stage.get("p50_ms")), figure(stage.get("p99_ms"))
    return f"{name}: half within {half} ms, 99 % within {rare} ms"
