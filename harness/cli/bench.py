"""``wavetank bench``: run a load against a deployment, and report its performance and its bottleneck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli import options
from harness.cli.options import RenamedOption
from harness.core.errors import UsageError

if TYPE_CHECKING:
    from harness.load.experiments.bench import Bench
    from harness.load.result import ExperimentResult

F = TypeVar("F", bound=Callable[..., Any])
Experiment = Callable[["Bench"], "ExperimentResult"]

POSITIVE = click.FloatRange(min=0, min_open=True)

_LOAD = (
    click.option(
        "--workload",
        metavar="NAME|FILE",
        default="hello",
        show_default=True,
        help="Programs to submit: name of a built-in workload, or path of a workload file.",
    ),
    click.option(
        "--entry-point",
        cls=RenamedOption,
        former="--door",
        type=click.Choice(("judge0", "runner", "client")),
        default="judge0",
        show_default=True,
        help="API to submit to: Judge0's, the runner's, or the client's (the front door).",
    ),
    click.option(
        "--submission-mode",
        "mode",
        cls=RenamedOption,
        former="--way",
        type=click.Choice(("wait", "poll", "batch", "callback")),
        help="How to wait for results. Default: the mode that measures the workers of the detected Judge0.",
    ),
    click.option(
        "--callback-url",
        metavar="URL",
        help="URL at which workers reach this machine, for --submission-mode callback.",
    ),
    click.option(
        "--seed", type=int, help="Random seed of arrivals and program mix. Default: the workload's."
    ),
    click.option(
        "--connections",
        type=click.IntRange(min=1),
        default=256,
        show_default=True,
        help="Maximum number of open connections.",
    ),
    click.option(
        "--timeout",
        type=POSITIVE,
        default=60.0,
        show_default=True,
        metavar="S",
        help="Give up a submission after S seconds.",
    ),
    click.option(
        "--engine",
        type=click.Choice(("wavetank", "locust")),
        default="wavetank",
        show_default=True,
        help="Load generator: the built-in one, or Locust (master and workers).",
    ),
    click.option(
        "--locust-workers",
        type=click.IntRange(min=0),
        default=2,
        show_default=True,
        help="Number of Locust workers to start on this machine.",
    ),
    click.option(
        "--locust-expect",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Number of additional Locust workers, started on other machines.",
    ),
    click.option(
        "--locust-bind",
        metavar="HOST:PORT",
        help="Address at which Locust's master listens for workers on other machines.",
    ),
)
_OBJECTIVE = (
    click.option(
        "--p50",
        "p50_ms",
        type=POSITIVE,
        metavar="MS",
        help="Fail if the median latency is above MS milliseconds.",
    ),
    click.option(
        "--p95",
        "p95_ms",
        type=POSITIVE,
        metavar="MS",
        help="Fail if the 95th percentile of latency is above MS milliseconds.",
    ),
    click.option(
        "--p99",
        "p99_ms",
        type=POSITIVE,
        metavar="MS",
        help="Fail if the 99th percentile of latency is above MS milliseconds.",
    ),
    click.option(
        "--errors",
        type=click.FloatRange(0, 1),
        metavar="RATIO",
        help="Fail if the ratio of failed submissions is above RATIO (0 to 1). Default: 0.",
    ),
)
_REPEAT = (
    click.option(
        "--repetitions",
        type=click.IntRange(min=1),
        default=8,
        show_default=True,
        help="Maximum number of runs.",
    ),
    click.option(
        "--precision",
        type=click.FloatRange(0, 1, min_open=True),
        default=0.1,
        show_default=True,
        help="Stop repeating once the confidence interval is within this fraction of the value.",
    ),
)
_SECONDS = click.option("--seconds", type=POSITIVE, metavar="S", help="Duration of each run, in seconds.")
_RATE = click.option("--rate", type=float, metavar="R", help="Arrivals per second (Poisson process).")


def _with(*groups: tuple[Callable[[F], F], ...]) -> Callable[[F], F]:
    def add(function: F) -> F:
        for group in reversed(groups):
            for option in reversed(group):
                function = option(function)
        return options.output(options.common(function))

    return add


@click.group()
def bench() -> None:
    """Measure a deployment under load; exit 0 objective met, 1 missed, 2 inconclusive.

    Each experiment warms up, repeats its runs, names the bottleneck, and adds its result to the run's report.
    """


@bench.command()
@_with(_LOAD, _OBJECTIVE, _REPEAT, (_SECONDS, _RATE))
@click.option(
    "--schedule",
    metavar="TEXT",
    help="Arrival schedule instead of --rate: constant:50x30s, ramp:10-100x60s or trace:FILE.",
)
@click.option(
    "--clients",
    type=click.IntRange(min=1),
    metavar="N",
    help="Closed loop with N clients, instead of arrivals at a rate.",
)
def latency(schedule: str | None, clients: int | None, **given: Any) -> int:
    """Measure the latency of submissions at a fixed rate."""
    from harness.load.experiments.latency import Latency
    from harness.load.experiments.latency import latency as measure

    wanted = Latency(
        rate=_rate(given, 10.0),
        seconds=given["seconds"] or 30.0,
        warmup=_warmup(given["seconds"] or 30.0),
        arrivals=_arrivals(schedule, given),
        clients=clients or 0,
        objective=_objective(given),
        repetition=_repetition(given),
    )
    return _bench(given, lambda bench: measure(bench, wanted))


@bench.command()
@_with(_LOAD, _OBJECTIVE, (_SECONDS, _RATE))
@click.option(
    "--resolution",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Stop the search once the highest rate is known to within this fraction.",
)
@click.option(
    "--within",
    type=POSITIVE,
    metavar="S",
    help="Stop the search after S seconds and report what is known. Default: 8.75 runs (175 s).",
)
def capacity(resolution: float, within: float | None, **given: Any) -> int:
    """Find the highest rate that meets the objective (default: p95 of 2000 ms, no errors).

    --rate is the first rate to try. Default: near the throughput of a short closed loop.
    """
    from harness.load.experiments.capacity import Search
    from harness.load.experiments.capacity import capacity as search

    wanted = Search(
        first=None if given["rate"] is None else _rate(given, 0.0),
        seconds=given["seconds"] or 20.0,
        warmup=_warmup(given["seconds"] or 20.0),
        objective=_objective(given) or {"p95_ms": 2000.0},
        resolution=resolution,
        within=within,
    )
    return _bench(given, lambda bench: search(bench, wanted))


@bench.command()
@_with(_LOAD, _REPEAT, (_SECONDS,))
@click.option(
    "--workers",
    metavar="N,N,...",
    default="1,2,4,8",
    show_default=True,
    help="Numbers of worker tasks to try.",
)
def scaling(workers: str, **given: Any) -> int:
    """Measure throughput by number of workers, and estimate what one more worker would add."""
    from harness.load.experiments.scaling import Scale
    from harness.load.experiments.scaling import scaling as measure

    wanted = Scale(
        workers=_numbers(workers),
        seconds=given["seconds"] or 20.0,
        warmup=_warmup(given["seconds"] or 20.0),
        repetition=_repetition(given, metric="throughput", most=5),
    )
    return _bench(given, lambda bench: measure(bench, wanted))


@bench.command()
@_with(_LOAD, _OBJECTIVE, (_SECONDS, _RATE))
def soak(**given: Any) -> int:
    """Run a constant rate for a long time (default: 30 minutes), and fail if anything grows steadily."""
    from harness.load.experiments.soak import Soak
    from harness.load.experiments.soak import soak as measure

    seconds = given["seconds"] or 1800.0
    wanted = Soak(_rate(given, 5.0), seconds, _warmup(seconds), _objective(given))
    return _bench(given, lambda bench: measure(bench, wanted))


@bench.command()
@_with(_LOAD, (_SECONDS, _RATE))
@click.option(
    "--bound",
    type=POSITIVE,
    metavar="MS",
    help="Fail if the 95th percentile of accepted submissions' latency is above MS milliseconds.",
)
def overload(bound: float | None, **given: Any) -> int:
    """Run a load far beyond capacity.

    Checks that excess submissions are refused with a reason, that the latency of accepted ones stays bounded,
    and that the deployment recovers.
    """
    from harness.load.experiments.overload import Overloading
    from harness.load.experiments.overload import overload as measure

    wanted = Overloading(
        rate=None if given["rate"] is None else _rate(given, 0.0),
        seconds=given["seconds"] or 20.0,
        bound_ms=bound,
    )
    return _bench(given, lambda bench: measure(bench, wanted))


def _bench(given: Mapping[str, Any], experiment: Experiment) -> int:
    from harness.load.experiments.command import Load, run
    from harness.load.experiments.site import LoadSettings
    from harness.run import settings

    locust = _locust(given)
    choice = settings.choose_existing(options.settings(given))
    load_settings = LoadSettings(
        workload=_workload(given["workload"]),
        entry_point=given["entry_point"],
        mode=given["mode"],
        seed=given["seed"],
        connections=given["connections"],
        timeout=given["timeout"],
        callback_url=given["callback_url"] or "",
    )
    done = run(choice, Load(load_settings, **locust), experiment)
    options.show(done.document, done.text, given["output"])
    return done.code


def _locust(given: Mapping[str, Any]) -> dict[str, Any]:
    workers, expect, bind = given["locust_workers"], given["locust_expect"], given["locust_bind"]
    if given["engine"] != "locust":
        if expect or bind:
            raise UsageError("--locust-expect and --locust-bind need --engine locust")
        return {}
    if not workers and not expect:
        raise UsageError("--locust-workers 0 needs --locust-expect 1 or more: there must be a worker")
    return {"locust": workers, "expect": expect, "bind": bind or ""}


def _workload(text: str) -> str | Path:
    return Path(text) if "/" in text or text.endswith((".yaml", ".yml")) else text


def _rate(given: Mapping[str, Any], default: float) -> float:
    rate = default if given["rate"] is None else float(given["rate"])
    if rate <= 0 and given["rate"] is not None:
        raise UsageError(f"--rate {rate:g}: give a number of arrivals per second, more than 0")
    return rate


def _warmup(seconds: float) -> float:
    return min(max(seconds / 10, 1.0), 10.0)


def _arrivals(schedule: str | None, given: Mapping[str, Any]) -> Any:
    from harness.load.schedule import parse

    if schedule is None:
        return None
    if given["rate"] is not None or given["seconds"] is not None:
        raise UsageError("--schedule has its own rate and duration: omit --rate and --seconds")
    return parse(schedule, seed=given["seed"] or 1)


def _objective(given: Mapping[str, Any]) -> dict[str, float]:
    keys = ("p50_ms", "p95_ms", "p99_ms", "errors")
    return {key: given[key] for key in keys if given[key] is not None}


def _repetition(given: Mapping[str, Any], metric: str = "p95_ms", most: int | None = None) -> Any:
    from harness.load.experiments.repeat import Repetition

    repetitions = min(given["repetitions"], most) if most else given["repetitions"]
    return Repetition(min(3, repetitions), repetitions, given["precision"], metric)


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) for word in words):
        raise UsageError(f"--workers {text}: give numbers of workers, 1 or more, like 1,2,4,8")
    return tuple(sorted({int(word) for word in words}))
