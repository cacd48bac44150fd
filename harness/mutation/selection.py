"""Which mutants to try."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.errors import UsageError
from harness.mutation.faults.model import Fault
from harness.mutation.kinds import Kind
from harness.mutation.model import Mutant


@dataclass(frozen=True)
class Selection:
    """Which mutants: of these kinds (none: all), with this in their name, and only so many of them."""

    kinds: Sequence[Kind] = ()
    keyword: str = ""
    sample: int | None = None
    seed: int = 0


def select(every: Sequence[Mutant | Fault], selection: Selection) -> tuple[Mutant | Fault, ...]:
    """The selected mutants, in their order. Raises ``UsageError`` where there is none."""
    wanted = [
        each
        for each in every
        if (not selection.kinds or each.kind in selection.kinds)
        and selection.keyword.lower() in str(each).lower()
    ]
    if not wanted:
        raise UsageError(f"no mutant matches; without --only and -k there are {len(every)}")
    if selection.sample is None or selection.sample >= len(wanted):
        return tuple(wanted)
    picked = random.Random(selection.seed).sample(range(len(wanted)), selection.sample)  # noqa: S311
    return tuple(wanted[each] for each in sorted(picked))
