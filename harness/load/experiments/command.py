"""One experiment from the command line: find the deployment, measure, add to the report."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from harness.core import signals
from harness.core.progress import Progress
from harness.load.experiments.bench import Bench, Generate
from harness.load.experiments.site import LoadSettings, open_bench
from harness.load.result import ExperimentResult
from harness.run import report
from harness.run.session import open_session
from harness.run.settings import Choice, load_topology, resolve_existing

SECTION = "load"
TOKEN_VARIABLE = "JUDGE0_TOKEN"  # noqa: S105 (a name)


@dataclass(frozen=True)
class Load:
    """What the command line asks for: ``settings``, and the load generator.

    ``locust`` and ``expect`` are how many workers Locust has here and elsewhere; both 0: our own generator.
    ``bind`` is where its master listens, HOST:PORT; empty: only for workers on this machine.
    """

    settings: LoadSettings
    locust: int = 0
    expect: int = 0
    bind: str = ""


@dataclass(frozen=True)
class Done:
    """The result: as plain JSON, as text, and the exit code."""

    document: dict[str, Any]
    text: str
    code: int


def run(choice: Choice, load: Load, experiment: Callable[[Bench], ExperimentResult]) -> Done:
    """Measure a deployment. If a signal stopped it, the result is partial, with the signal's exit code."""
    found, signum = measured(choice, load, experiment, Progress())
    add(choice, found)
    return Done(found.document(), summary(found), 128 + signum if signum else report.exit_code(found.verdict))


def measured(
    choice: Choice, load: Load, experiment: Callable[[Bench], ExperimentResult], progress: Progress
) -> tuple[ExperimentResult, int]:
    """The result, and the signal that stopped it, or 0.

    Raises ``UsageError`` if the deployment is not up, and what ``open_bench`` raises.
    """
    session = open_session(choice)
    with stopped_by_signals() as stop:
        token, who = os.environ.get(TOKEN_VARIABLE, ""), _generator(load)
        settings = replace(load.settings, token=token, generate=who, stop=stop.event)
        with open_bench(session, settings, progress) as bench:
            found = experiment(bench)
    return found, stop.signum


def add(choice: Choice, found: ExperimentResult) -> None:
    """Append the result to the run's report; the rest stays as it is."""
    before = report.read(choice.run_dir) if choice.run_dir.report.exists() else {}
    topology = load_topology(choice)
    report.update(
        choice.run_dir,
        target=resolve_existing(choice, Progress()),
        topology=topology.name,
        sections={
            SECTION: [*before.get(SECTION, []), found.document()],
            "intent": report.intent(topology),
        },
        error=before.get("error"),
    )


def summary(found: ExperimentResult) -> str:
    """The result in a few lines of text."""
    limits = dict.fromkeys(str(run.bottleneck.get("what", "")) for run in found.runs if run.bottleneck)
    last = next((run for run in reversed(found.runs) if run.bottleneck), None)
    lines = [
        f"{found.experiment}: {found.told}",
        f"  {found.workload['name']} by {found.route['door']} ({found.route['way']}): {found.route['why']}",
    ]
    if last:
        lines.append(f"  bottleneck: {', '.join(limits)}; {last.bottleneck['why']}")
    lines += [f"  in doubt: {doubt}" for doubt in found.doubts]
    return "\n".join([*lines, f"  verdict: {found.verdict}"])


@dataclass
class Stop:
    """Whether to stop, and the signal that asked for it; 0: none."""

    event: threading.Event
    signum: int = 0


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """The first signal in the block sets the event; a second one has its usual effect."""
    stop = Stop(threading.Event())

    def ask(signum: int) -> None:
        stop.signum = signum
        stop.event.set()
        signals.write_stderr("stopping: results so far are kept; another signal ends at once")

    with signals.intercept_first(ask):
        yield stop


def _generator(load: Load) -> Generate:
    if load.locust or load.expect:
        from harness.load.locust import generator
        from harness.load.locust.master_address import LOCAL_ADDRESS, host_port

        host, port = host_port(load.bind) if load.bind else LOCAL_ADDRESS
        return generator(load.locust, expect=load.expect, bind=host, port=port)
    from harness.load.generator.generator import generate

    return generate
