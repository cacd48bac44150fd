"""The load of a topology's ``objectives``, repeated as often as the gate's test needs it."""

from __future__ import annotations

import signal
from pathlib import Path

from harness.core.progress import Progress
from harness.load.experiments.command import Load, measured
from harness.load.experiments.latency import Latency, latency
from harness.load.experiments.repeat import Repetition
from harness.load.experiments.site import LoadSettings
from harness.load.result import ExperimentResult
from harness.run.settings import Choice
from harness.topology.model import Objectives

SECONDS, WARMUP = 20.0, 2.0


def measure_for_gate(
    choice: Choice, objectives: Objectives, *, repetitions: int, progress: Progress
) -> ExperimentResult:
    """Measure the latency at the objectives' rate, always ``repetitions`` times.

    The gate judges the limits, together with the baseline. Raises what
    :func:`harness.load.experiments.site.open_bench` does.
    """
    workload = Path(objectives.workload) if "/" in objectives.workload else objectives.workload
    wanted = Latency(
        rate=objectives.rate,
        seconds=SECONDS,
        warmup=WARMUP,
        objective={} if objectives.errors is None else {"errors": objectives.errors},
        repetition=Repetition(repetitions, repetitions, precision=1.0),
    )
    found, signum = measured(
        choice, Load(LoadSettings(workload)), lambda bench: latency(bench, wanted), progress
    )
    if signum:
        signal.raise_signal(signum)  # the gate cannot judge a partial result
    return found
