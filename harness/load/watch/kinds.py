"""What each node and service is to Judge0: a worker, an API server, the balancer before them, or neither.

The topology tells most of it: ``checks.judge0`` names the workers and where Judge0 answers; whom that node
may talk to on the same port, by the intent, are the servers behind it, and without any it is a server
itself. In a swarm no intent tells who talks to whom inside: there a service with ``server`` in its name is
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.topology.model import Judge0Endpoint, Topology

Kind = Literal["worker", "server", "balancer"]


@dataclass(frozen=True)
class Kinds:
    """By the names of nodes, and of services (compose projects, or services of the stack)."""

    nodes: Mapping[str, Kind] = field(default_factory=dict)
    services: Mapping[str, Kind] = field(default_factory=dict)


def kinds(topology: Topology) -> Kinds:
    """What is known; whatever is not named is neither. Nothing is where there is no ``checks.judge0``."""
    judge0 = topology.checks.judge0
    if judge0 is None:
        return Kinds()
    return _of_swarm(topology, judge0) if judge0.service else _of_nodes(topology, judge0)


def _of_nodes(topology: Topology, judge0: Judge0Endpoint) -> Kinds:
    behind = {
        flow.destination
        for flow in topology.intent
        if (flow.source, flow.protocol, flow.ports) == (judge0.node, "tcp", str(judge0.port))
        and flow.destination in topology.droplets
    }
    nodes: dict[str, Kind] = {judge0.node: "balancer" if behind else "server"}
    nodes |= dict.fromkeys(behind, "server")
    nodes |= dict.fromkeys(judge0.workers, "worker")
    found = {each.name: {nodes.get(node) for node in each.nodes} for each in topology.services}
    return Kinds(nodes, _only(found))


def _of_swarm(topology: Topology, judge0: Judge0Endpoint) -> Kinds:
    assert topology.swarm is not None
    stack = topology.swarm.services
    servers = [each.name for each in stack if "server" in each.name and each.name != judge0.service]
    services: dict[str, Kind] = {judge0.service: "balancer" if servers else "server"}
    services |= dict.fromkeys(servers, "server")
    services |= {each.name: "worker" for each in stack if set(each.nodes) <= set(judge0.workers)}
    placed = {
        node: {services.get(each.name) for each in stack if node in each.nodes} for node in topology.droplets
    }
    return Kinds(_only(placed), services)


def _only(found: Mapping[str, set[Kind | None]]) -> dict[str, Kind]:
    """Whatever is of one kind and nothing else."""
    return {name: kind for name, of in found.items() if len(of) == 1 for kind in of if kind is not None}
