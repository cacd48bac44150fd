"""The words of mutation: a mutant, what noticed it, and what came of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.mutation.kinds import Kind
from harness.mutation.protection import Protection

# By packets; by rules alone, as the API reports them; by nobody; could not be told; and not worth asking.
Outcome = Literal["killed", "noticed", "survived", "inconclusive", "equivalent"]


@dataclass(frozen=True)
class Mutant:
    """One way to break the protection: what it does, in words, and what is in force with it."""

    kind: Kind
    name: str
    protection: Protection

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Verdict:
    """What came of one mutant.

    ``killed_by`` are witnesses with what they saw, each beginning with ``observed:``, ``computed:`` or
    ``drift:``. ``why`` says why it is equivalent, in doubt, or what would have shown it. ``visible`` is
    whether it changes the fate of any packet between ends that can be probed: one gate may hide another.
    """

    mutant: Mutant
    outcome: Outcome
    killed_by: tuple[str, ...] = ()
    why: str = ""
    visible: bool = True
    seconds: float = 0.0
