"""The swarm's own ports: what every member must be able to send to the others, or there is no swarm.

The plan's list of firewalls forgets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.core import ports
from harness.firewall.evaluate import admitted
from harness.firewall.from_topology import declared
from harness.firewall.model import Pair
from harness.topology.model import Protocol, Swarm, Topology
from harness.topology.source import Problems

TO_MANAGERS: tuple[tuple[int, Protocol], ...] = ((2377, "tcp"),)
BETWEEN_MEMBERS: tuple[tuple[int, Protocol], ...] = ((7946, "tcp"), (7946, "udp"), (4789, "udp"))
SHOWN = 3


@dataclass(frozen=True)
class Need:
    """A port of the swarm's own, every sender and receiver for which it must be open, and a description."""

    port: int
    protocol: Protocol
    pairs: tuple[tuple[str, str], ...]
    whole: str


def check(topology: Topology, problems: Problems) -> None:
    """Note, as one problem, every flow of the swarm's own that the firewalls stop."""
    if topology.swarm is None:
        return
    if stopped := tuple(_stopped(topology, topology.swarm)):
        problem = f"the firewalls stop what the swarm itself sends: {'; '.join(stopped)}"
        remedy = (
            "the plan's firewall list forgets these ports: admit 2377/tcp from each member to each manager, "
            "and 7946/tcp, 7946/udp and 4789/udp from each member to each other, outbound at the sender and "
            "inbound at the receiver, and say so in the intent; topologies/swarm.yaml shows how"
        )
        problems.add(("swarm",), problem, remedy)


def needs(topology: Topology, swarm: Swarm) -> Iterator[Need]:
    """All that members have to be able to send to each other."""
    for receivers, wanted, whole in (
        (swarm.managers, TO_MANAGERS, "to the managers"),
        (tuple(topology.droplets), BETWEEN_MEMBERS, "between members"),
    ):
        pairs = tuple((one, other) for other in receivers for one in topology.droplets if one != other)
        for port, protocol in wanted:
            yield Need(port, protocol, pairs, whole)


def _stopped(topology: Topology, swarm: Swarm) -> Iterator[str]:
    """Each port that is closed for some pairs, and which, in words."""
    network = declared(topology)
    for need in needs(topology, swarm):
        this = ((need.port, need.port),)
        closed = [
            f"{one} -> {other}"
            for one, other in need.pairs
            if not ports.intersect(this, admitted(network, Pair(one, other), need.protocol))
        ]
        if closed:
            shown = need.whole if len(closed) == len(need.pairs) else ", ".join(closed[:SHOWN])
            more = f" and {len(closed) - SHOWN} more" if len(closed) > SHOWN and shown != need.whole else ""
            yield f"{need.port}/{need.protocol} {shown}{more}"
