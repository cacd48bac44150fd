"""A quick look at the walls: the services' ports, from every droplet and from outside. Not a full scan.

What the intent names must get through, everything else must meet silence; and a vantage whose intended
flow does not get through proves nothing with the others' silence.
"""

from __future__ import annotations

from harness.deployment import Deployment
from harness.errors import InconclusiveError
from harness.ssh import Access
from harness.target import Target
from harness.topology.model import INTERNET, Topology
from harness.verify.probe import Address, State, from_here, from_node, insist_on_control

SSH = 22
DOCKER = 2375


def test_only_the_front_door_is_open_from_outside(
    target: Target, deployment: Deployment, topology: Topology
) -> None:
    """From here, the public addresses answer on the ports meant for the internet, and ssh on the bastion."""
    wanted = {
        (deployment.nodes[flow.destination].public_ip or "", int(flow.ports))
        for flow in topology.intent
        if flow.source == INTERNET and flow.destination in deployment.nodes
    }
    bastion = (deployment.nodes[topology.management.bastion].public_ip or "", SSH)
    every = {
        (node.public_ip, port)
        for node in deployment.nodes.values()
        if node.public_ip
        for port in ports(topology)
    }
    databases = {(each.public.host, each.public.port) for each in deployment.databases.values()}
    found = from_here(target, every | databases | wanted | {bastion})
    insist_on_control(found, bastion, "this machine")
    assert passing(found) == wanted | {bastion}


def test_only_intended_flows_leave(
    node: str, access: Access, deployment: Deployment, topology: Topology
) -> None:
    """From each droplet, exactly the intended private addresses and ports can be reached."""
    addresses = {name: each.private_ip or "" for name, each in deployment.nodes.items() if name != node}
    databases = {name: each.private for name, each in deployment.databases.items()}
    wanted = {
        (addresses[flow.destination], int(flow.ports))
        if flow.destination in addresses
        else (databases[flow.destination].host, int(flow.ports))
        for flow in topology.intent
        if flow.source == node and flow.destination in {*addresses, *databases}
    }
    if node == topology.management.bastion:
        wanted |= {(address, SSH) for address in addresses.values()}
    every = {(address, port) for address in addresses.values() for port in ports(topology)}
    every |= {(each.host, each.port) for each in databases.values()}
    found = from_node(access, node, every | wanted)
    if not wanted:
        raise InconclusiveError(f"{node} may talk to nobody, so nothing shows that its probes work")
    for control in sorted(wanted):
        insist_on_control(found, control, node)
    assert passing(found) == wanted


def ports(topology: Topology) -> set[int]:
    """The ports worth a look: every service's, ssh, and Docker's own."""
    return {port for service in topology.services for port in service.ports} | {SSH, DOCKER}


def passing(found: dict[Address, State]) -> set[Address]:
    """The addresses a packet gets to, whether somebody listens there or not."""
    return {address for address, state in found.items() if state != "filtered"}
