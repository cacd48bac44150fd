"""The reachable ports of each pair: a heat map for each protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.html.cells import STATES, matrix, targets
from harness.html.words import PROTOCOLS

NAME = "matrix"
TITLE = "Isolation matrix"


def content(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The matrices of the protocols that were scanned; None if nothing was scanned."""
    isolation = report.get("isolation")
    if not isolation:
        return None
    columns = targets(report)
    sides = [(side, sum(each.side == side for each in columns)) for side in ("private", "public")]
    matrices = [made for protocol in PROTOCOLS if (made := matrix(report, protocol))]
    return {
        "isolation": isolation,
        "matrices": matrices,
        "chosen": next(
            (each.protocol for each in matrices if each.counts.get("violation")), _first(matrices)
        ),
        "columns": columns,
        "sides": [(side, number) for side, number in sides if number],
        "legend": {state: entry for state, entry in STATES.items() if state != "itself"},
    }


def _first(matrices: list[Any]) -> str:
    return matrices[0].protocol if matrices else ""
