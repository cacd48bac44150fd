"""What every check starts from: the deployment as the API tells it, and a way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness import provision
from harness.deployment import Deployment
from harness.errors import UsageError
from harness.progress import Progress
from harness.settings import Choice, load_topology, resolve_existing
from harness.ssh import Access, open_access
from harness.target import Target
from harness.topology.model import Topology


@dataclass(frozen=True)
class Setup:
    """A deployment to be checked."""

    choice: Choice
    target: Target
    topology: Topology
    deployment: Deployment
    access: Access


CHOICE: pytest.StashKey[Choice] = pytest.StashKey()
SETUP: pytest.StashKey[Setup] = pytest.StashKey()
# Whole parts of the report by their key; checks put in what they have found out.
SECTIONS: pytest.StashKey[dict[str, Any]] = pytest.StashKey()


def find(choice: Choice) -> Setup:
    """Find the run's deployment. Raises ``UsageError`` where it is not up."""
    topology = load_topology(choice)
    target = resolve_existing(choice, Progress())
    deployment = provision.observe(target, topology, choice.run)
    if not deployment.nodes:
        raise UsageError(f"run {choice.run!r} is not up on {choice.target}: `wavetank up` stands it up")
    access = open_access(choice.run_dir, target, topology, deployment)
    return Setup(choice, target, topology, deployment, access)
