"""What a command shows that works before there is a deployment, and on one that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.run.session import Session
    from harness.run.settings import Choice, Settings
    from harness.topology.model import Topology


def planned(given: Settings, *, login: Callable[[Topology], bool]) -> tuple[Topology, Session | None]:
    """The topology, and the session of the running deployment made from it, if there is one.

    ``login`` says of the topology whether its nodes have to be reached.
    """
    from harness.run import settings

    latest = settings.latest_run(given.state_dir)
    if given.run or (latest and given.target in (None, latest.facts().get("target"))):
        choice = settings.choose_existing(given)
        topology = settings.load_topology(choice)
        if given.run or choice.run_dir.facts().get("topology") == str(topology.file):
            return topology, _session(choice, topology, login=login(topology))
    return settings.load_topology(settings.choose_new(given), compose=True), None


def _session(choice: Choice, topology: Topology, *, login: bool) -> Session | None:
    """The session of the run, if the run is complete."""
    from harness import provision
    from harness.core.progress import Progress
    from harness.run import settings
    from harness.run.session import session_of
    from harness.topology.deployment import is_complete

    if settings.is_nowhere(choice.settings, choice.target):
        return None
    target = settings.resolve(choice.settings, choice.target, Progress())
    found = provision.observe(target, topology, choice.run)
    if not is_complete(found, topology):
        return None
    return session_of(choice, target, topology, found, login=login)
