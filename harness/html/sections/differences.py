"""Differences from the intent and unproven pairs: the first section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.html.words import SYMBOLS

NAME = "differences"
TITLE = "Differences"
SHOWN = 20
RULES = {"out": "the sender's egress rules", "in": "the receiver's ingress rules", "": ""}


def content(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Violations, doubts, and the checks that failed or have no verdict; each list may be empty."""
    isolation = report.get("isolation", {})
    unpassed = [each for each in report.get("checks", []) if each["outcome"] in ("failed", "inconclusive")]
    unpassed.sort(key=lambda check: check["outcome"] != "failed")
    return {
        "violations": [
            {**each, "gate": RULES.get(each["gate"], "")} for each in isolation.get("violations", [])
        ],
        "doubts": isolation.get("inconclusive", []),
        "checks": unpassed,
        "shown": SHOWN,
        "symbols": SYMBOLS,
        "scanned": bool(isolation),
        "any_checks": any(each["outcome"] != "skipped" for each in report.get("checks", [])),
    }
