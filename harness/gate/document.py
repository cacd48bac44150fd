"""The gate as JSON, printed and in the report. ``gate.schema.json`` beside this file describes it."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.gate.model import Gate, Judgement
from harness.load.result import Interval

SCHEMA = "wavetank/gate/v1"
SCHEMA_FILE = Path(__file__).with_name("gate.schema.json")


def document(gate: Gate) -> dict[str, Any]:
    """All of it, as plain JSON; infinite and unknown values are null."""
    return {
        "schema": SCHEMA,
        "run": gate.run,
        "target": gate.target,
        "topology": gate.topology,
        "verdict": gate.verdict,
        "baseline": gate.baseline or None,
        "notes": list(gate.notes),
        "judgements": [_judgement(each) for each in gate.judgements],
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    intervals = {key: _interval(getattr(judgement, key)) for key in ("baseline", "now", "change")}
    return {**asdict(judgement), **intervals}


def _interval(found: Interval | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {key: _number(value) for key, value in asdict(found).items()}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
