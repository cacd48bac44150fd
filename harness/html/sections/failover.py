"""The loss of nodes: times, counts, and a timeline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.html.drawing import timeline
from harness.html.words import seconds

NAME = "failover"
TITLE = "Failover"
DONE = {"power_off": "without power", "partition": "cut off from the others"}
# The columns of the table, each with what 0 means there.
TIMES = {"rto_s": "no pause", "gap_s": "0 s", "full_s": "none lost", "ready_s": "at once"}
NEVER = "not observed"


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A line and a picture for each fault; None if none was tried."""
    faults = report.get("failover")
    if not faults:
        return None
    return {
        "faults": [_fault(each, number) for number, each in enumerate(faults, 1)],
        "several": any(len(each["trials"]) > 1 for each in faults),
        "wrong": sum(each["lost"] + each["duplicated"] for each in faults),
        "accepted": sum(each["accepted"] for each in faults),
    }


def _fault(entry: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    place, trial = _slowest(entry["trials"])
    return {
        **entry,
        "title": f"{' and '.join(entry['nodes'])} {DONE.get(entry['fault'], entry['fault'])}",
        "times": [_quantiles(entry[name], nothing) for name, nothing in TIMES.items()],
        "picture": timeline.draw(trial, entry["fault"], f"failover-{number}"),
        "shown": f"Trial {place} of {len(entry['trials'])}, which was the slowest to answer again."
        if len(entry["trials"]) > 1
        else "",
        "troubles": [each["trouble"] for each in entry["trials"] if each["trouble"]],
    }


def _slowest(trials: Sequence[Mapping[str, Any]]) -> tuple[int, Mapping[str, Any]]:
    """The trial that took longest to answer again, with its place from 1 on."""

    def slowness(item: tuple[int, Mapping[str, Any]]) -> tuple[float, float]:
        again = item[1]["rto_s"]
        return math.inf if again is None else again, item[1]["gap_s"]

    return max(enumerate(trials, 1), key=slowness)


def _quantiles(values: Mapping[str, float | None], nothing: str) -> str:
    """``11.8 s``, or ``11.8 / 16.5 / 17.0 s`` where the trials differ; ``nothing`` says what 0 means."""
    times = [_time(values[each], nothing) for each in ("p50", "p95", "max")]
    return times[0] if len(set(times)) == 1 else " / ".join(times)


def _time(value: float | None, nothing: str) -> str:
    if value is None:
        return NEVER
    return seconds(value) if value else nothing
