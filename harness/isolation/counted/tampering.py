"""Is the emulated network what the emulator made of the API's rules, or has somebody changed it by hand?

The emulator is asked, which changes nothing, before anything else: making an outsider applies the rules anew.
A cloud's network cannot be asked; nobody has a hand in it either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.target.emulator_api import Extras
from harness.target.target import Target

ADVICE = (
    "the emulated network itself was changed by hand, which no application can do; what packets show is not "
    "to be trusted until `wavetank up` has put it right"
)


@dataclass(frozen=True)
class Tampering:
    """One thing that is not as the emulator made it; ``at``: it was put right again by then."""

    where: str
    problem: str
    text: str
    at: str = ""

    def __str__(self) -> str:
        since = f" (found and put right at {self.at})" if self.at else ""
        return f"{self.where} {self.problem}: {self.text}{since}"


def look(target: Target) -> tuple[Tampering, ...]:
    """What is not as it was made, and what was not but is again. Raises ``ApiError``."""
    if not target.info.get("plane"):
        return ()
    with Extras(target) as extras:
        return _read(extras.ask("GET", "/ruleset"))


def restore(target: Target) -> tuple[Tampering, ...]:
    """Have the emulator make its network what it should be; returns what it was not. Raises ``ApiError``."""
    if not target.info.get("plane") or not look(target):
        return ()
    with Extras(target) as extras:
        return _read(extras.ask("POST", "/ruleset/restore"))


def explained(found: Iterable[Tampering]) -> str:
    """All of it, in words; empty where there is none."""
    lines = list(map(str, found))
    return "\n".join([f"{ADVICE}:", *(f"  {each}" for each in lines)]) if lines else ""


def _read(told: Mapping[str, Any]) -> tuple[Tampering, ...]:
    rows = (*told["differences"], *told["repaired"])
    return tuple(dict.fromkeys(Tampering(**{str(key): str(row[key]) for key in row}) for row in rows))
