"""Every check with its outcome and evidence, by the file it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from harness.html.words import SYMBOLS

NAME = "checks"
TITLE = "All checks"
DESELECTED = "deselected"


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Groups of checks in the order of the report; None if there are none."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for check in report.get("checks", []):
        file, _, name = check["id"].partition(".")
        groups.setdefault(file, []).append({**check, "name": name or file})
    if not groups:
        return None
    return {"groups": [_group(name, checks) for name, checks in groups.items()], "symbols": SYMBOLS}


def _group(name: str, checks: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    outcomes = Counter(check["outcome"] for check in checks)
    return {
        "name": name,
        "checks": checks,
        "counts": [(outcome, outcomes[outcome]) for outcome in SYMBOLS if outcomes[outcome]],
        "seconds": sum(check.get("seconds", 0.0) for check in checks),
    }
