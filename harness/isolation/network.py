"""The network that all views speak of, as data: who is there, and what guards whom.

Rules and trusted sources keep the API's own words beside the IPv4 networks that these stand for at the
moment. What cannot be resolved, and IPv6, stands for no address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.topology import ports
from harness.topology.model import Protocol
from harness.topology.ports import ALL, Ports

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Peer:
    """One peer of a rule: the API's ``kind`` and ``value``, ``name`` for people, the IPv4 ``networks``."""

    kind: str
    value: str
    name: str
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One allowance. ``ports`` as the API told them; icmp has none."""

    protocol: Protocol
    ports: str
    peers: tuple[Peer, ...]

    @property
    def admits(self) -> Ports:
        """The ports as a set: all for icmp, and for "0", "all" and ""."""
        return ALL if self.protocol == "icmp" else ports.parse(self.ports or "0")


@dataclass(frozen=True)
class Firewall:
    """A Cloud Firewall that covers some of the run. ``droplets`` are names of those it covers."""

    id: str
    name: str
    droplets: tuple[str, ...]
    inbound: tuple[Rule, ...] = ()
    outbound: tuple[Rule, ...] = ()
    status: str = "succeeded"


@dataclass(frozen=True)
class Droplet:
    """A droplet; an address it does not have is empty."""

    name: str
    id: str
    status: str = "active"
    private: str = ""
    public: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Database:
    """A database cluster, its port and its trusted sources; none of these: open to everybody.

    The API tells no addresses of databases: ``private`` and ``public`` are networks (CIDRs) they are in.
    """

    name: str
    id: str
    port: int
    sources: tuple[Peer, ...] = ()
    status: str = "online"
    private: str = ANYWHERE
    public: str = ANYWHERE
    private_host: str = ""
    public_host: str = ""


@dataclass(frozen=True)
class Network:
    """All that decides who reaches whom. ``droplets`` and ``databases`` by their names in the topology.

    ``others`` are droplets beyond the run that a rule or a trusted source names, as ``NAME (ID)``, and the
    ``stranger`` where there is one. ``operators`` are CIDRs, where somebody filled them in, and ``existing``
    the tag of a deployment that somebody else made, for which ``run`` is only a label.
    """

    run: str
    vpc_range: str
    droplets: Mapping[str, Droplet]
    databases: Mapping[str, Database]
    firewalls: tuple[Firewall, ...]
    others: Mapping[str, Droplet] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    existing: str = ""


def all_peers(network: Network) -> Iterator[Peer]:
    """Every peer of every rule, and every trusted source."""
    for firewall in network.firewalls:
        for rule in (*firewall.inbound, *firewall.outbound):
            yield from rule.peers
    for database in network.databases.values():
        yield from database.sources
