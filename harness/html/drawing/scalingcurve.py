"""Throughput against workers: what was measured, with its intervals, and what was fitted to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.core.formatting import figure, interval
from harness.html.drawing import chart, scale
from harness.html.drawing.chart import LINE, Plot, Table
from harness.html.drawing.scale import finite, known

HEIGHT, TOP = 260.0, 26.0
MODELS = {"amdahl": "Amdahl", "usl": "Universal Scalability Law", "linear": "linear"}


def draw(scaling: Mapping[str, Any], key: str) -> Markup | None:
    """The picture of a report's ``scaling``; None if nothing was measured."""
    points = [(workers, each) for workers, each in scaling["points"] if finite(each["value"]) is not None]
    if not points:
        return None
    plot = _plot(points, scaling)
    parts = [
        chart.heading(11, "Submissions a second, by number of workers", _keys(scaling)),
        chart.frame(plot),
    ]
    parts += [_cores(plot, scaling["cores"])]
    parts += [part for fit in scaling["fits"] for part in _fit(plot, fit)]
    parts += [_point(plot, workers, each) for workers, each in points]
    parts += [chart.axis(plot, "workers")]
    description = "; ".join(f"{workers} workers: {interval(each)} a second" for workers, each in points)
    height = plot.bottom + 2 * LINE + 4
    return chart.picture(key, "Throughput by number of workers", description, height, parts, kind="scaling")


def points_table(scaling: Mapping[str, Any]) -> Table:
    """What was measured, in numbers."""
    rows = tuple((figure(workers), interval(each)) for workers, each in scaling["points"])
    return Table("Measured", ("workers", "submissions a second"), rows)


def fits_table(scaling: Mapping[str, Any]) -> Table:
    """What was fitted, in numbers, and why a model is not used."""
    columns = ("model", "parameters", "R²", "peak", "one more worker", "used")
    return Table("Fitted", columns, tuple(map(_row, scaling["fits"])))


def _row(fit: Mapping[str, Any]) -> tuple[str, ...]:
    parameters = "; ".join(f"{name} = {interval(each)}" for name, each in fit["parameters"].items())
    peak = "–"
    if fit["peak_workers"] is not None:
        peak = f"{figure(fit['peak'])}/s at {figure(fit['peak_workers'])} workers"
    more = f"{interval(fit['next_worker'])}/s" if fit["next_worker"] else "–"
    used = f"no: {fit['refused']}" if fit["refused"] else "yes"
    return (MODELS.get(fit["model"], fit["model"]), parameters or "–", figure(fit["r2"]), peak, more, used)


def _plot(points: Sequence[tuple[int, Mapping[str, Any]]], scaling: Mapping[str, Any]) -> Plot:
    """Wide enough for points and cores, tall enough for points and the fits that are used."""
    used = [edge for fit in scaling["fits"] if not fit["refused"] for edge in fit["band"]]
    tops = known([*(each[name] for _, each in points for name in ("value", "high")), *(e[3] for e in used)])
    wide = known([*(workers for workers, _ in points), *(edge[0] for edge in used)])
    x = scale.linear(0.0, max(wide) * 1.04, most=8, whole=True, snug=True)
    return Plot(x, scale.linear(0.0, max([*tops, 0.0])), TOP, HEIGHT)


def _keys(scaling: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "measured", "● measured"
    for fit in scaling["fits"]:
        if fit["band"]:
            mark, state = ("┄", ", not used") if fit["refused"] else ("─", "")
            yield f"fit-{fit['model']}", f"{mark} {MODELS.get(fit['model'], fit['model'])}{state}"


def _fit(plot: Plot, fit: Mapping[str, Any]) -> Iterator[Markup]:
    kind = f"fit-{fit['model']}{' refused' if fit['refused'] else ''}"
    if not fit["refused"]:
        yield chart.band(plot, [(x, low, high) for x, low, _, high in fit["band"]], kind)
    yield chart.line(plot, [(x, _within(plot, value)) for x, _, value, _ in fit["band"]], kind)


def _within(plot: Plot, value: float | None) -> float | None:
    """None for what lies above the picture, which a model that is not used may."""
    return value if value is not None and value <= plot.y.last else None


def _cores(plot: Plot, cores: int) -> Markup:
    if not plot.x.first < cores <= plot.x.last:
        return Markup()
    words = f"{figure(cores)} core{'' if cores == 1 else 's'}"
    return chart.upright(plot, cores, "cores") + chart.words_at(
        plot.across(cores), plot.bottom - 6, words, kind="tick", dx=5
    )


def _point(plot: Plot, workers: int, each: Mapping[str, Any]) -> Markup:
    low, high = finite(each["low"]), finite(each["high"])
    whisker = Markup() if low is None or high is None else chart.whisker(plot, workers, low, high, "measured")
    words = f"{workers} workers: {interval(each)} a second"
    return whisker + chart.dot(plot, (workers, each["value"]), "measured", words)
