"""Nothing but TCP, UDP and ICMP passes a covered droplet, and nothing leaves one with a false source address.

Real packets from real droplets, captured at the receivers. Each receiver's admitted flows are the control: a
receiver without these proves nothing. Where there are packet counters, they show that a droplet has sent its
false packets; elsewhere its kernel has at least accepted them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import InconclusiveError
from harness.firewall.from_topology import declared
from harness.target.emulator_api import Extras
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.flows import intended
from harness.topology.model import Topology
from harness.verify.network import protocols
from harness.verify.network.protocols import Packet

CONTROL = "control"
NOBODY = "203.0.113.250"  # an address for documentation


@dataclass(frozen=True)
class Carried:
    """Packets of one sort, whether each was received, and how many false ones were dropped, by droplet."""

    heard: Mapping[Packet, bool]
    stopped: Mapping[str, int] | None


def test_other_protocols_do_not_pass(others: Carried) -> None:
    """Neither in nor out: a rule cannot name them, and what no rule names is dropped."""
    require_control(others)
    require_silence(others)


def test_false_sources_do_not_leave(false: Carried) -> None:
    """Though the receiver would take the packet from the droplet that it claims to be from."""
    require_control(false)
    require_silence(false)


def test_false_sources_are_stopped_at_their_droplet(false: Carried, deployment: Deployment) -> None:
    """Where there are counters: each false packet is counted at the droplet that sent it."""
    if false.stopped is None:
        pytest.skip("the target has no counters")
    sent = Counter(packet.node for packet in false.heard if packet.shows != CONTROL)
    refs = {f"droplet:{node.id}": name for name, node in deployment.nodes.items()}
    stopped = {refs[ref]: count for ref, count in false.stopped.items() if ref in refs}
    short = {
        node: (count, stopped.get(node, 0)) for node, count in sent.items() if stopped.get(node, 0) < count
    }
    assert short == {}, "sent and stopped, by droplet"


@pytest.fixture(scope="module")
def flows(deployment: Deployment, topology: Topology) -> tuple[Packet, ...]:
    """One packet of each admitted TCP flow between droplets."""
    return tuple(
        packet(
            deployment,
            flow.source,
            flow.destination,
            protocols.TCP,
            CONTROL,
            port=ports.parse(flow.ports)[0][0],
        )
        for flow in intended(topology)
        if flow.protocol == "tcp" and {flow.source, flow.destination} <= set(deployment.nodes)
    ) or pytest.skip("the intent has no flow between droplets to test")


@pytest.fixture(scope="module")
def others(access: Access, deployment: Deployment, topology: Topology, flows: tuple[Packet, ...]) -> Carried:
    """Other protocols, along each admitted flow and back, where one end or the other is covered."""
    network = declared(topology)
    made = [
        packet(deployment, *way, number, name)
        for flow in flows
        for way in ((flow.node, flow.receiver), (flow.receiver, flow.node))
        if any(network.covering(end) for end in way)
        for name, number in protocols.OTHERS.items()
    ]
    if not made:
        pytest.skip(
            "no firewall covers any droplet, so that a swarm's ESP can pass: swarm_wire looks at that"
        )
    return carry(access, [*dict.fromkeys(made), *flows])


@pytest.fixture(scope="module")
def false(target: Target, access: Access, deployment: Deployment, flows: tuple[Packet, ...]) -> Carried:
    """From each droplet, with the source of another one that the receiver admits; and with one of nobody."""
    made = [
        packet(deployment, node, flow.receiver, protocol, f"false {name}", source=source, port=flow.port)
        for flow in flows
        for node in deployment.nodes
        if node not in (flow.node, flow.receiver)
        for name, protocol in (("tcp", protocols.TCP), ("udp", protocols.UDP), ("icmp", protocols.ICMP))
        for source in (flow.source, NOBODY)
    ]
    made += [
        packet(
            deployment, flow.node, flow.receiver, protocols.TCP, "false tcp", source=NOBODY, port=flow.port
        )
        for flow in flows
    ]
    if not target.info.get("plane"):
        return carry(access, [*made, *flows])
    with Extras(target) as extras:
        before = stopped(extras)
        carried = carry(access, [*made, *flows])
        after = stopped(extras)
    return Carried(carried.heard, {ref: after[ref] - before[ref] for ref in after})


def carry(access: Access, packets: list[Packet]) -> Carried:
    """Send packets, controls last."""
    return Carried(dict(zip(packets, protocols.carry(access, packets), strict=True)), None)


def packet(
    deployment: Deployment,
    node: str,
    receiver: str,
    protocol: int,
    shows: str,
    *,
    source: str = "",
    port: int = 0,
) -> Packet:
    """A packet between private addresses."""
    own, target = deployment.nodes[node].private_ip or "", deployment.nodes[receiver].private_ip or ""
    return Packet(node, receiver, protocol, source or own, target, port, shows)


def require_control(carried: Carried) -> None:
    """Raise ``InconclusiveError`` unless every admitted flow was received."""
    unheard = [str(each) for each, heard in carried.heard.items() if each.shows == CONTROL and not heard]
    if unheard:
        raise InconclusiveError(f"admitted packets were not received, so silence proves nothing: {unheard}")


def require_silence(carried: Carried) -> None:
    """No packet but the controls was received."""
    wrong = [str(packet) for packet, heard in carried.heard.items() if heard and packet.shows != CONTROL]
    assert wrong == [], "; ".join(wrong)


def stopped(extras: Extras) -> Counter[str]:
    """Packets with a false source that the fabric dropped, by the droplet that sent them."""
    found: Counter[str] = Counter()
    for row in extras.ask("GET", "/counters")["counters"]:
        if row["gate"] == "spoof":
            found[str(row["ref"])] += int(row["packets"])
    return found
