"""No machine forwards other services: each port answers with its own service, whatever the source port.

What can be found so, and what cannot, is in docs/isolation.md.
"""

from __future__ import annotations

import pytest

from harness.access.ssh import Access
from harness.core.errors import CommandError, InconclusiveError
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.disturbing import Note
from harness.verify.network import relays
from harness.verify.network.relays import Machine


@pytest.fixture
def machine(access: Access, node: str) -> Machine:
    """A node as seen from a log-in."""
    try:
        return relays.inspect(access, node)
    except CommandError as error:
        raise InconclusiveError(f"{node} cannot be inspected: {error}") from error


def test_ports_answer_with_their_own_service(
    node: str, access: Access, deployment: Deployment, topology: Topology, note: Note
) -> None:
    """Probed by a droplet that may, from low, notable and sampled source ports, none answers differently."""
    asked = relays.ask(access, deployment, topology, node)
    if not asked:
        pytest.skip(f"no droplet may reach {node}")
    note("; ".join(map(str, asked)))
    wrong = [found for each in asked if (found := relays.wrong(each, topology))]
    assert not wrong, "; ".join(wrong)


def test_no_rule_sends_packets_elsewhere(node: str, machine: Machine) -> None:
    """Rules and balancers of the machine's kernel send packets to its own containers, and nowhere else."""
    found = relays.relaying(machine)
    assert not found, f"{node} forwards packets: {'; '.join(found)}"


def test_no_program_of_nobody_listens(node: str, machine: Machine) -> None:
    """Every reachable listener is the system's or Docker's."""
    found = relays.unknown_listeners(machine)
    assert not found, f"on {node} a program listens that belongs to no service: {'; '.join(found)}"


def test_machines_have_host_keys_of_their_own(access: Access, topology: Topology) -> None:
    """A machine with the ssh host key of another one may be that machine."""
    for node in topology.droplets:
        access.run(node, "true")
    shared = relays.host_keys(access.run_dir.known_hosts.read_text())
    assert not shared, f"one ssh host key for {'; '.join(shared)}"
