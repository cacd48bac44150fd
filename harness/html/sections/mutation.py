"""Whether the checks notice: how many changed deployments turned one of them red."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

NAME = "mutation"
TITLE = "Mutation testing"


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Score, survivors, and which checks noticed most; None where no mutant was tried."""
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
