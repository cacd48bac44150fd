"""A deployment that can be reached: which one it is, where, as the API describes it, and a way to its nodes.

A run of ours, or a deployment that somebody else made: its target sends nothing but GET then.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from harness import provision
from harness.access.ssh import Access, open_access
from harness.core.names import node_tag, run_tag
from harness.core.progress import Progress
from harness.existing.access import NoAccess, access_to
from harness.existing.view import inspect
from harness.run.secrets import with_secrets
from harness.run.settings import Choice, load_topology, not_up, resolve_existing
from harness.target.target import Target
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import FrontDoor, Topology
from harness.topology.rendering import headers

NO_LOGIN = "this command logs in to no node"


@dataclass(frozen=True)
class Session:
    """A deployment and what is needed to work with it."""

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

    @property
    def door(self) -> FrontDoor | None:
        """How programs are submitted at the front door, with the values of its headers; None: not said.

        Raises ``TopologyError`` for a header whose expression cannot be used.
        """
        return headers.front_door(self.topology, self.deployment)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What is masked in everything that is printed or stored, but for the API's token."""
        return headers.secrets(self.topology, self.deployment)

    def parts(self) -> dict[str, Any]:
        """The fields by name, for a session with more of them."""
        return {each.name: getattr(self, each.name) for each in fields(Session)}


def open_session(choice: Choice, progress: Progress | None = None) -> Session:
    """Find the deployment that ``choice`` means, and prepare a way in; no node is connected yet.

    Until the command ends, a lease says that the run is used. Raises ``UsageError`` if nothing is up.
    """
    topology = load_topology(choice)
    target = resolve_existing(choice, progress or Progress())
    if choice.place:
        return session_of(choice, target, topology, inspect(target, topology, choice.place).deployment)
    deployment = provision.observe(target, topology, choice.run)
    if not deployment.nodes:
        raise not_up(choice)
    return session_of(choice, target, topology, deployment)


def session_of(
    choice: Choice, target: Target, topology: Topology, deployment: Deployment, *, login: bool = True
) -> Session:
    """The session of a deployment that was found already; without ``login`` nothing can log in to its nodes.

    Writes the ssh configuration; no node is connected yet.
    """
    deployment = with_secrets(deployment, topology, choice.run_dir)
    if not login:
        access: Access = NoAccess(choice.run_dir, secrets_of(deployment), NO_LOGIN)
    elif choice.place:
        access = access_to(choice.place, target, topology, deployment)
    else:
        choice.run_dir.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        access = open_access(choice.run_dir, target, topology, deployment)
    return Session(choice, target, topology, deployment, access)
