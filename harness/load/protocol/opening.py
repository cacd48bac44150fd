"""The talk for a route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.core.errors import UsageError
from harness.judge0.model import Route
from harness.load.model import Workload
from harness.load.protocol.batching import Batching
from harness.load.protocol.following import Following, Recording, Transport
from harness.load.protocol.listening import Calling
from harness.load.protocol.polling import Poller
from harness.load.protocol.single import Creating, Waiting

if TYPE_CHECKING:
    from harness.load.workload import Chosen


class SubmissionProtocol(Protocol):
    """Hands arrivals in and follows each to its end, which the recorder is told of once."""

    def begin(self, number: int, intended: int) -> None:
        """The arrival of that number is due; ``intended`` is when it was to begin (ns)."""

    def finish(self) -> None:
        """The run ends; whatever is still under way is recorded as such, and nothing after that."""


def open_protocol(
    route: Route,
    workload: Workload,
    chosen: Chosen,
    record: Recording,
    engine: Transport,
    *,
    timeout: float = 60.0,
) -> SubmissionProtocol:
    """The talk for a route. ``chosen`` is the index of each arrival's program.

    ``timeout``: seconds from the intended start after which nobody waits for a final status. Raises
    ``UsageError`` for a route that cannot be, or whose callbacks cannot be heard.
    """
    check_route(route, workload)
    following = Following(route, workload, chosen, record, engine, timeout=timeout)
    if route.mode == "wait":
        return Waiting(following, workload)
    if route.mode == "callback":
        return Calling(following, workload)
    poller = Poller(following)
    if route.mode == "batch":
        return Batching(following, workload, poller.follow)
    return Creating(following, workload, poller.follow)


def check_route(route: Route, workload: Workload) -> None:
    """Raise ``UsageError`` where this workload cannot be handed in on this route."""
    if route.entry_point != "judge0":
        if route.mode != "wait":
            raise UsageError(
                f"submission mode {route.mode} needs Judge0's own API: with --entry-point "
                f"{route.entry_point} use wait, or --entry-point judge0"
            )
        return
    unknown = sorted({each.language for each in workload.programs} - route.ids.keys())
    if unknown:
        known = ", ".join(sorted(route.ids)) or "none"
        raise UsageError(
            f"workload {workload.name!r}: this Judge0 has no {', '.join(unknown)}; it has {known}"
        )
    if route.mode == "callback" and not route.callback_base:
        raise UsageError(
            "submission mode callback needs a URL at which workers reach this machine: --callback-url"
        )
    if route.mode == "batch" and route.batch < 1:
        raise UsageError(f"a creation of {route.batch} submissions is none: take 1 to 20")
