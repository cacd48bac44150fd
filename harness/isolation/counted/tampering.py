"""Is the emulated network what the emulator made of the API's rules, or has somebody changed it by hand?

The emulator is asked before anything else, which changes nothing: creating an outsider applies the rules
again. A cloud's network cannot be asked, and nobody can change it by hand either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target

ADVICE = (
    "the emulated network itself was changed by hand, which no application can do; results of "
    "packets cannot be trusted until `wavetank up` has restored it"
)


@dataclass(frozen=True)
class Tampering:
    """One thing that is not as the emulator made it; ``at``: when it was restored."""

    where: str
    problem: str
    text: str
    at: str = ""

    def __str__(self) -> str:
        since = f" (found and restored at {self.at})" if self.at else ""
        return f"{self.where} {self.problem}: {self.text}{since}"


def inspect(target: Target) -> tuple[Tampering, ...]:
    """What is not as it was made, and what was not but has been restored. Raises ``ApiError``."""
    if not target.info.get("plane"):
        return ()
    with EmulatorApi(target) as emulator:
        return _read(emulator.ask("GET", "/ruleset"))


def restore(target: Target) -> tuple[Tampering, ...]:
    """Have the emulator restore its network; returns what was wrong. Raises ``ApiError``."""
    if not target.info.get("plane") or not inspect(target):
        return ()
    with EmulatorApi(target) as emulator:
        return _read(emulator.ask("POST", "/ruleset/restore"))


def describe(found: Iterable[Tampering]) -> str:
    """A message that lists all of it; empty where there is none."""
    lines = list(map(str, found))
    return "\n".join([f"{ADVICE}:", *(f"  {each}" for each in lines)]) if lines else ""


def _read(answer: Mapping[str, Any]) -> tuple[Tampering, ...]:
    rows = (*answer["differences"], *answer["repaired"])
    return tuple(dict.fromkeys(Tampering(**{str(key): str(row[key]) for key in row}) for row in rows))
