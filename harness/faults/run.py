"""One fault from beginning to end: ordered, observed, healed, and then a wait until all is well again."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import httpx

from harness.core.errors import CheckError, CheckFailedError
from harness.core.signals import stopped_by_signals
from harness.faults import partition
from harness.faults.fault import POWER_OFF, Fault
from harness.faults.pace import Measure, MeasuredOnce
from harness.faults.power import Power
from harness.judge0.route import to_judge0
from harness.target.api import Api
from harness.topology.model import FrontDoor

if TYPE_CHECKING:
    from harness.run.session import Session

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Times:
    """When a fault was ordered, in force, about to be healed and healed, and when its run ended.

    Seconds since 1970. Effects of the fault are counted from ``ordered``, the recovery from ``healing``.
    Until ``observed`` the service has to answer: then healing begins, or more is broken on purpose.
    """

    ordered: float
    in_force: float
    observed: float
    healing: float
    healed: float
    ended: float


@dataclass(frozen=True)
class FaultContext:
    """What running a fault needs. ``api`` may change things; ``pace`` is that of each stream of programs."""

    session: Session
    door: FrontDoor
    api: Api
    pace: Measure = field(default_factory=MeasuredOnce, kw_only=True)

    def judge0(self) -> AbstractContextManager[httpx.Client]:
        """Judge0's own API through a connection of its own: an earlier one may have died with a node."""
        return to_judge0(self.session)


def run_fault(
    context: FaultContext,
    fault: Fault,
    observe: Callable[[float], float],
    recover: Callable[[float], None] = lambda _: None,
) -> Times:
    """Inject a fault, ``observe``, heal it, and ``recover``.

    ``observe`` gets the time at which the fault was ordered, and returns the time until which the service has
    to answer. ``recover`` gets the time at which it was healed, and waits until all is well. Raises
    ``WavetankError`` where the fault could not be injected or healed, and what these two raise. It is healed
    in any case.
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
    """Run a block while the fault is in force; it is healed afterwards, even if interrupted."""
    session = context.session
    if fault.kind == POWER_OFF:
        with Power(session.target, session.deployment, context.api).without(*fault.nodes):
            yield
        return
    with stopped_by_signals(), ExitStack() as stack:
        for node in fault.nodes:
            stack.enter_context(partition.cut_off(context.api, session.target, session.access, node))
        yield


class RunOnce(Generic[Key, Result]):
    """The results of faults: each is run once, when the first check asks for it.

    ``on_result`` gets all results whenever there is a new one.
    """

    def __init__(
        self, run: Callable[[Key], Result], on_result: Callable[[Sequence[Result]], None] = lambda _: None
    ) -> None:
        self._run, self._on_result = run, on_result
        self._found: dict[Key, Result | Exception] = {}

    def of(self, fault: Key) -> Result:
        """A fault's result. Raises what running it raised; as a failure the next time, if it was no doubt."""
        if fault not in self._found:
            self._run_now(fault)
        found = self._found[fault]
        if isinstance(found, CheckError):
            raise found
        if isinstance(found, Exception):
            raise CheckFailedError(f"{fault}: {found}") from found
        return found

    def was_run(self, fault: Key) -> bool:
        """Whether a fault was run, successfully or not."""
        return fault in self._found

    def results(self) -> tuple[Result, ...]:
        """All results, each once, in the order in which they were made."""
        found = (each for each in self._found.values() if not isinstance(each, Exception))
        return tuple({id(each): each for each in found}.values())

    def _run_now(self, fault: Key) -> None:
        try:
            self._found[fault] = self._run(fault)
        except Exception as error:
            self._found[fault] = error
            raise
        self._on_result(self.results())
