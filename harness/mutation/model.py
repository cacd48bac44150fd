"""The data of mutation: a mutant, what noticed it, and what came of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.firewall.model import FirewallState
from harness.mutation.faults.model import Fault
from harness.mutation.kinds import Kind

# By packets or, a fault, by a check; by rules alone, as the API reports them; by nothing; not known;
# changes nothing; and could not be applied.
Outcome = Literal["killed", "noticed", "survived", "inconclusive", "equivalent", "not applied"]


@dataclass(frozen=True)
class Mutant:
    """One way to break the firewalls: what it does, in words, and what is in force with it."""

    kind: Kind
    name: str
    state: FirewallState

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


@dataclass(frozen=True)
class Verdict:
    """What came of one mutant.

    ``killed_by`` are evidence sources with what they found, each beginning with ``observed:``, ``computed:``,
    ``drift:`` or, of a fault, ``check:``. ``why`` says why it is equivalent, in doubt, or what would have
    shown it. ``visible`` is whether packets between ends that can be probed show it: the rules at the other
    end may hide it.
    """

    mutant: Mutant | Fault
    outcome: Outcome
    killed_by: tuple[str, ...] = ()
    why: str = ""
    visible: bool = True
    seconds: float = 0.0
