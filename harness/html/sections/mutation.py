"""Mutation testing: how many mutants were detected by a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

NAME = "mutation"
TITLE = "Mutation testing"


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Score, survivors, and the checks that killed most mutants; None if no mutant was tried."""
    mutation = report.get("mutation")
    if not mutation:
        return None
    results = mutation.get("results", [])
    return {
        **mutation,
        "percent": f"{int(mutation['score'] * 1000) / 10:g} %",
        "killers": Counter(killer for each in results for killer in each["killed_by"]).most_common(),
        "results": results,
    }
