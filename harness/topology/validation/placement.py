"""Where the tasks of a stack's services can run: Docker's placement constraints, evaluated for the droplets.

A member has the node labels ``role`` (its droplet's) and, for each service S that may run on it, ``S: true``;
its host name is its droplet's name. What only the machine itself knows (its id, platform, address, the
engine's labels) is assumed to satisfy a constraint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from harness.topology.model import StackService, Topology
from harness.topology.source import Problems, Step, did_you_mean

ROLE_LABEL = "role"
NODE_ROLES = ("manager", "worker")
LABELS = "node.labels."
CONSTRAINT = re.compile(
    r"\s*(?P<key>[A-Za-z_][\w.-]*?)\s*(?P<operator>==|!=)\s*(?P<value>[\w:.|/^$()?*+\[\]\\ -]+?)\s*"
)
# The attributes of a node in Docker, beside any ``node.labels.NAME`` and ``engine.labels.NAME``.
KNOWN_KEYS = ("node.hostname", "node.id", "node.ip", "node.platform.arch", "node.platform.os", "node.role")
LABEL_KEYS = (LABELS, "engine.labels.")
FORM = "write it as 'node.labels.role == judge0-server', with == or !="


def labels(topology: Topology, node: str) -> Mapping[str, str]:
    """The node labels of a member: ``role``, and the name of each service that may run on it, as ``true``."""
    swarm = topology.swarm
    named = {each.name: "true" for each in swarm.services if node in each.nodes} if swarm else {}
    return {ROLE_LABEL: topology.droplets[node].role, **named}


def eligible(topology: Topology, service: StackService) -> tuple[str, ...]:
    """The droplets that a task of this service may run on: those of ``nodes`` that its constraints take."""
    return tuple(node for node in service.nodes if _excluding(topology, service, node) is None)


def placeable(topology: Topology, service: StackService, *, lost: Collection[str] = ()) -> int:
    """How many of the service's replicas can run at once, with some droplets lost.

    Any number fits on one droplet, except where ports are published: then there is one task a droplet.
    """
    left = [node for node in eligible(topology, service) if node not in lost]
    if service.ports or not left:
        return min(service.replicas, len(left))
    return service.replicas


def problem_with(constraint: str) -> tuple[str, str] | None:
    """Problem and remedy for a constraint that Docker would refuse, or that no node can ever meet."""
    match = CONSTRAINT.fullmatch(constraint)
    if match is None:
        return f"{constraint!r} is not a constraint", FORM
    key = match["key"]
    if key not in KNOWN_KEYS and not any(key.startswith(each) and key != each for each in LABEL_KEYS):
        known = [*KNOWN_KEYS, *(f"{each}NAME" for each in LABEL_KEYS)]
        return f"Docker knows no {key!r} of a node", did_you_mean(key, known)
    if key == "node.role" and match["value"].lower() not in NODE_ROLES:
        remedy = "write manager or worker; for a droplet's role, 'node.labels.role'"
        return f"{match['value']!r} is no role of a node in a swarm", remedy
    return None


def check(topology: Topology, problems: Problems) -> None:
    """Note every service whose tasks cannot be placed, or not be replaced in an update."""
    if topology.swarm is None:
        return
    for service in topology.swarm.services:
        path: tuple[Step, ...] = ("swarm", "services", service.name)
        nodes = eligible(topology, service)
        if not nodes:
            at = "constraints" if service.constraints else "droplets"
            problem = f"no droplet can take a task of it: {'; '.join(exclusions(topology, service))}"
            problems.add((*path, at), problem, "name another droplet, or take the constraint out")
        elif service.ports and service.replicas > len(nodes):
            problem = (
                f"{service.replicas} replicas that no node can place: each publishes port "
                f"{service.ports[0]}, so there can be one a droplet, and only {', '.join(nodes)} can take one"
            )
            problem += "".join(f"; {each}" for each in exclusions(topology, service))
            remedy = f"ask for {len(nodes)} at most, name more droplets, or publish no port"
            problems.add((*path, "replicas"), problem, remedy)
        elif service.ports and service.order == "start-first" and service.replicas == len(nodes):
            problem = (
                f"an update could not start a task before the old one has stopped: each publishes port "
                f"{service.ports[0]}, and every droplet that can take one ({', '.join(nodes)}) has one"
            )
            remedy = "say 'order: stop-first', or name one more droplet"
            problems.add((*path, "order"), problem, remedy)


def exclusions(topology: Topology, service: StackService) -> Iterator[str]:
    """``'node.role == worker' excludes runner (it is a manager)``, one for each constraint that excludes."""
    excluded: dict[str, list[str]] = {}
    for node in service.nodes:
        if found := _excluding(topology, service, node):
            constraint, why = found
            excluded.setdefault(constraint, []).append(f"{node} ({why})")
    for constraint, nodes in excluded.items():
        yield f"{constraint!r} excludes {', '.join(nodes)}"


def _excluding(topology: Topology, service: StackService, node: str) -> tuple[str, str] | None:
    """The first constraint that keeps a service from a node, and what the node is instead."""
    for constraint in service.constraints:
        match = CONSTRAINT.fullmatch(constraint)
        if match is None:
            continue
        attribute = _attribute(topology, node, match["key"])
        if attribute is None:
            continue
        value, why = attribute
        same = value.lower() == match["value"].lower()  # Docker ignores case
        if same != (match["operator"] == "=="):
            return constraint, why
    return None


def _attribute(topology: Topology, node: str, key: str) -> tuple[str, str] | None:
    """A node's attribute by the topology, and its description; None: only the machine itself knows it."""
    if key == "node.role":
        role = NODE_ROLES[0 if topology.swarm and node in topology.swarm.managers else 1]
        return role, f"it is a {role}"
    if key == "node.hostname":
        return node, "by its name"
    if key.startswith(LABELS):
        name = key.removeprefix(LABELS)
        value = labels(topology, node).get(name)
        # To Docker a missing label is an empty one.
        return (value, f"its label {name} is {value}") if value else ("", f"it has no label {name}")
    return None
