"""Where an existing deployment's firewalls and trusted sources admit other traffic than the topology's. Pure.

Its firewalls have other names and other rules, so what is compared is what all firewalls together admit at
each droplet: every address, every port. A peer without known addresses, like a load balancer, is one that no
topology names, and is reported as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from harness.core import ports
from harness.core.ports import NONE, Ports
from harness.existing.match import Match
from harness.firewall.bodies import firewall_of, source_type
from harness.firewall.evaluate import At, all_allowed, rules_of, spans
from harness.firewall.from_api import Documents, droplet_of, network_of, trusted_of
from harness.firewall.model import Body, Direction, FirewallState, Network, Peer, Rule
from harness.firewall.naming import peer_name
from harness.firewall.ranges import IPV6, LAST, PortsByAddress, Span, overlap, ports_with_all
from harness.isolation.drift import Drift
from harness.provision.desired import firewalls
from harness.topology.model import Topology

Beyond = Sequence[tuple[Span, Ports]]

KNOWABLE = ("addresses", "droplet_ids", "tags")
SUCCEEDED = "succeeded"
VERBS: Mapping[Direction, tuple[str, str]] = {"inbound": ("take", "from"), "outbound": ("send", "to")}


@dataclass(frozen=True)
class _Comparison:
    """What is and what should be, of the same machines."""

    topology: Topology
    actual: Network
    wanted: Network


def drift(
    topology: Topology, run: str, operators: Sequence[str], documents: Documents, found: Match
) -> tuple[Drift, ...]:
    """Every difference between an existing deployment and its topology; empty: there is no drift.

    ``run`` is the label that stands for a run's name in ``documents``. Raises ``UsageError`` where the CIDRs
    that ``self`` stands for are needed and not given.
    """
    return (*_presence(topology, found), *admissions(topology, run, operators, documents))


def admissions(
    topology: Topology, run: str, operators: Sequence[str], documents: Documents
) -> tuple[Drift, ...]:
    """What is admitted and should not be, or should be and is not, by droplet and database."""
    machines = _machines(topology, run, documents)
    bodies = tuple(_covering(machines, documents.firewalls, topology))
    actual = FirewallState(tuple(map(firewall_of, bodies)), tuple(trusted_of(documents).items()))
    wanted = _wanted(topology, operators, machines)
    comparison = _Comparison(topology, machines.under(actual), machines.under(wanted))
    return (*_unknowable(comparison), *_uncovered(comparison), *_compared(comparison), *_pending(bodies))


def _presence(topology: Topology, found: Match) -> Iterator[Drift]:
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


def _machines(topology: Topology, run: str, documents: Documents) -> Network:
    """All droplets of the account, those of the deployment by their names in the topology."""
    network = network_of(topology, run, documents)
    names = {each.id: name for name, each in network.droplets.items()}
    droplets = (
        replace(droplet_of(each, run), name=names.get(str(each["id"]), f"{each['name']} ({each['id']})"))
        for each in documents.droplets
    )
    return replace(network, droplets={each.name: each for each in droplets}, others={})


def _covering(machines: Network, bodies: Sequence[Body], topology: Topology) -> Iterator[Body]:
    ours = [each for name, each in machines.droplets.items() if name in topology.droplets]
    yield from (body for body in bodies if any(map(firewall_of(body).covers, ours)))


def _wanted(topology: Topology, operators: Sequence[str], machines: Network) -> FirewallState:
    bodies = firewalls(topology, machines.run, machines.vpc_range, operators).values()
    trusted = tuple(
        (name, tuple(Peer("tags", machines.tag(node)) for node in each.trusted_sources))
        for name, each in topology.databases.items()
    )
    return FirewallState(tuple(map(firewall_of, bodies)), trusted)


def _uncovered(comparison: _Comparison) -> Iterator[Drift]:
    """Where one of the two admits everything, so that no rule can be named."""
    for name in comparison.topology.droplets:
        there, meant = (each.covering(name) for each in (comparison.actual, comparison.wanted))
        if meant and not there:
            yield Drift("droplet", name, "no firewall covers it: it takes everything, and sends everything")
        if there and not meant:
            yield Drift("droplet", name, "a firewall covers it, and none of the topology's does")
    for name in comparison.actual.databases:
        wanted, actual = (each.state.trusted_sources(name) for each in (comparison.wanted, comparison.actual))
        if wanted and not actual:
            yield Drift("trusted sources", name, "there are none: the database is open to everybody")


def _compared(comparison: _Comparison) -> Iterator[Drift]:
    there, meant = all_allowed(comparison.actual), all_allowed(comparison.wanted)
    reported = {each.name for each in _uncovered(comparison)}
    for at in meant:
        if at[0] in {*comparison.topology.droplets, *comparison.topology.databases} - reported:
            yield from _at(comparison, at, there[at], meant[at])


def _at(comparison: _Comparison, at: At, has: PortsByAddress, should: PortsByAddress) -> Iterator[Drift]:
    name, direction, protocol = at
    kind = "droplet" if name in comparison.topology.droplets else "trusted sources"
    verb, side = VERBS[direction]
    actual, wanted = (
        [each for each in rules_of(network, name, direction) or () if each.protocol == protocol]
        for network in (comparison.actual, comparison.wanted)
    )
    for what, peers in _named(comparison.actual, actual, _beyond(has, should)):
        yield Drift(kind, name, f"{verb}s {what} {side} {peers}, more than the topology admits")
    for what, peers in _named(comparison.wanted, wanted, _beyond(should, has, below=IPV6)):
        yield Drift(kind, name, f"does not {verb} {what} {side} {peers}, as the topology says")


def _beyond(this: PortsByAddress, that: PortsByAddress, *, below: int = LAST + 1) -> Beyond:
    """What one admits and the other does not, by address and port.

    ``below``: only of addresses before this one. That an IPv6 address is not let through is no fault, for a
    topology's droplets have none.
    """
    cuts = sorted({cut for each in (*this, *that) for cut in (each.first, each.last + 1)} | {IPV6})
    pieces = [(first, until - 1) for first, until in pairwise(cuts) if first < below]
    found = (
        (each, ports.subtract(ports_with_all(this, each), ports_with_all(that, each))) for each in pieces
    )
    return [(each, more) for each, more in found if more != NONE]


def _named(network: Network, rules: Sequence[Rule], beyond: Beyond) -> Iterator[tuple[str, str]]:
    """By which peers of ``rules`` what is ``beyond`` gets through: ``tcp 4000`` and ``client, ::/0``."""
    found: dict[tuple[str, Ports], list[str]] = {}
    for rule in rules:
        for peer in rule.peers:
            mine = spans(network, [peer])
            reached = [more for span, more in beyond if any(overlap(span, each) for each in mine)]
            if through := ports.intersect(ports.union(*reached), rule.admits):
                found.setdefault((rule.protocol, through), []).append(_peer_text(network, peer))
    for (protocol, through), peers in found.items():
        what = protocol if protocol == "icmp" else f"{protocol} {ports.render(through)}"
        yield what, ", ".join(dict.fromkeys(peers))


def _peer_text(network: Network, peer: Peer) -> str:
    if peer.kind != "addresses":
        return peer_name(network, peer)
    address = peer.value.removesuffix("/32")
    here = (each.name for each in network.droplets.values() if address in each.addresses)
    return next(here, peer.value)


def _unknowable(comparison: _Comparison) -> Iterator[Drift]:
    """Peers whose addresses the API does not report; no topology names any."""
    for firewall in comparison.actual.state.firewalls:
        for peer in {each for rule in firewall.rules for each in rule.peers if each.kind not in KNOWABLE}:
            what = peer_name(comparison.actual, peer)
            yield Drift("firewall", firewall.name, f"a rule names {what}, and the topology names none")
    for name, sources in comparison.actual.state.trusted:
        for peer in sources:
            if peer.kind not in KNOWABLE:
                what = f"{source_type(peer)} {peer.value}"
                yield Drift("trusted sources", name, f"they name {what}, and the topology names none")


def _pending(bodies: Sequence[Body]) -> Iterator[Drift]:
    for each in bodies:
        if each.get("status") != SUCCEEDED or each.get("pending_changes"):
            yield Drift("firewall", str(each["name"]), f"is not in force: its status is {each.get('status')}")
