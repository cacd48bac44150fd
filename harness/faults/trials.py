"""The trials that checks read: each is made once, when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from harness.faults.fault import BALANCER, POWER_OFF, balancer
from harness.faults.run import FaultContext, RunOnce
from harness.faults.trial import Prepared, Recovered, Trial, inject, prepared, renewed


class Trials(RunOnce[str, Trial]):
    """The trials so far, by the faults' names. ``on_result`` gets all of them whenever there is a new one.

    ``planned`` are the faults that checks will ask for, in their order. Once all is as before after a fault,
    programs are submitted for the next one, while the last answers of this one come in. The next fault itself
    is injected only when every submission of this one is judged: it could save or end what this one hit.
    """

    def __init__(
        self,
        context: FaultContext,
        on_result: Callable[[Sequence[Trial]], None],
        planned: Sequence[str] = (),
    ) -> None:
        super().__init__(self._earlier_or_new, on_result)
        self._context, self._planned = context, tuple(planned)
        self._next: Prepared | None = None
        self._stack = ExitStack()

    def close(self) -> None:
        """End what was prepared for a fault that no check has asked for."""
        self._next = None
        self._stack.close()

    def _earlier_or_new(self, name: str) -> Trial:
        return self._earlier(name) or self._new(name)

    def _earlier(self, name: str) -> Trial | None:
        return next((each for each in self.results() if self._shows(each, name)), None)

    def _shows(self, made: Trial | Recovered, name: str) -> bool:
        """A trial of a node that ran the load balancer counts as one of the balancer's node."""
        return (
            name == f"{POWER_OFF}:{BALANCER}"
            and made.fault.kind == POWER_OFF
            and len(made.fault.nodes) == 1
            and balancer(self._context.session.topology) in made.carried
        )

    def _new(self, name: str) -> Trial:
        with ExitStack() as stack:
            ready = self._taken(name, stack) or stack.enter_context(prepared(self._context, name))
            over = inject(self._context, ready)
            stack.push(self._end_on_error)
            if not over.trouble:
                self._prepare(self._following(name, over))
            return over.judged()

    def _end_on_error(self, kind: type[BaseException] | None, *_: object) -> None:
        """End what was prepared for the next fault, where this one could not be judged."""
        if kind is not None:
            self.close()

    def _taken(self, name: str, stack: ExitStack) -> Prepared | None:
        """What was prepared for a fault, if it still fits, to be ended by ``stack``; else it is ended now."""
        stack.push(self._stack.pop_all())
        ready, self._next = self._next, None
        if ready is not None and ready.name == name and (ready := renewed(self._context, ready)):
            return ready
        stack.close()
        return None

    def _prepare(self, name: str) -> None:
        """Submit programs for the next fault, if the swarm is well at once."""
        if name:
            with suppress(Exception):  # raised, if it is still so, when a check asks for that trial
                self._next = self._stack.enter_context(prepared(self._context, name, at_once=True))

    def _following(self, name: str, over: Recovered) -> str:
        """The next fault that needs a trial of its own; empty where there is none."""
        rest = self._planned[self._planned.index(name) + 1 :] if name in self._planned else ()
        made: tuple[Trial | Recovered, ...] = (*self.results(), over)
        needed = (
            each
            for each in rest
            if each != name and not self.was_run(each) and not any(self._shows(one, each) for one in made)
        )
        return next(needed, "")
