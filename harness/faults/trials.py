"""The trials that checks read: each is made once, when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.errors import CheckError, CheckFailedError
from harness.faults.fault import BALANCER, POWER_OFF, balancer
from harness.faults.trial import Stage, Trial, undergo

Told = Callable[[Sequence[Trial]], None]


class Trials:
    """What was tried so far. ``told`` hears of all trials whenever there is one more."""

    def __init__(self, stage: Stage, told: Told) -> None:
        self.stage = stage
        self._told = told
        self._found: dict[str, Trial | Exception] = {}

    def of(self, name: str) -> Trial:
        """The trial of one of ``fault.names``. Raises what making it raised, as a failure the next time."""
        if name not in self._found:
            self._make(name)
        found = self._found[name]
        if isinstance(found, Trial):
            return found
        if isinstance(found, CheckError):
            raise found
        raise CheckFailedError(f"{name}: {found}") from found

    def made(self) -> tuple[Trial, ...]:
        """Every trial once, in the order in which they were made."""
        found = (each for each in self._found.values() if isinstance(each, Trial))
        return tuple({id(each): each for each in found}.values())

    def _make(self, name: str) -> None:
        earlier = self._earlier(name)
        if earlier is not None:
            self._found[name] = earlier
            return
        try:
            self._found[name] = undergo(self.stage, name)
        except Exception as error:
            self._found[name] = error
            raise
        self._told(self.made())

    def _earlier(self, name: str) -> Trial | None:
        """A trial of a node that carried the load balancer is one of the balancer's node."""
        service = balancer(self.stage.setup.topology)
        if name != f"{POWER_OFF}:{BALANCER}":
            return None
        return next(
            (
                each
                for each in self.made()
                if each.fault.kind == POWER_OFF and len(each.fault.nodes) == 1 and service in each.carried
            ),
            None,
        )
