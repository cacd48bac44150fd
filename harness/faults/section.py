"""The report's ``failover``: each fault with its trials, as numbers and as a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.faults.measure import quantiles
from harness.faults.trial import Trial

TIMES = ("rto_s", "gap_s", "detected_s", "full_s", "ready_s", "settled_s")
COUNTS = ("submitted", "accepted", "refused", "unanswered", "lost", "duplicated", "unknown")


def section(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The ``failover`` of a report: an entry for each kind of fault and node, in the order of the trials."""
    groups: dict[str, list[Trial]] = {}
    for each in trials:
        groups.setdefault(str(each.fault), []).append(each)
    return [summary(group) for group in groups.values()]


def summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """One entry: quantiles of each time, sums of each count, and the trials themselves."""
    entries = [trial_of(each) for each in trials]
    first = trials[0]
    return {
        "fault": first.fault.kind,
        "nodes": list(first.fault.nodes),
        "buys": first.expected.description,
        **{name: quantiles([each[name] for each in entries]) for name in TIMES},
        **{name: sum(each[name] for each in entries) for name in COUNTS},
        "trials": entries,
    }


def trial_of(trial: Trial) -> dict[str, Any]:
    """One trial. Its timeline counts from when the fault was ordered, in seconds."""
    start = trial.times.ordered
    measured, found = trial.measured, trial.submissions
    outcomes = [each.outcome for each in found]
    return {
        "name": trial.name,
        "carried": list(trial.carried),
        "expected": {"answers": trial.expected.answers, "rescheduled": trial.expected.controlled},
        **{name: getattr(measured, name) for name in TIMES},
        "submitted": len(found),
        "accepted": len(trial.judgement.classes),
        "refused": outcomes.count("refused"),
        "unanswered": outcomes.count("unanswered"),
        "lost": outcomes.count("lost"),
        "duplicated": outcomes.count("duplicated"),
        "unknown": outcomes.count("unknown"),
        "timeline": {
            "in_force": round(trial.times.in_force - start, 3),
            "observed": round(trial.times.observed - start, 3),
            "healing": round(trial.times.healing - start, 3),
            "healed": round(trial.times.healed - start, 3),
            "ended": round(trial.times.ended - start, 3),
            "submissions": [
                {
                    "begun": round(each.begun - start, 3),
                    "seconds": None if each.ended is None else round(each.ended - each.begun, 3),
                    "outcome": each.outcome,
                }
                for each in found
            ],
        },
        "trouble": trial.trouble,
    }
