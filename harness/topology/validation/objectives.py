"""Checks of the objectives under load: each limit by itself, and all of them together."""

from __future__ import annotations

from pathlib import Path

from harness.topology.schema import RawObjectives, RawTopology
from harness.topology.source import Problems

POSITIVE = {
    "rate": "arrivals a second, like 10",
    "p95_ms": "milliseconds, like 2000",
    "p99_ms": "milliseconds, like 5000",
    "throughput": "answers a second, like 8",
}


def check(raw: RawTopology, problems: Problems) -> None:
    """Note everything that is wrong with the section, if there is one."""
    given = raw.objectives
    if given is None:
        return
    for key, remedy in POSITIVE.items():
        value = getattr(given, key)
        if value is not None and value <= 0:
            problems.add(("objectives", key), f"{value:g} can never be met", f"write {remedy}")
    _check_shares(given, problems)
    _check_workload(given, problems)
    _check_together(given, problems)


def is_file(workload: str) -> bool:
    """Whether a workload is named by the path of a file, not by one of Wavetank's own names."""
    return "/" in workload or workload.endswith((".yaml", ".yml"))


def _check_shares(given: RawObjectives, problems: Problems) -> None:
    if given.errors is not None and not 0 <= given.errors < 1:
        remedy = "write 0 for none at all, or a share below 1, like 0.01 for one in a hundred"
        problems.add(("objectives", "errors"), f"{given.errors:g} is not a share of the submissions", remedy)
    if not 0 < given.worse_by < 1:
        problem = f"{given.worse_by:g} is no change that could matter"
        problems.add(
            ("objectives", "worse_by"), problem, "write a share above 0 and below 1, like 0.1 for a tenth"
        )


def _check_workload(given: RawObjectives, problems: Problems) -> None:
    path = ("objectives", "workload")
    if not given.workload.strip():
        problems.add(path, "it has no name", "name one of Wavetank's own, like 'hello', or a YAML file")
    elif is_file(given.workload):
        file = beside(problems.source.file, given.workload)
        if not file.is_file():
            problems.add(path, f"there is no file {file}", "give a path relative to this file")


def beside(topology: Path, workload: str) -> Path:
    """The file of a workload, named relative to the topology's own file."""
    return (topology.parent / workload).resolve()


def _check_together(given: RawObjectives, problems: Problems) -> None:
    """Limits that no deployment could meet at once."""
    p95, p99, throughput, rate = given.p95_ms, given.p99_ms, given.throughput, given.rate
    if p95 is not None and p99 is not None and p99 < p95:
        problem = f"{p99:g} is below p95_ms, {p95:g}: of two quantiles the higher is not faster"
        problems.add(("objectives", "p99_ms"), problem, "write at least as much as p95_ms")
    if throughput is not None and throughput >= rate > 0:
        problem = f"{throughput:g} a second cannot be relied on where {rate:g} arrive"
        remedy = "stay below 'rate', by a tenth or more: arrivals are random"
        problems.add(("objectives", "throughput"), problem, remedy)
