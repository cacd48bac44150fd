"""The firewalls of a network and the machines that they are about, in DigitalOcean's words: plain data.

Rules hold what the API holds: peers by address, id or tag. Which machines these are is looked up in the
network that the rules belong to, whenever they are evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from harness.core import ports
from harness.core.names import node_tag
from harness.core.ports import ALL, Ports
from harness.topology.model import Protocol

Body = Mapping[str, Any]
Direction = Literal["inbound", "outbound"]
Side = Literal["private", "public"]

PEERS: Mapping[Direction, str] = {"inbound": "sources", "outbound": "destinations"}
DIRECTIONS: tuple[Direction, ...] = tuple(PEERS)
ALL_PORTS = "0"
ANYWHERE = "0.0.0.0/0"
INTERNET_ADDRESS = "192.0.2.10"


class Peer(NamedTuple):
    """A source or destination of a rule, or a trusted source.

    ``kind`` is the API's list that it is in (``addresses``, ``droplet_ids``, ``tags``, ...), ``value`` what
    stands there.
    """

    kind: str
    value: str


ANYBODY = (Peer("addresses", ANYWHERE), Peer("addresses", "::/0"))


@dataclass(frozen=True)
class Rule:
    """One rule of a Cloud Firewall. ``ports``: "22", "8000-9000", or "0": all, or icmp, which has none."""

    direction: Direction
    protocol: Protocol
    ports: str
    peers: tuple[Peer, ...]

    @property
    def admits(self) -> Ports:
        """The ports as a set; all for icmp."""
        return ALL if self.protocol == "icmp" else ports.parse(self.ports)

    @property
    def shown(self) -> str:
        """The ports for people: ``22``, ``all``, or nothing for icmp."""
        return "" if self.protocol == "icmp" else "all" if self.ports == ALL_PORTS else self.ports

    def body(self) -> dict[str, Any]:
        """The rule as the API takes it."""
        peers: dict[str, list[str | int]] = {}
        for kind, value in self.peers:
            peers.setdefault(kind, []).append(int(value) if kind == "droplet_ids" else value)
        given = {} if self.protocol == "icmp" else {"ports": self.ports}
        return {"protocol": self.protocol, **given, PEERS[self.direction]: peers}


@dataclass(frozen=True)
class Firewall:
    """One Cloud Firewall: its rules, and whom it covers by id and by tag.

    ``status`` is the API's, empty where it was not asked for.
    """

    id: str
    name: str
    rules: tuple[Rule, ...] = ()
    droplet_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    status: str = ""

    def of(self, direction: Direction) -> tuple[Rule, ...]:
        """The rules of one direction."""
        return tuple(each for each in self.rules if each.direction == direction)

    def covers(self, droplet: Droplet) -> bool:
        """Whether the firewall applies to a droplet: by its id or by one of its tags."""
        return droplet.is_one_of(self.droplet_ids, self.tags)

    def passes(self, which: Ports) -> bool:
        """Whether a rule of either direction lets TCP or UDP through on any of these ports, for anybody."""
        return any(each.protocol != "icmp" and ports.intersect(each.admits, which) for each in self.rules)

    def body(self) -> dict[str, Any]:
        """The firewall as the API takes it."""
        return {
            "name": self.name,
            "inbound_rules": [each.body() for each in self.of("inbound")],
            "outbound_rules": [each.body() for each in self.of("outbound")],
            "droplet_ids": [int(each) for each in self.droplet_ids],
            "tags": list(self.tags),
        }


@dataclass(frozen=True)
class FirewallState:
    """What can be changed of a network's rules. ``trusted`` are the databases' trusted sources, by name."""

    firewalls: tuple[Firewall, ...] = ()
    trusted: tuple[tuple[str, tuple[Peer, ...]], ...] = ()

    def trusted_sources(self, database: str) -> tuple[Peer, ...]:
        """The trusted sources of one database; none means open to the world."""
        return dict(self.trusted)[database]

    def replaced(self, firewall: Firewall) -> FirewallState:
        """The state with another form of one firewall."""
        firewalls = tuple(firewall if each.id == firewall.id else each for each in self.firewalls)
        return replace(self, firewalls=firewalls)

    def differences(self, other: FirewallState) -> tuple[str, ...]:
        """What is not the same in ``other``, by name, whatever the order in which things are listed."""
        mine, theirs = self._by_name(), other._by_name()
        return tuple(name for name in dict.fromkeys((*mine, *theirs)) if mine.get(name) != theirs.get(name))

    def peers(self) -> Iterator[Peer]:
        """Every peer of every rule, and every trusted source."""
        for firewall in self.firewalls:
            for rule in firewall.rules:
                yield from rule.peers
        for _, sources in self.trusted:
            yield from sources

    def _by_name(self) -> dict[str, Any]:
        firewalls = {f"firewall {each.name}": _unordered(each) for each in self.firewalls}
        return firewalls | {f"trusted sources of {name}": frozenset(each) for name, each in self.trusted}


@dataclass(frozen=True)
class Droplet:
    """A droplet; an address it does not have is empty."""

    name: str
    id: str
    status: str = "active"
    private: str = ""
    public: str = ""
    tags: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses it has."""
        return tuple(filter(None, (self.private, self.public)))

    def is_one_of(self, ids: Iterable[str], tags: Iterable[str]) -> bool:
        """Whether an id or a tag names it; how tags are capitalised does not matter."""
        return self.id in ids or not lower(tags).isdisjoint(lower(self.tags))


@dataclass(frozen=True)
class Database:
    """A database cluster and its port.

    The API tells no addresses of databases: ``private`` and ``public`` are networks (CIDRs) they are in.
    """

    name: str
    id: str
    port: int
    status: str = "online"
    private: str = ANYWHERE
    public: str = ANYWHERE
    private_host: str = ""
    public_host: str = ""


@dataclass(frozen=True)
class Network:
    """All that decides who reaches whom. ``droplets`` and ``databases`` by their names in the topology.

    ``others`` are droplets beyond the run that a rule or a trusted source names, as ``NAME (ID)``, and the
    outsider (``stranger``) where there is one. ``operators`` are CIDRs, where they are known, ``internet``
    the address that probes from outside come from, and ``existing`` the tag of a deployment that somebody
    else made, for which ``run`` is only a label.
    """

    run: str
    vpc_range: str
    droplets: Mapping[str, Droplet]
    databases: Mapping[str, Database]
    state: FirewallState = FirewallState()
    others: Mapping[str, Droplet] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    internet: str = INTERNET_ADDRESS
    existing: str = ""
    # What ``evaluate`` has worked out of it, kept because most is asked for again and again.
    evaluated: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def under(self, state: FirewallState) -> Network:
        """The same machines with other firewalls and trusted sources."""
        return replace(self, state=state)

    def droplet(self, end: str) -> Droplet | None:
        """The droplet of the run, or beyond it, that an end is; None where it is none."""
        return self.droplets.get(end) or self.others.get(end)

    def named_by(self, peers: Sequence[Peer]) -> tuple[Droplet, ...]:
        """The droplets that peers name by id or by tag."""
        ids = {value for kind, value in peers if kind == "droplet_ids"}
        tags = {value for kind, value in peers if kind == "tags"}
        if not (ids or tags):
            return ()
        everybody = (*self.droplets.values(), *self.others.values())
        return tuple(each for each in everybody if each.is_one_of(ids, tags))

    def covering(self, end: str) -> tuple[Firewall, ...]:
        """The firewalls that cover a droplet."""
        droplet = self.droplet(end)
        return tuple(each for each in self.state.firewalls if droplet and each.covers(droplet))

    def covered_by(self, firewall: Firewall) -> tuple[str, ...]:
        """The droplets of the run that a firewall covers, by name."""
        return tuple(name for name, each in self.droplets.items() if firewall.covers(each))

    def tag(self, droplet: str) -> str:
        """The tag that stands for one droplet of the run."""
        return node_tag(self.run, droplet)


@dataclass(frozen=True, order=True)
class Pair:
    """From one end to one address of another: its private or its public one.

    Ends are called by their names in the topology, or are ``internet``, ``operators``, ``stranger``, or a
    CIDR, which means all of its addresses.
    """

    source: str
    target: str
    side: Side = "private"

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}{'' if self.side == 'private' else ' (public)'}"


def lower(tags: Iterable[str]) -> frozenset[str]:
    """Tags as they are compared."""
    return frozenset(each.lower() for each in tags)


def _unordered(firewall: Firewall) -> tuple[Any, ...]:
    rules = ((each.direction, each.protocol, each.ports, frozenset(each.peers)) for each in firewall.rules)
    return frozenset(rules), frozenset(firewall.droplet_ids), lower(firewall.tags)
