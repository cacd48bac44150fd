"""A snapshot of a running swarm: what the harness reads, with the engine's own documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.run.session import Session
from harness.swarm import snapshot
from harness.swarm.converge import State
from harness.swarm.placing import facts
from harness.swarm.snapshot import Task
from harness.topology.model import Swarm

READY, RUNNING = "ready", "running"


@dataclass(frozen=True)
class View:
    """The swarm at one moment.

    ``specs`` are the services' documents (``docker service inspect``) by their names without the stack's;
    ``facts`` what constraints may ask of each member, by droplet; ``addresses`` where each task is on the
    overlay network, by the task's id; ``vips`` the virtual address of each service that has one.
    """

    swarm: Swarm
    manager: str
    state: State
    specs: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Mapping[str, str]]
    addresses: Mapping[str, str]
    vips: Mapping[str, str]

    def running(self, *services: str) -> tuple[Task, ...]:
        """The tasks that run, of some services or of all."""
        return tuple(task for each in services or self.specs for task in self.state.running(each))

    def found_at(self, service: str) -> tuple[str, ...]:
        """The addresses that the service's name should resolve to: its virtual one, or those of its tasks."""
        if self.vips.get(service):
            return (self.vips[service],)
        return tuple(self.addresses[each.id] for each in self.running(service))


def inspect(session: Session) -> View:
    """Inspect the swarm of a deployment. Raises ``WavetankError`` where no manager answers."""
    swarm = session.topology.swarm
    assert swarm is not None
    access = session.access
    manager = snapshot.a_manager(access, session.topology)
    read = snapshot.read(access, manager, swarm.stack)
    state = State(*snapshot.described(read, session.deployment, swarm.stack))
    names = {each.id: each.node for each in state.members if each.status == READY}
    running = [each for each in read.tasks if each["Status"]["State"] == RUNNING]
    found, networks = addresses(running, swarm.overlay.name)
    return View(
        swarm,
        manager,
        state,
        {short(swarm, each["Spec"]["Name"]): each for each in read.services},
        {names[each["ID"]]: facts(each) for each in read.nodes if each["ID"] in names},
        found,
        {short(swarm, each["Spec"]["Name"]): virtual(each, networks) for each in read.services},
    )


def short(swarm: Swarm, name: str) -> str:
    """A service's name as the topology has it, without the stack's."""
    return name.removeprefix(f"{swarm.stack}_")


def addresses(tasks: Sequence[Mapping[str, Any]], network: str) -> tuple[dict[str, str], set[str]]:
    """Each task's address on ``network``, by the task's id, and that network's ids.

    ``tasks`` are as ``docker inspect --type task`` has them.
    """
    found, ids = {}, set()
    for task in tasks:
        for each in task.get("NetworksAttachments") or ():
            if each["Network"]["Spec"]["Name"] == network and each.get("Addresses"):
                found[task["ID"]] = str(each["Addresses"][0]).partition("/")[0]
                ids.add(each["Network"]["ID"])
    return found, ids


def virtual(service: Mapping[str, Any], networks: set[str]) -> str:
    """A service's virtual address on one of ``networks``; empty where it has none, as with ``dnsrr``."""
    endpoint = service.get("Endpoint") or {}
    if (endpoint.get("Spec") or {}).get("Mode") == "dnsrr":
        return ""
    for each in endpoint.get("VirtualIPs") or ():
        if each["NetworkID"] in networks:
            return str(each["Addr"]).partition("/")[0]
    return ""
