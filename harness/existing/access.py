"""Access to the nodes of an existing deployment: by the user's own key, or none at all."""

from __future__ import annotations

from collections.abc import Sequence

from harness.access.ssh import Access, open_access
from harness.core.errors import UsageError
from harness.existing.place import ExistingDir
from harness.run.rundir import RunDir
from harness.target.target import Target
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import Topology

NO_KEY = "nothing logs in to an existing deployment's nodes without --ssh-key"


class NoAccess(Access):
    """Refuses every login; ``reason`` is what the error says."""

    def __init__(self, run_dir: RunDir, secrets: Sequence[str], reason: str) -> None:
        super().__init__(run_dir, {}, "", secrets)
        self._reason = reason

    def _check(self, node: str) -> None:
        raise UsageError(f"{node}: {self._reason}")


def access_to(place: ExistingDir, target: Target, topology: Topology, deployment: Deployment) -> Access:
    """Access with the user's key; without one, none. Nothing is connected yet."""
    place.create()
    if place.key is None:
        return NoAccess(place, secrets_of(deployment), NO_KEY)
    return open_access(place, target, topology, deployment)
