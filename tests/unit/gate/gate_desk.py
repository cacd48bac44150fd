"""Types that the gate's tests share with their conftest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gate_samples import write


@dataclass(frozen=True)
class Outcome:
    """What one command line came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What `-o json` printed."""
        made: dict[str, Any] = json.loads(self.out)
        return made


Wavetank = Callable[..., Outcome]


@dataclass(frozen=True)
class Desk:
    """A directory with a baseline of the steady load in it, and the gate called on reports beside it."""

    directory: Path
    wavetank: Wavetank
    baseline: Path

    def gate(self, made: dict[str, Any], *arguments: object) -> Outcome:
        """Judge a report against the baseline, as JSON."""
        file = write(self.directory / "report.json", made)
        return self.wavetank(
            "gate", f"--from={file}", f"--baseline={self.baseline}", "-o", "json", *arguments
        )

    def alone(self, made: dict[str, Any], *arguments: object) -> Outcome:
        """Judge a report by the objectives alone, as JSON."""
        file = write(self.directory / "report.json", made)
        return self.wavetank("gate", f"--from={file}", "-o", "json", *arguments)

    def save(self, made: dict[str, Any], *arguments: object) -> Outcome:
        """Keep a report as another baseline."""
        file = write(self.directory / "kept.json", made)
        return self.wavetank("baseline", "save", f"--from={file}", self.directory / "other.json", *arguments)
