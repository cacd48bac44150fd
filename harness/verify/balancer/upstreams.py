"""Which servers Judge0's load balancer passes requests on to, and where its log says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.core.errors import InconclusiveError
from harness.run.session import Session
from harness.topology.model import Judge0Endpoint, Topology
from harness.verify.swarm.discovery import listening, refers_to
from harness.verify.swarm.view import View, inspect


@dataclass(frozen=True)
class Upstreams:
    """``balancers`` are the nodes with the balancer's log; ``servers`` are nodes by ``address:port``.

    ``sources`` are the addresses that servers see the balancer's connections come from.
    """

    balancers: tuple[str, ...]
    servers: Mapping[str, str]
    sources: tuple[str, ...] = ()


def upstream_droplets(topology: Topology) -> tuple[str, ...]:
    """The droplets that Judge0's load balancer may talk to; empty where Judge0 is not behind one."""
    endpoint = topology.checks.judge0
    found = {flow.destination for flow in topology.intent if endpoint and flow.source == endpoint.node}
    named = tuple(name for name in topology.droplets if name in found)
    return named if len(named) > 1 else ()


def upstreams_of(session: Session) -> Upstreams:
    """The upstreams of the balancer that ``checks.judge0`` names.

    Raises ``InconclusiveError`` where the topology names none, ``WavetankError`` where its swarm is silent.
    """
    endpoint = session.topology.checks.judge0
    if endpoint is None:
        raise InconclusiveError(f"topology {session.topology.name} has no checks.judge0")
    return in_swarm(inspect(session), endpoint.service) if endpoint.service else _on_nodes(session, endpoint)


def in_swarm(view: View, balancer: str) -> Upstreams:
    """The tasks of the services that the balancer's own files and environment name."""
    ports = listening(view.swarm)
    servers = {
        f"{view.addresses[task.id]}:{port}": task.node
        for name in refers_to(view.swarm, balancer)
        for port in ports[name]
        for task in view.running(name)
    }
    tasks = view.running(balancer)
    return Upstreams(
        tuple(sorted({task.node for task in tasks})),
        servers,
        tuple(sorted(view.addresses[task.id] for task in tasks)),
    )


def _on_nodes(session: Session, endpoint: Judge0Endpoint) -> Upstreams:
    nodes = session.deployment.nodes
    return Upstreams(
        (endpoint.node,),
        {
            f"{nodes[flow.destination].private_ip}:{flow.ports}": flow.destination
            for flow in session.topology.intent
            if flow.source == endpoint.node and flow.destination in nodes
        },
        (nodes[endpoint.node].private_ip or "",),
    )
