"""What the commands about isolation begin with: a session, and the network as it is now."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness import provision
from harness.core.progress import Progress
from harness.existing.match import Match
from harness.existing.view import inspect as inspect_existing
from harness.firewall.from_api import Documents, fetch, network_of
from harness.firewall.model import Network
from harness.run.session import Session, session_of
from harness.run.settings import Settings, choose_existing, load_topology, not_up, resolve_existing
from harness.target.api import Api


@dataclass(frozen=True)
class NetworkSession(Session):
    """A session with its network: ``documents`` is what the API answered, ``network`` what it describes.

    ``match``: of an existing deployment, what stands for what; None for a run of ours.
    """

    documents: Documents
    network: Network
    match: Match | None = None


def open_network_session(settings: Settings, *, whole: bool = True) -> NetworkSession:
    """Inspect the run that ``settings`` mean; only reads. Raises ``UsageError`` where nothing is up.

    An existing deployment has to be the topology's, node for node, if ``whole``.
    """
    choice = choose_existing(settings)
    topology = load_topology(choice)
    target = resolve_existing(choice, Progress(), lease=False)
    if choice.place:
        found = inspect_existing(target, topology, choice.place, whole=whole)
        network = network_of(topology, choice.run, found.documents)
        network = replace(network, operators=target.operators, existing=choice.place.tag)
        session = session_of(choice, target, topology, found.deployment, login=False)
        return NetworkSession(
            **session.parts(), documents=found.documents, network=network, match=found.match
        )
    deployment = provision.observe(target, topology, choice.run)
    with Api(target, read_only=True) as api:
        documents = fetch(api, choice.run)
    network = replace(network_of(topology, choice.run, documents), operators=target.operators)
    if not (network.droplets or network.databases):
        raise not_up(choice)
    session = session_of(choice, target, topology, deployment, login=False)
    return NetworkSession(**session.parts(), documents=documents, network=network)
