"""One run over time: what was due and ended, how long it took, and what queue and nodes did meanwhile.

All plots stand below one another and share one axis of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.core.formatting import figure
from harness.html.drawing import chart, scale
from harness.html.drawing.chart import LINE, Plot, Point
from harness.html.drawing.quantiles import limits
from harness.html.drawing.scale import Scale
from harness.html.drawing.seconds import Step, steps
from harness.html.words import count, plural

TALL, MIDDLE, LOW = 110.0, 72.0, 44.0
ABOVE, BELOW = 24.0, 12.0  # pixels around a plot: for its title, and to the next one
MOST_LETTERS = 30
LEAST_ERROR = 4.0  # pixels: a single error must be visible

Keys = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Panel:
    """A plot that has no place yet. ``keys`` say which line is which: (kind, words)."""

    title: str
    keys: Keys
    y: Scale
    height: float
    inside: Callable[[Plot], Markup]


def draw(run: Mapping[str, Any], objective: Mapping[str, Any], key: str) -> Markup | None:
    """The picture of one of a report's runs; None if it has no seconds."""
    shown = steps(run["series"])
    if not shown:
        return None
    panels = list(_panels(run, shown, objective))
    x = scale.clock(shown[0].t, max([shown[-1].t + shown[-1].seconds, *_times(run)]))
    plots = _stacked(panels, x)
    parts = [
        part
        for panel, plot in zip(panels, plots, strict=True)
        for part in _panel(panel, plot, run["warmup_s"], named=plot is plots[0])
    ]
    parts += [_hover(plots[0], plots[-1].bottom, shown), chart.axis(plots[-1], "since the run began")]
    height = plots[-1].bottom + 2 * LINE + 4
    return chart.picture(key, "What happened when", _description(run, shown), height, parts, kind="overtime")


def _panels(run: Mapping[str, Any], shown: list[Step], objective: Mapping[str, Any]) -> Iterator[Panel]:
    yield _rates(shown)
    yield _latency(shown, objective)
    if run["queue"]:
        yield _queue(run["queue"])
    for role in dict.fromkeys(node["role"] for node in run["nodes"]):
        yield _cpu(role, [node for node in run["nodes"] if node["role"] == role])


def _rates(shown: Sequence[Step]) -> Panel:
    failing = [step for step in shown if step.errors]
    most = max([0.0, *(max(step.due, step.ended, step.errors / step.seconds) for step in shown)])

    def inside(plot: Plot) -> Markup:
        bars = Markup().join(_errors(plot, step) for step in failing)
        due = chart.line(plot, ((step.t + step.seconds / 2, step.due) for step in shown), "due")
        return bars + due + chart.line(plot, _over(shown, "ended"), "ended")

    keys: Keys = (("due", "┄ due"), ("ended", "─ ended"), *([("errors", "▮ errors")] if failing else []))
    return Panel("Submissions a second", keys, scale.linear(0.0, most), TALL, inside)


def _errors(plot: Plot, step: Step) -> Markup:
    """A bar from the bottom, as wide as the step."""
    top = min(plot.down(step.errors / step.seconds), plot.bottom - LEAST_ERROR)
    bar = Plot(plot.x, plot.y, top, plot.bottom - top)
    return chart.shade(bar, step.t, step.t + step.seconds, "errors")


def _latency(shown: Sequence[Step], objective: Mapping[str, Any]) -> Panel:
    goals = list(limits(objective))
    y = scale.magnitudes(
        [*(step.p50 for step in shown), *(step.p99 for step in shown), *(g[1] for g in goals)]
    )

    def inside(plot: Plot) -> Markup:
        levels = Markup().join(chart.level(plot, ms, "objective", words) for _, ms, words in goals)
        return (
            levels
            + chart.line(plot, _over(shown, "p50"), "p50")
            + chart.line(plot, _over(shown, "p99"), "p99")
        )

    return Panel("Latency, ms", (("p50", "─ p50"), ("p99", "┄ p99")), y, TALL, inside)


def _queue(queue: Mapping[str, Any]) -> Panel:
    names = ("waiting", "working", "workers")
    most = max([1.0, *(value for name in names for value in scale.known(queue[name]))])

    def inside(plot: Plot) -> Markup:
        waiting = chart.area(plot, zip(queue["t"], queue["waiting"], strict=False), "waiting")
        return waiting + Markup().join(
            chart.line(plot, zip(queue["t"], queue[name], strict=False), name) for name in names
        )

    keys = (("waiting", "─ waiting"), ("working", "─ working"), ("workers", "┄ workers"))
    return Panel("Queue", keys, scale.linear(0.0, most, whole=True), MIDDLE, inside)


def _cpu(role: str, nodes: Sequence[Mapping[str, Any]]) -> Panel:
    cores = max([0.0, *scale.known(node["cores"] for node in nodes)])
    most = max([cores, 0.1, *(value for node in nodes for value in scale.known(node["cpu"]))])

    def inside(plot: Plot) -> Markup:
        drawn = [list(zip(node["t"], node["cpu"], strict=False)) for node in nodes]
        areas = Markup().join(chart.area(plot, points, "cpu") for points in drawn)
        return areas + Markup().join(chart.line(plot, points, "cpu") for points in drawn)

    return Panel(f"CPU of {_whose(role, nodes)}", (), scale.linear(0.0, most, most=2), LOW, inside)


def _whose(role: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """A role with its nodes, by name where they are few."""
    names = ", ".join(node["node"] for node in nodes)
    if names == role:
        return role
    return f"{role}: {names if len(names) <= MOST_LETTERS else plural(len(nodes), 'node')}"


def _over(shown: Iterable[Step], name: str) -> Iterator[Point]:
    return ((step.t + step.seconds / 2, getattr(step, name)) for step in shown)


def _times(run: Mapping[str, Any]) -> list[float]:
    """When the readings were taken."""
    lists = [*(node["t"] for node in run["nodes"]), (run["queue"] or {}).get("t", ())]
    return scale.known(time for times in lists for time in times)


def _stacked(panels: Iterable[Panel], x: Scale) -> list[Plot]:
    plots: list[Plot] = []
    bottom = -BELOW
    for panel in panels:
        plots.append(Plot(x, panel.y, bottom + BELOW + ABOVE, panel.height))
        bottom = plots[-1].bottom
    return plots


def _panel(panel: Panel, plot: Plot, warmup: float, *, named: bool) -> Iterator[Markup]:
    if scale.known([warmup]) and warmup > plot.x.first:
        yield chart.shade(plot, plot.x.first, warmup, "warm-up")
        yield chart.words_at("0", plot.top + 12, "warm-up, not counted" if named else "", kind="tick", dx=4)
    yield chart.frame(plot)
    yield Markup().join(chart.upright(plot, value, "grid") for value, _ in plot.x.ticks)
    yield panel.inside(plot)
    yield chart.heading(plot.top - 9, panel.title, panel.keys)


def _hover(plot: Plot, bottom: float, shown: Iterable[Step]) -> Markup:
    """A stripe over each step that says all of it when it is pointed at."""
    whole = Plot(plot.x, plot.y, plot.top, bottom - plot.top)
    return Markup().join(
        chart.shade(whole, step.t, step.t + step.seconds, "hover", step.description) for step in shown
    )


def _description(run: Mapping[str, Any], shown: Sequence[Step]) -> str:
    errors = sum(step.errors for step in shown)
    rates = f"{figure(run['offered'])} a second offered, {figure(run['achieved'])} achieved"
    return f"{rates}, {plural(errors, 'error')} in {count(shown[-1].t + shown[-1].seconds)} seconds"
