"""Where an existing deployment's firewalls and trusted sources let through other than the topology's. Pure.

Whoever made it named its firewalls otherwise and cut the rules elsewhere, so what is compared is what all
firewalls together admit at each droplet: every address, every port. What the API cannot say the addresses of,
like a load balancer, is something that no topology names, and told as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.existing.match import Match
from harness.isolation.drift import Drift
from harness.isolation.reported import UNRESOLVABLE, Documents, network_of
from harness.mutation.gates import (
    LAST,
    SIX,
    Gate,
    Span,
    admits_all_of,
    gates,
    ports_of,
    spans,
)
from harness.mutation.protection import (
    End,
    Ground,
    Peer,
    Protection,
    Rule,
    Source,
    Way,
    as_peer,
    covers,
    source_of,
    wall_of,
)
from harness.names import node_of_tag, run_of_tag
from harness.provision.desired import firewalls
from harness.provision.observe import database_of
from harness.topology import ports
from harness.topology.model import Protocol, Topology
from harness.topology.ports import NONE, Ports

Body = Mapping[str, Any]
Beyond = Sequence[tuple[Span, Ports]]

KNOWABLE = ("addresses", "droplet_ids", "tags")
SOURCES = ("ip_addr", "droplet", "tag")
SUCCEEDED = "succeeded"
VERBS: Mapping[Way, tuple[str, str]] = {"inbound": ("take", "from"), "outbound": ("send", "to")}


@dataclass(frozen=True)
class _Both:
    """What is and what should be, on the same ground."""

    topology: Topology
    ground: Ground
    seen: Protection
    wanted: Protection


def drift(
    topology: Topology, run: str, operators: Sequence[str], told: Documents, found: Match
) -> tuple[Drift, ...]:
    """Every difference between an existing deployment and its topology; none: all is as it should be.

    ``run`` is the label that stands for a run's name in ``told``. Raises ``UsageError`` where the CIDRs that
    ``self`` stands for are needed and not given.
    """
    return (*_there(topology, found), *admissions(topology, run, operators, told))


def admissions(topology: Topology, run: str, operators: Sequence[str], told: Documents) -> tuple[Drift, ...]:
    """What is let through and should not be, or should be and is not, by droplet and database."""
    ground = _ground(topology, run, told)
    walls = tuple(_covering(ground, told.firewalls, topology))
    seen = Protection(tuple(map(wall_of, walls)), _sources(told))
    both = _Both(topology, ground, seen, _wanted(topology, operators, ground))
    return (*_unknowable(both), *_uncovered(both), *_compared(both), *_pending(walls))


def _there(topology: Topology, found: Match) -> Iterator[Drift]:
    for name in found.missing:
        yield Drift("droplet" if name in topology.droplets else "database", name, "is missing")
    for name, each in found.droplets.items():
        if each["status"] != "active":
            yield Drift("droplet", name, f"is {each['status']}, not active")
    for name, each in found.databases.items():
        if each["status"] != "online":
            yield Drift("database", name, f"is {each['status']}, not online")
    for each in found.extra:
        kind = "database" if "engine" in each else "droplet"
        yield Drift(kind, str(each["name"]), f"({each['id']}) has the tag, and is not in the topology")


def _ground(topology: Topology, run: str, told: Documents) -> Ground:
    """Everybody of the account, those of the deployment by their names in the topology."""
    network = network_of(topology, run, told)
    names = {each.id: name for name, each in network.droplets.items()}
    droplets = [_droplet(each, names) for each in told.droplets]
    databases = {name: End(name, each.id, port=each.port) for name, each in network.databases.items()}
    return Ground(run, network.vpc_range, {each.name: each for each in droplets}, databases)


def _droplet(body: Body, names: Mapping[str, str]) -> End:
    addresses = {each["type"]: each["ip_address"] for each in body["networks"].get("v4") or ()}
    identity = str(body["id"])
    return End(
        names.get(identity, f"{body['name']} ({identity})"),
        identity,
        tuple(body.get("tags") or ()),
        addresses.get("private", ""),
        addresses.get("public", ""),
    )


def _covering(ground: Ground, bodies: Sequence[Body], topology: Topology) -> Iterator[Body]:
    ours = [each for name, each in ground.droplets.items() if name in topology.droplets]
    yield from (body for body in bodies if any(covers(wall_of(body), each) for each in ours))


def _sources(told: Documents) -> tuple[tuple[str, tuple[Source, ...]], ...]:
    return tuple(
        (database_of(dict(each)), tuple(map(source_of, told.trusted.get(str(each["id"]), ()))))
        for each in told.databases
    )


def _wanted(topology: Topology, operators: Sequence[str], ground: Ground) -> Protection:
    bodies = firewalls(topology, ground.run, ground.vpc_range, operators).values()
    trusted = tuple(
        (name, tuple(("tag", ground.tag(node)) for node in each.trusted_sources))
        for name, each in topology.databases.items()
    )
    return Protection(tuple(wall_of({**each, "id": ""}) for each in bodies), trusted)


def _uncovered(both: _Both) -> Iterator[Drift]:
    """Where one of the two lets everything through, so that no rule can be named."""
    for name in both.topology.droplets:
        there, meant = (_is_covered(both.ground, each, name) for each in (both.seen, both.wanted))
        if meant and not there:
            yield Drift("droplet", name, "no firewall covers it: it takes everything, and sends everything")
        if there and not meant:
            yield Drift("droplet", name, "a firewall covers it, and none of the topology's does")
    for name in both.ground.databases:
        if both.wanted.sources(name) and not both.seen.sources(name):
            yield Drift("trusted sources", name, "there are none: the database is open to everybody")


def _is_covered(ground: Ground, protection: Protection, name: str) -> bool:
    end = ground.droplets.get(name)
    return end is not None and any(covers(each, end) for each in protection.walls)


def _compared(both: _Both) -> Iterator[Drift]:
    there, meant = gates(both.ground, both.seen), gates(both.ground, both.wanted)
    told = {each.name for each in _uncovered(both)}
    for gate in meant:
        if gate[0] in {*both.topology.droplets, *both.topology.databases} - told:
            yield from _at_gate(both, gate, there[gate], meant[gate])


def _at_gate(both: _Both, at: tuple[str, Way, Protocol], has: Gate, should: Gate) -> Iterator[Drift]:
    name, way, protocol = at
    kind = "droplet" if name in both.topology.droplets else "trusted sources"
    verb, side = VERBS[way]
    seen, wanted = (
        [each for each in _rules(both.ground, one, name) if (each.way, each.protocol) == (way, protocol)]
        for one in (both.seen, both.wanted)
    )
    for what, peers in _named(both.ground, seen, _beyond(has, should)):
        yield Drift(kind, name, f"{verb}s {what} {side} {peers}, more than the topology lets through")
    for what, peers in _named(both.ground, wanted, _beyond(should, has, below=SIX)):
        yield Drift(kind, name, f"does not {verb} {what} {side} {peers}, as the topology says")


def _beyond(this: Gate, that: Gate, *, below: int = LAST + 1) -> Beyond:
    """What one gate admits and another does not, by address and port.

    ``below``: only of addresses before this one. That an IPv6 address is not let through is no fault, for a
    topology's droplets have none.
    """
    cuts = sorted({cut for each in (*this, *that) for cut in (each.first, each.last + 1)} | {SIX})
    pieces = [(first, until - 1) for first, until in pairwise(cuts) if first < below]
    found = ((each, ports.subtract(admits_all_of(this, each), admits_all_of(that, each))) for each in pieces)
    return [(each, more) for each, more in found if more != NONE]


def _named(ground: Ground, rules: Sequence[Rule], beyond: Beyond) -> Iterator[tuple[str, str]]:
    """By which peers of ``rules`` what is ``beyond`` gets through: ``tcp 4000`` and ``client, ::/0``."""
    found: dict[tuple[str, Ports], list[str]] = {}
    for rule in rules:
        for peer in rule.peers:
            mine = spans(ground, [peer])
            reached = [more for span, more in beyond if any(_overlap(span, each) for each in mine)]
            if through := ports.intersect(ports.union(*reached), ports_of(rule)):
                found.setdefault((rule.protocol, through), []).append(_word(ground, peer))
    for (protocol, through), peers in found.items():
        what = protocol if protocol == "icmp" else f"{protocol} {ports.render(through)}"
        yield what, ", ".join(dict.fromkeys(peers))


def _rules(ground: Ground, protection: Protection, name: str) -> Iterator[Rule]:
    """The rules that decide at one droplet, or at a database, whose trusted sources are as good as one."""
    if name in ground.databases:
        peers = tuple(map(as_peer, protection.sources(name)))
        yield Rule("inbound", "tcp", str(ground.databases[name].port), peers)
        return
    for wall in protection.walls:
        if covers(wall, ground.droplets[name]):
            yield from wall.rules


def _overlap(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _word(ground: Ground, peer: Peer) -> str:
    kind, value = peer[0], str(peer[1])
    for each in ground.droplets.values():
        if value == each.id or value.removesuffix("/32") in {each.private, each.public} - {""}:
            return each.name
    if kind == "tags":
        return node_of_tag(value) or f"tag {value}" if run_of_tag(value) == ground.run else f"tag {value}"
    return f"droplet {value}" if kind == "droplet_ids" else value


def _unknowable(both: _Both) -> Iterator[Drift]:
    """Peers whose addresses the API does not tell; no topology names any."""
    for wall in both.seen.walls:
        for kind, value in {peer for rule in wall.rules for peer in rule.peers if peer[0] not in KNOWABLE}:
            what = f"{UNRESOLVABLE.get(kind, kind)} {value}"
            yield Drift("firewall", wall.name, f"a rule names {what}, and the topology names none")
    for name, sources in both.seen.trusted:
        for kind, value in sources:
            if kind not in SOURCES:
                yield Drift("trusted sources", name, f"they name {kind} {value}, and the topology names none")


def _pending(walls: Sequence[Body]) -> Iterator[Drift]:
    for each in walls:
        if each.get("status") != SUCCEEDED or each.get("pending_changes"):
            yield Drift("firewall", str(each["name"]), f"is not in force: its status is {each.get('status')}")
