"""Choose the submission protocol for a route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from harness.core.errors import UsageError
from harness.judge0.model import Route
from harness.load.model import Workload
from harness.load.protocol.batching import BatchProtocol
from harness.load.protocol.following import Following, Recording, Transport
from harness.load.protocol.listening import CallbackProtocol
from harness.load.protocol.polling import Poller
from harness.load.protocol.single import CreateProtocol, WaitProtocol

if TYPE_CHECKING:
    from harness.load.workload import Chosen


class SubmissionProtocol(Protocol):
    """Submits arrivals and follows each to its end, which it reports to the recorder once."""

    def begin(self, number: int, intended: int) -> None:
        """The arrival of that number is due; ``intended`` is when it was to begin (ns)."""

    def finish(self) -> None:
        """The run ends: what is still in flight is recorded as unfinished, and nothing after that."""


def open_protocol(
    route: Route,
    workload: Workload,
    chosen: Chosen,
    record: Recording,
    engine: Transport,
    *,
    timeout: float = 60.0,
) -> SubmissionProtocol:
    """The submission protocol for a route. ``chosen`` is the index of each arrival's program.

    ``timeout``: seconds from the intended start after which an arrival is given up. Raises ``UsageError`` for
    an invalid route, or if callbacks cannot be received.
    """
    check_route(route, workload)
    following = Following(route, workload, chosen, record, engine, timeout=timeout)
    if route.mode == "wait":
        return WaitProtocol(following, workload)
    if route.mode == "callback":
        return CallbackProtocol(following, workload)
    poller = Poller(following)
    if route.mode == "batch":
        return BatchProtocol(following, workload, poller.follow)
    return CreateProtocol(following, workload, poller.follow)


def check_route(route: Route, workload: Workload) -> None:
    """Raise ``UsageError`` if this workload cannot be submitted on this route."""
    if route.entry_point != "judge0" and route.mode != "wait":
        raise UsageError(
            f"submission mode {route.mode} needs Judge0's own API: with --entry-point "
            f"{route.entry_point} use wait, or --entry-point judge0"
        )
    _check_languages(route, workload)
    if route.mode == "callback" and not route.callback_base:
        raise UsageError(
            "submission mode callback needs a URL at which workers reach this machine: --callback-url"
        )
    if route.mode == "batch" and route.batch < 1:
        raise UsageError(f"a batch of {route.batch} submissions is not possible: use 1 to 20")


def _check_languages(route: Route, workload: Workload) -> None:
    unknown = sorted({each.language for each in workload.programs} - route.ids.keys())
    if not unknown or (route.entry_point != "judge0" and not route.ids):
        return
    missing, known = ", ".join(unknown), ", ".join(sorted(route.ids)) or "none"
    if route.entry_point == "judge0":
        raise UsageError(f"workload {workload.name!r}: this Judge0 has no {missing}; it has {known}")
    raise UsageError(
        f"workload {workload.name!r}: the topology's languages have no {missing} for the entry point "
        f"{route.entry_point}; they have {known}: use a workload of these, or add it to "
        "checks.front_door.languages"
    )
