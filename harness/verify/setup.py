"""What every check starts from: the deployment as the API tells it, and a way in.

An existing deployment, which somebody else made, is set up like a run: its target takes nothing but GET.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness import provision
from harness.access.ssh import Access, open_access
from harness.core.errors import UsageError
from harness.core.names import node_tag, run_tag
from harness.core.progress import Progress
from harness.existing import admits
from harness.existing.access import access_to
from harness.existing.place import ExistingDir
from harness.existing.view import look
from harness.firewall.from_api import Documents, ask
from harness.isolation.drift import Drift, drift
from harness.run.settings import Choice, load_topology, resolve_existing
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology


@dataclass(frozen=True)
class Setup:
    """A deployment to be checked."""

    choice: Choice
    target: Target
    topology: Topology
    deployment: Deployment
    access: Access

    @property
    def tag(self) -> str:
        """The tag that holds the deployment together."""
        return self.choice.place.tag if self.choice.place else run_tag(self.choice.run)

    def tags(self, node: str) -> set[str]:
        """The tags that a droplet has to have."""
        return {self.tag} if self.choice.place else {self.tag, node_tag(self.choice.run, node)}

    def reported(self) -> Documents:
        """What the API tells of everything that bears on its network, now."""
        if self.choice.place:
            return look(self.target, self.topology, self.choice.place).told
        with Api(self.target, read_only=True) as api:
            return ask(api, self.choice.run)

    def drift(self, told: Documents) -> tuple[Drift, ...]:
        """Where that is not as the topology says; for an existing deployment, whatever things are called."""
        if self.choice.place:
            return self.admissions(told)
        return drift(self.topology, self.choice.run, self.target.operators, told)

    def admissions(self, told: Documents) -> tuple[Drift, ...]:
        """Where all firewalls and trusted sources together let through other than the topology's would."""
        return admits.admissions(self.topology, self.choice.run, self.target.operators, told)


CHOICE: pytest.StashKey[Choice] = pytest.StashKey()
SETUP: pytest.StashKey[Setup] = pytest.StashKey()
# Whole parts of the report by their key; checks put in what they have found out.
SECTIONS: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
# Of a check that was not collected: why.
LEFT_OUT: pytest.StashKey[str] = pytest.StashKey()
# Of a check that the topology has nothing for.
OTHER_KIND: pytest.StashKey[bool] = pytest.StashKey()


def find(choice: Choice) -> Setup:
    """Find the deployment of a run, or somebody else's. Raises ``UsageError`` where it is not there."""
    topology = load_topology(choice)
    target = resolve_existing(choice, Progress())
    if choice.place:
        return _of_somebody_else(choice, choice.place, target, topology)
    deployment = provision.observe(target, topology, choice.run)
    if not deployment.nodes:
        raise UsageError(f"run {choice.run!r} is not up on {choice.target}: `wavetank up` stands it up")
    access = open_access(choice.run_dir, target, topology, deployment)
    return Setup(choice, target, topology, deployment, access)


def _of_somebody_else(choice: Choice, place: ExistingDir, target: Target, topology: Topology) -> Setup:
    deployment = look(target, topology, place).deployment
    return Setup(choice, target, topology, deployment, access_to(place, target, topology, deployment))
