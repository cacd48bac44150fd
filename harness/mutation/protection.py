"""What protects a run: its Cloud Firewalls and trusted sources, as plain data that a mutant is a copy of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.api import Api
from harness.names import node_tag
from harness.provision.observe import Observed, database_of, look, node_of
from harness.topology.model import DATABASE_PORTS, Protocol

Body = Mapping[str, Any]
Way = Literal["inbound", "outbound"]
Peer = tuple[str, str | int]  # which list of the API's it is in, and what it is called there
Source = tuple[str, str]  # a trusted source's type and value

PEERS: Mapping[Way, str] = {"inbound": "sources", "outbound": "destinations"}
ALL_PORTS = "0"


@dataclass(frozen=True)
class Rule:
    """One rule of a Cloud Firewall. ``ports``: "22", "8000-9000", or "0": all, or icmp, which has none."""

    way: Way
    protocol: Protocol
    ports: str
    peers: tuple[Peer, ...]


@dataclass(frozen=True)
class Wall:
    """One Cloud Firewall: its rules, and whom it covers by id and by tag."""

    id: str
    name: str
    rules: tuple[Rule, ...]
    droplet_ids: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The firewall as the API takes it."""
        return {
            "name": self.name,
            "inbound_rules": [_rule_body(each) for each in self.rules if each.way == "inbound"],
            "outbound_rules": [_rule_body(each) for each in self.rules if each.way == "outbound"],
            "droplet_ids": list(self.droplet_ids),
            "tags": list(self.tags),
        }


@dataclass(frozen=True)
class Protection:
    """Everything that can be mutated. ``trusted`` are each database's sources by its name, sorted by name."""

    walls: tuple[Wall, ...]
    trusted: tuple[tuple[str, tuple[Source, ...]], ...]

    def sources(self, database: str) -> tuple[Source, ...]:
        """The trusted sources of one database; none means open to the world."""
        return dict(self.trusted)[database]

    def differences(self, other: Protection) -> tuple[str, ...]:
        """What is not the same in ``other``, by name, whatever the order in which things are listed."""
        mine, theirs = self._by_name(), other._by_name()
        return tuple(name for name in dict.fromkeys((*mine, *theirs)) if mine.get(name) != theirs.get(name))

    def _by_name(self) -> dict[str, Any]:
        walls = {f"firewall {each.name}": _unordered(each) for each in self.walls}
        return walls | {f"trusted sources of {name}": frozenset(each) for name, each in self.trusted}


@dataclass(frozen=True)
class End:
    """A droplet or a database: ``id`` and ``tags`` are the API's; a database has a ``port``, a droplet 0.

    Addresses of databases are not told by the API, only their names: those are empty.
    """

    name: str
    id: str
    tags: tuple[str, ...] = ()
    private: str = ""
    public: str = ""
    port: int = 0


@dataclass(frozen=True)
class Ground:
    """What stays as it is while the protection changes."""

    run: str
    vpc_range: str
    droplets: Mapping[str, End] = field(default_factory=dict)
    databases: Mapping[str, End] = field(default_factory=dict)

    def tag(self, droplet: str) -> str:
        """The tag that stands for one droplet of the run."""
        return node_tag(self.run, droplet)


def read(api: Api, run: str) -> tuple[Ground, Protection]:
    """The run and its protection as the API tells them now. Raises ``ApiError``."""
    seen = look(api, run)
    return _ground(seen, run), _protection(seen)


def wall_of(body: Body) -> Wall:
    """A firewall from the API's words."""
    rules = [_rule(rule, way) for way in PEERS for rule in body.get(f"{way}_rules") or ()]
    ids = (int(each) for each in body.get("droplet_ids") or ())
    return Wall(body["id"], body["name"], tuple(rules), tuple(ids), tuple(body.get("tags") or ()))


def source_of(body: Body) -> Source:
    """A trusted source from the API's words."""
    return str(body["type"]), str(body["value"])


def as_peer(source: Source) -> Peer:
    """A trusted source as the peer of a rule that means the same."""
    kinds = {"ip_addr": "addresses", "droplet": "droplet_ids"}
    return kinds.get(source[0], "tags"), source[1]


def _ground(seen: Observed, run: str) -> Ground:
    droplets = (_droplet(each, run) for each in seen.droplets)
    databases = (_database(each) for each in seen.databases)
    return Ground(
        run,
        str((seen.vpc or {}).get("ip_range", "")),
        {each.name: each for each in sorted(droplets, key=_name)},
        {each.name: each for each in sorted(databases, key=_name)},
    )


def _protection(seen: Observed) -> Protection:
    trusted = {
        database_of(each): tuple(source_of(rule) for rule in seen.trusted.get(each["id"], ()))
        for each in seen.databases
    }
    walls = sorted((wall_of(each) for each in seen.firewalls), key=lambda each: each.name)
    return Protection(tuple(walls), tuple(sorted(trusted.items())))


def _name(end: End) -> str:
    return end.name


def _droplet(body: Body, run: str) -> End:
    addresses = {each["type"]: each["ip_address"] for each in body["networks"].get("v4") or ()}
    name = node_of(dict(body), run) or str(body["name"])
    return End(
        name,
        str(body["id"]),
        tuple(body["tags"]),
        addresses.get("private", ""),
        addresses.get("public", ""),
    )


def _database(body: Body) -> End:
    return End(
        database_of(dict(body)),
        str(body["id"]),
        tuple(body.get("tags") or ()),
        port=DATABASE_PORTS.get(body["engine"], 0),
    )


def _rule(body: Body, way: Way) -> Rule:
    told = str(body.get("ports") or ALL_PORTS)
    ports = ALL_PORTS if told == "all" or body["protocol"] == "icmp" else told
    peers = body.get(PEERS[way]) or {}
    listed = tuple((kind, each) for kind in sorted(peers) for each in peers[kind] or ())
    return Rule(way, body["protocol"], ports, listed)


def _rule_body(rule: Rule) -> dict[str, Any]:
    peers: dict[str, list[str | int]] = {}
    for kind, each in rule.peers:
        peers.setdefault(kind, []).append(each)
    ports = {} if rule.protocol == "icmp" else {"ports": rule.ports}
    return {"protocol": rule.protocol, **ports, PEERS[rule.way]: peers}


def _unordered(wall: Wall) -> tuple[Any, ...]:
    rules = ((each.way, each.protocol, each.ports, frozenset(each.peers)) for each in wall.rules)
    return frozenset(rules), frozenset(wall.droplet_ids), _lower(wall.tags)


def _lower(tags: Iterable[str]) -> frozenset[str]:
    return frozenset(each.lower() for each in tags)


def covers(wall: Wall, droplet: End) -> bool:
    """Whether a firewall covers a droplet, by its id or by one of its tags."""
    by_id = any(str(each) == droplet.id for each in wall.droplet_ids)
    return by_id or bool(_lower(wall.tags) & _lower(droplet.tags))


def named_by(ground: Ground, peers: Sequence[Peer]) -> tuple[str, ...]:
    """The droplets that a rule's peers name by id or by tag."""
    ids = {str(value) for kind, value in peers if kind == "droplet_ids"}
    tags = _lower(str(value) for kind, value in peers if kind == "tags")
    return tuple(name for name, each in ground.droplets.items() if each.id in ids or tags & _lower(each.tags))
