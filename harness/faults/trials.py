"""The trials that checks read: each is made once, when the first of them asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.faults.fault import BALANCER, POWER_OFF, balancer
from harness.faults.run import FaultContext, RunOnce
from harness.faults.trial import Trial, run_trial


class Trials(RunOnce[str, Trial]):
    """The trials so far, by the faults' names. ``on_result`` gets all of them whenever there is a new one."""

    def __init__(self, context: FaultContext, on_result: Callable[[Sequence[Trial]], None]) -> None:
        super().__init__(self._earlier_or_new, on_result)
        self._context = context

    def _earlier_or_new(self, name: str) -> Trial:
        return self._earlier(name) or run_trial(self._context, name)

    def _earlier(self, name: str) -> Trial | None:
        """A trial of a node that ran the load balancer counts as one of the balancer's node."""
        service = balancer(self._context.session.topology)
        if name != f"{POWER_OFF}:{BALANCER}":
            return None
        return next(
            (
                each
                for each in self.results()
                if each.fault.kind == POWER_OFF and len(each.fault.nodes) == 1 and service in each.carried
            ),
            None,
        )
