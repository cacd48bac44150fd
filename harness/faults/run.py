"""One fault from beginning to end: ordered, watched, healed, and waited for until all is well again."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import httpx

from harness.core.errors import CheckError, CheckFailedError
from harness.core.signals import stopped_by_signals
from harness.faults import partition
from harness.faults.fault import POWER_OFF, Fault
from harness.faults.power import Power
from harness.judge0.route import to_judge0
from harness.target.api import Api
from harness.topology.model import FrontDoor

if TYPE_CHECKING:
    from harness.verify.setup import Setup

Key = TypeVar("Key", bound=Hashable)
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Times:
    """When a fault was ordered, was in force, was to be healed and was, and when its run ended.

    Seconds since 1970. What a fault does is counted from ``ordered``, how it ends from ``healing``. Until
    ``observed`` the service is held to answer: then healing begins, or more is broken on purpose.
    """

    ordered: float
    in_force: float
    observed: float
    healing: float
    healed: float
    ended: float


@dataclass(frozen=True)
class FaultContext:
    """Where faults are run. ``api`` may change things."""

    setup: Setup
    door: FrontDoor
    api: Api

    def judge0(self) -> AbstractContextManager[httpx.Client]:
        """Judge0's own API through a connection of its own: an earlier one may have died with a node."""
        return to_judge0(self.setup)


def run_fault(
    context: FaultContext,
    fault: Fault,
    observe: Callable[[float], float],
    recover: Callable[[float], None] = lambda _: None,
) -> Times:
    """Bring a fault about, ``observe``, heal it, and ``recover``.

    ``observe`` gets when the fault was ordered, and returns until when the service is held to answer.
    ``recover`` gets when it was healed, and waits until all is well. Raises ``WavetankError`` where the fault
    could not be made or healed, and what the two raise. It is healed in any case.
    """
    ordered = time.time()
    with in_force(context, fault):
        began = time.time()
        observed = observe(ordered)
        healing = time.time()
    healed = time.time()
    recover(healed)
    return Times(ordered, began, observed, healing, healed, time.time())


@contextmanager
def in_force(context: FaultContext, fault: Fault) -> Iterator[None]:
    """Run a block while the fault is there; it is healed afterwards, interrupted or not."""
    setup = context.setup
    if fault.kind == POWER_OFF:
        with Power(setup.target, setup.deployment, context.api).without(*fault.nodes):
            yield
        return
    with stopped_by_signals(), ExitStack() as stack:
        for node in fault.nodes:
            stack.enter_context(partition.cut_off(context.api, setup.target, setup.access, node))
        yield


class Once(Generic[Key, Seen]):
    """What faults showed: each is run once, when the first check asks for it.

    ``tell`` hears of all that was seen whenever there is more.
    """

    def __init__(
        self, run: Callable[[Key], Seen], tell: Callable[[Sequence[Seen]], None] = lambda _: None
    ) -> None:
        self._run, self._tell = run, tell
        self._found: dict[Key, Seen | Exception] = {}

    def of(self, fault: Key) -> Seen:
        """What a fault showed. Raises what running it raised: as a failure the next time, but for a doubt."""
        if fault not in self._found:
            self._run_now(fault)
        found = self._found[fault]
        if isinstance(found, CheckError):
            raise found
        if isinstance(found, Exception):
            raise CheckFailedError(f"{fault}: {found}") from found
        return found

    def made(self) -> tuple[Seen, ...]:
        """All that was seen, once, in the order in which it was."""
        found = (each for each in self._found.values() if not isinstance(each, Exception))
        return tuple({id(each): each for each in found}.values())

    def _run_now(self, fault: Key) -> None:
        try:
            self._found[fault] = self._run(fault)
        except Exception as error:
            self._found[fault] = error
            raise
        self._tell(self.made())
