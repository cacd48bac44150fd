"""What shows that a droplet's probes of databases work."""

from __future__ import annotations

import pytest

from harness.run.settings import topology_file
from harness.topology import load
from harness.topology.deployment import Deployment, Node
from harness.verify.databases import trust


@pytest.mark.parametrize(
    ("topology", "node", "port"),
    [
        ("swarm-encrypted", "client", 22),  # every port is open to it, and hardly any has a listener
        ("standard", "client", 4000),  # one service's port is, and that listens
    ],
)
def test_a_control_has_a_listener(topology: str, node: str, port: int) -> None:
    """A port that nobody listens at would be closed, and show nothing."""
    read = load(topology_file(topology))
    nodes = {
        name: Node(name, str(number), "active", None, f"10.10.0.{number}")
        for number, name in enumerate(read.droplets, 1)
    }
    deployment = Deployment("a", "00000000", "10.10.0.0/24", nodes, {})
    address, found = trust.control(deployment, read, node, ())
    assert found == port
    assert address in {each.private_ip for each in nodes.values()} - {nodes[node].private_ip}
