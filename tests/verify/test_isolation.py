"""A quick look at the walls: the services' ports, from every droplet and from outside. Not a full scan.

What the intent names must get through, everything else must meet silence; and a vantage whose intended
flow does not get through proves nothing with the others' silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.deployment import Deployment
from harness.errors import InconclusiveError
from harness.ssh import Access
from harness.target import Target
from harness.topology.model import INTERNET, VPC, Topology
from harness.verify.probe import Address, State, from_here, from_node, insist_on_control

LookAround = Callable[[str], dict[Address, State]]

SSH = 22
DOCKER = 2375


def test_only_the_front_door_is_open_from_outside(
    target: Target, deployment: Deployment, topology: Topology
) -> None:
    """From here, the public addresses answer on the ports meant for the internet, and ssh on the bastion."""
    publics = {name: node.public_ip for name, node in deployment.nodes.items() if node.public_ip}
    wanted = intended((INTERNET,), publics, topology)
    bastion = (publics[topology.management.bastion], SSH)
    every = {(address, port) for address in publics.values() for port in ports(topology)}
    databases = {(each.public.host, each.public.port) for each in deployment.databases.values()}
    found = from_here(target, every | databases | wanted | {bastion})
    insist_on_control(found, bastion, "this machine")
    assert passing(found) == wanted | {bastion}


def test_only_intended_flows_leave(
    node: str, look_around: LookAround, deployment: Deployment, topology: Topology, addresses: dict[str, str]
) -> None:
    """From each droplet, exactly the intended private addresses and ports can be reached."""
    others = {name: address for name, address in addresses.items() if name != node}
    wanted = intended((node, VPC), others, topology)
    if node == topology.management.bastion:
        wanted |= {(addresses[name], SSH) for name in deployment.nodes if name != node}
    found = look_around(node)
    if not wanted:
        raise InconclusiveError(f"{node} may talk to nobody, so nothing shows that its probes work")
    for control in sorted(wanted):
        insist_on_control(found, control, node)
    assert passing(found) == wanted


@pytest.fixture(scope="session")
def look_around(
    access: Access, deployment: Deployment, topology: Topology, addresses: dict[str, str]
) -> Iterator[LookAround]:
    """What a droplet finds at every other's ports; all droplets look at once, when the first one is asked."""

    def look(node: str) -> dict[Address, State]:
        others = {(addresses[name], port) for name in addresses for port in ports(topology) if name != node}
        others |= {(addresses[name], each.private.port) for name, each in deployment.databases.items()}
        return from_node(access, node, others)

    with ThreadPoolExecutor(len(deployment.nodes)) as pool:
        looks = {node: pool.submit(look, node) for node in deployment.nodes}
        yield lambda node: looks[node].result()


@pytest.fixture(scope="session")
def addresses(access: Access, deployment: Deployment, topology: Topology) -> dict[str, str]:
    """Every private address by name; a database's as a node that may use it resolves it."""
    found = {name: node.private_ip or "" for name, node in deployment.nodes.items()}
    for name, database in topology.databases.items():
        host = deployment.databases[name].private.host
        found[name] = access.run(database.trusted_sources[0], f"getent ahostsv4 {host}").split()[0]
    return found


def intended(sources: Iterable[str], addresses: Mapping[str, str], topology: Topology) -> set[Address]:
    """Which of the ports worth a look the intent opens from ``sources``, at ``addresses``."""
    return {
        (addresses[flow.destination], port)
        for flow in topology.intent
        if flow.protocol == "tcp" and flow.source in sources and flow.destination in addresses
        for port in ports(topology)
        if port in span(flow.ports)
    }


def ports(topology: Topology) -> set[int]:
    """The ports worth a look: ssh, Docker's own, every service's, and the ends of what the intent opens."""
    services = {port for service in topology.services for port in service.ports}
    spans = [span(flow.ports) for flow in topology.intent if flow.protocol == "tcp"]
    return services | {SSH, DOCKER} | {end for each in spans for end in (each.start, each.stop - 1)}


def span(text: str) -> range:
    """``80``, ``8000-9000`` or ``0`` (all) as a range."""
    first, _, last = text.partition("-")
    return range(1, 65536) if text == "0" else range(int(first), int(last or first) + 1)


def passing(found: dict[Address, State]) -> set[Address]:
    """The addresses a packet gets to, whether somebody listens there or not."""
    return {address for address, state in found.items() if state != "filtered"}
