"""What the commands about isolation begin with: a run that stands, and the network as it is now."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness import provision
from harness.api import Api
from harness.deployment import Deployment
from harness.errors import UsageError
from harness.isolation.network import Network
from harness.isolation.reported import Documents, ask, network_of
from harness.progress import Progress
from harness.settings import Choice, Settings, choose_existing, load_topology, resolve_existing
from harness.target import Target
from harness.topology.model import Topology


@dataclass(frozen=True)
class Standing:
    """A run of which something is there; ``told`` is what the API answered, ``network`` what it means."""

    choice: Choice
    target: Target
    topology: Topology
    deployment: Deployment
    told: Documents
    network: Network


def standing(settings: Settings) -> Standing:
    """Look at the run that ``settings`` mean, changing nothing. Raises ``UsageError`` where nothing is up."""
    choice = choose_existing(settings)
    topology = load_topology(choice)
    target = resolve_existing(choice, Progress(), lease=False)
    deployment = provision.observe(target, topology, choice.run)
    with Api(target, read_only=True) as api:
        told = ask(api, choice.run)
    network = replace(network_of(topology, choice.run, told), operators=target.operators)
    if not (network.droplets or network.databases):
        raise UsageError(f"run {choice.run!r} is not up on {choice.target}: `wavetank up` stands it up")
    return Standing(choice, target, topology, deployment, told, network)
