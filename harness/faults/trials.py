"""The trials that checks read: each is made once, when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from harness.faults.fault import BALANCER, POWER_OFF, balancer
from harness.faults.run import FaultContext, RunOnce
from harness.faults.trial import OpenTrial, Trial, begin_trial


class Trials(RunOnce[str, Trial]):
    """The trials so far, by the faults' names. ``on_result`` gets all of them whenever there is a new one.

    ``planned`` are the names that checks will ask for, in that order. A submission that was lost with a node
    is waited for long after all is well again, so the next fault is tried in that time: all that a trial
    observes lies before it, but for submissions whose answer was lost.
    """

    def __init__(
        self,
        context: FaultContext,
        on_result: Callable[[Sequence[Trial]], None],
        planned: Sequence[str] = (),
    ) -> None:
        super().__init__(self._earlier_or_new, on_result)
        self._context, self._planned = context, tuple(planned)
        self._begun: RunOnce[str, OpenTrial] = RunOnce(self._begin)

    def close(self) -> None:
        """End the submissions of trials that no check has asked for."""
        for each in self._begun.results():
            each.close()

    def _earlier_or_new(self, name: str) -> Trial:
        if earlier := self._earlier(name):
            return self.of(earlier)
        begun = self._begun.of(name)
        if following := self._following(name):
            with suppress(Exception):  # raised when its trial is asked for
                self._begun.of(following)
        return begun.judged()

    def _begin(self, name: str) -> OpenTrial:
        return begin_trial(self._context, name, before_fault=self._await_answers)

    def _await_answers(self) -> None:
        for each in self._begun.results():
            each.await_answers()

    def _following(self, name: str) -> str:
        """The next fault that will be asked for and needs a trial of its own; empty where there is none."""
        rest = self._planned[self._planned.index(name) + 1 :] if name in self._planned else ()
        known = self._begun.known()
        return next((each for each in rest if each not in known and not self._earlier(each)), "")

    def _earlier(self, name: str) -> str:
        """A trial of a node that ran the load balancer counts as one of the balancer's node."""
        if name != f"{POWER_OFF}:{BALANCER}":
            return ""
        service = balancer(self._context.session.topology)
        return next(
            (
                each.name
                for each in self._begun.results()
                if each.fault.kind == POWER_OFF and len(each.fault.nodes) == 1 and service in each.carried
            ),
            "",
        )
