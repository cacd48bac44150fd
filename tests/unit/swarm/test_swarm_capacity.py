"""How many tasks a swarm can run."""

from __future__ import annotations

from typing import Any

import pytest
from swarm_helpers import leader, node

from harness.swarm.capacity import Capacity, capacity, problem

NODES = (
    leader("boss", "10.1.0.10"),
    node("one", "10.1.0.11", Labels={"web": "true"}),
    node("two", "10.1.0.12", Labels={"web": "true"}),
)


def spec(*constraints: str, ports: tuple[dict[str, Any], ...] = (), most: int = 0) -> dict[str, Any]:
    """A service as ``docker service inspect`` has it."""
    placement: dict[str, Any] = {"Constraints": list(constraints)} if constraints else {}
    placement |= {"MaxReplicas": most} if most else {}
    return {"Spec": {"TaskTemplate": {"Placement": placement}, "EndpointSpec": {"Ports": list(ports)}}}


HOST = {"PublishedPort": 80, "Protocol": "tcp", "PublishMode": "host"}
MESH = {"PublishedPort": 80, "Protocol": "tcp", "PublishMode": "ingress"}


@pytest.mark.parametrize(
    ("service", "nodes", "total"),
    [
        (spec(), ("boss", "one", "two"), None),
        (spec("node.role == worker"), ("one", "two"), None),
        (spec("node.labels.web == true", ports=(HOST,)), ("one", "two"), 2),
        (spec("node.role==manager", ports=(HOST,)), ("boss",), 1),
        (spec(ports=(MESH,)), ("boss", "one", "two"), None),
        (spec("node.role == worker", most=3), ("one", "two"), 6),
        (spec("node.labels.nowhere == true"), (), 0),
    ],
)
def test_room_is_what_constraints_and_ports_leave(
    service: dict[str, Any], nodes: tuple[str, ...], total: int | None
) -> None:
    """A port of the node is taken once; the routing mesh's is everybody's."""
    found = capacity(service, NODES)
    assert (found.nodes, found.total) == (nodes, total)


def test_nodes_that_take_no_tasks_are_no_room() -> None:
    """Down, drained, paused."""
    nodes = (
        node("one", "10.1.0.11", status="down"),
        node("two", "10.1.0.12", Availability="drain"),
        node("three", "10.1.0.13", Availability="pause"),
    )
    assert capacity(spec(), nodes).nodes == ()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_there_is_room_for_is_no_problem(count: int) -> None:
    """Nothing is room enough for nothing."""
    assert problem("web", count, Capacity(("one", "two"), 1, "it publishes 80/tcp there", ())) == ""
    assert problem("web", 0, Capacity((), None, "", ())) == ""


def test_problem_says_what_would_go() -> None:
    """And why no more."""
    message = problem("web", 3, Capacity(("one", "two"), 1, "it publishes 80/tcp there", ()))
    assert "web=3: at most 2 can run, as a node takes 1 (it publishes 80/tcp there)" in message
    assert "one, two may run it" in message
    assert "say web=2, or have more droplets in swarm.services.web.droplets" in message


def test_no_node_at_all_says_what_was_asked_for() -> None:
    """The constraints are what nobody has."""
    message = problem("web", 1, Capacity((), 1, "", ("node.labels.web == true", "node.role == worker")))
    assert "no node may run it (it asks for node.labels.web == true, node.role == worker)" in message
