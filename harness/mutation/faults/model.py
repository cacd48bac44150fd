"""The data of faults: what is done, how it is undone, and which check should notice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.mutation.kinds import Kind

By = Literal["ssh", "fabric", "database"]


@dataclass(frozen=True)
class Step:
    """One thing to do. ``ssh``: the script ``what`` on the node ``where``; it holds no secret.

    ``fabric``: put in the fault ``what`` of the emulator, or with an empty one restore the network.
    ``database``: ``open`` or ``close`` the database ``where``.
    """

    by: By
    where: str
    what: str

    def to_json(self) -> dict[str, str]:
        """As the journal keeps it."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Step:
        """What ``to_json`` gave. Raises ``KeyError`` or ``TypeError`` if it is not that."""
        return Step(**data)


@dataclass(frozen=True)
class Fault:
    """One way to break a deployment. ``undo`` can be repeated, and does nothing where nothing is broken.

    ``check`` is part of the name of the check that should notice.
    """

    kind: Kind
    name: str
    do: Step
    undo: Step
    check: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"
