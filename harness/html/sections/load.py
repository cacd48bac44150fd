"""The results under load: the answer first, then pictures with their numbers, run by run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.core.formatting import figure, interval
from harness.html.drawing import beyond, overtime, quantiles, scalingcurve, search
from harness.html.drawing import seconds as by_second
from harness.html.drawing.chart import Table
from harness.html.drawing.scale import finite
from harness.html.words import SYMBOLS, count, plural, seconds

NAME = "load"
TITLE = "Under load"
TITLES = {
    "latency": "Latency at a fixed rate",
    "capacity": "Capacity: the highest rate that meets the objective",
    "scaling": "Scaling: throughput by number of workers",
    "soak": "Soak: a steady load for a long time",
    "overload": "Overload: beyond capacity",
}
ENTRY_POINTS = {"client": "the front door", "runner": "the runner", "judge0": "Judge0 itself"}
SUBMISSION_MODES = {
    "wait": "created and waited for in one request",
    "poll": "created, then asked for until it is final",
    "batch": "created, then asked for in batches",
    "callback": "created, then reported by a callback",
}
RUN_COLUMNS = (
    "run", "workers", "offered /s", "achieved /s", "submissions", "errors", "p50 ms", "p99 ms",
    "sent late by, p99 ms", "bottleneck", "remarks",
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A picture and the same in numbers."""

    title: str
    drawn: Markup | None
    caption: str
    tables: tuple[Table, ...]


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """An entry for each experiment; None if there is none."""
    entries = report.get("load")
    if not entries:
        return None
    return {"experiments": [_experiment(entry, f"load-{place}") for place, entry in enumerate(entries, 1)]}


def _experiment(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    chief = _chief(entry)
    return {
        **entry,
        "title": TITLES.get(entry["experiment"], entry["experiment"]),
        "symbol": SYMBOLS.get(entry["verdict"], "?"),
        "facts": list(_facts(entry)),
        "environment": [
            *_flat("", entry["environment"]),
            *_flat("detected: ", entry["route"].get("facing") or {}),
        ],
        "pictures": list(_pictures(entry, key)),
        "table": Table("Runs, without their warm-up", RUN_COLUMNS, tuple(map(_row, entry["runs"]))),
        "runs": [
            _run(run, entry, f"{key}-{place}", shown=run is chief)
            for place, run in enumerate(entry["runs"], 1)
        ],
    }


def _chief(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The run that is shown expanded: the one nearest to the answer, else the valid one with most load."""
    runs: Sequence[Mapping[str, Any]] = entry["runs"]
    valid = [run for run in runs if not run["doubts"] and not run["partial"]] or runs
    answer = finite(entry["capacity"]["rate"]["value"]) if entry["capacity"] else None
    if answer is not None:
        return min(valid, key=lambda run: abs((finite(run["offered"]) or 0.0) - answer), default=None)
    return max(valid, key=lambda run: finite(run["offered"]) or 0.0, default=None)


def _facts(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    route, workload = entry["route"], entry["workload"]
    if entry["throughput"]:
        yield "throughput", f"{interval(entry['throughput'])} a second"
    for name, each in entry["latency"].items():
        yield f"{name.removesuffix('_ms')}, ms", interval(each)
    yield "objective", _objective(entry["objective"]) or "none"
    yield "entry point", ENTRY_POINTS.get(route.get("door"), str(route.get("door", "–")))
    mode = SUBMISSION_MODES.get(route.get("way"), str(route.get("way", "–")))
    yield "submission mode", f"{mode}: {route['why']}" if route.get("why") else mode
    yield "workload", _workload(workload)
    yield "began", str(entry["began"]).replace("T", " ").replace("+00:00", " UTC")
    yield "took", seconds(finite(entry["seconds"]) or 0.0)


def _objective(objective: Mapping[str, Any]) -> str:
    """The latency limits in words, and all other values."""
    limits = [words.removeprefix("objective: ") for _, _, words in quantiles.limits(objective)]
    rest = {name: value for name, value in objective.items() if not quantiles.LIMIT.fullmatch(name)}
    return ", ".join([*limits, *([_listed(rest)] if rest else [])])


def _workload(workload: Mapping[str, Any]) -> str:
    programs = workload.get("programs") or ()
    whole = sum(each.get("weight") or 0 for each in programs)
    shares = ", ".join(
        f"{each.get('name')} ({each.get('language')}){_share(each.get('weight') or 0, whole)}"
        for each in programs
    )
    seed = f", seed {workload['seed']}" if "seed" in workload else ""
    return f"{workload.get('name', '–')}{seed}{': ' if shares else ''}{shares}"


def _share(weight: float, whole: float) -> str:
    return f" {100 * weight / whole:.3g} %" if 0 < weight < whole else ""


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in values.items())


def _plain(value: Any) -> str:
    """A value of any kind, short."""
    if isinstance(value, Mapping):
        return _listed(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return figure(value) if isinstance(value, float) else str(value)


def _flat(before: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{before}{name} ", value)
        else:
            yield f"{before}{name}".replace("_", " "), _plain(value)


def _pictures(entry: Mapping[str, Any], key: str) -> Iterator[Picture]:
    """What belongs to the experiment as a whole."""
    if scaling := entry["scaling"]:
        drawn = scalingcurve.draw(scaling, f"{key}-scaling")
        tables = (scalingcurve.points_table(scaling), scalingcurve.fits_table(scaling))
        yield Picture(
            "Throughput by number of workers", drawn, _unless_repeated(scaling["told"], entry), tables
        )
    if capacity := entry["capacity"]:
        drawn = search.draw(capacity, f"{key}-search")
        yield Picture(
            "The search", drawn, _unless_repeated(capacity["told"], entry), (search.table(capacity),)
        )
    if overload := entry["overload"]:
        drawn = beyond.draw(overload, f"{key}-beyond")
        yield Picture(
            "Before and during", drawn, _unless_repeated(overload["told"], entry), (beyond.table(overload),)
        )


def _unless_repeated(text: str, entry: Mapping[str, Any]) -> str:
    return "" if text == entry["told"] else text


def _run(run: Mapping[str, Any], entry: Mapping[str, Any], key: str, *, shown: bool) -> Mapping[str, Any]:
    return {
        "label": run["label"],
        "told": f"{figure(run['achieved'])} a second, {plural(_errors(run), 'error')}",
        "shown": shown,
        "remarks": list(_remarks(run)),
        "bottleneck": _bottleneck(run["bottleneck"]),
        "said": [(outcome, text) for outcome, texts in run["said"].items() for text in texts],
        "pictures": list(_run_pictures(run, entry["objective"], key)),
    }


def _run_pictures(run: Mapping[str, Any], objective: Mapping[str, Any], key: str) -> Iterator[Picture]:
    if run["stages"]:
        drawn = quantiles.draw(run, objective, f"{key}-quantiles")
        caption = "Each step to the right is ten times rarer. Only stages that were measured are drawn."
        yield Picture("How long it took", drawn, caption, (quantiles.table(run),))
    tables = [by_second.table(by_second.steps(run["series"]))] if run["series"] else []
    tables += [by_second.queue_table(run["queue"])] if run["queue"] else []
    tables += [by_second.nodes_table(run["nodes"])] if run["nodes"] else []
    if tables:
        drawn = overtime.draw(run, objective, f"{key}-time")
        yield Picture("What happened when", drawn, _began(run), tuple(tables))


def _began(run: Mapping[str, Any]) -> str:
    began = str(run["began"]).replace("T", " ").replace("+00:00", " UTC")
    return f"The run began {began}. Latency is shown at the end of each submission."


def _errors(run: Mapping[str, Any]) -> int:
    return sum(run["errors"].values())


def _row(run: Mapping[str, Any]) -> tuple[str, ...]:
    total = run["stages"].get("total") or {}
    errors = ", ".join(f"{count(number)} {name.lower()}" for name, number in run["errors"].items() if number)
    return (
        run["label"],
        "–" if run["workers"] is None else count(run["workers"]),
        figure(run["offered"]),
        figure(run["achieved"]),
        count(run["arrivals"]),
        errors or "none",
        figure(total.get("p50_ms")),
        figure(total.get("p99_ms")),
        figure(run["late_p99_ms"]),
        str(run["bottleneck"].get("what") or "–"),
        "; ".join(_remarks(run)) or "–",
    )


def _remarks(run: Mapping[str, Any]) -> Iterable[str]:
    if run["partial"]:
        yield f"partial: {run['partial']}"
    yield from run["doubts"]


def _bottleneck(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not found.get("what"):
        return None
    evidence = found.get("evidence") or {}
    return {"what": found["what"], "why": found.get("why") or "", "evidence": list(_flat("", evidence))}
