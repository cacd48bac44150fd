"""Where a running deployment's firewalls and trusted sources differ from its topology. Reads only.

Things are compared by what they mean: a rule that names a droplet by its id is the same as one that names it
by its own tag, and so is a firewall that covers it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.core.names import STRANGER, node_tag, resource_name, run_of_name, run_tag
from harness.firewall.bodies import firewall_of, sources_of
from harness.firewall.from_api import Documents, all_droplets, network_of, trusted_of
from harness.firewall.model import Body, Firewall, Network, Peer
from harness.firewall.naming import peer_name
from harness.provision.account import Account
from harness.provision.desired import BOOTSTRAP, desired, firewalls
from harness.provision.guests import guests
from harness.provision.observe import database_of, node_of
from harness.provision.owner import own
from harness.provision.plan import UNKNOWN_RANGE
from harness.topology.model import Topology

RuleMeaning = tuple[str, str, str, str]  # inbound or outbound, protocol, ports, one peer


@dataclass(frozen=True)
class Drift:
    """One thing that is not as the topology says. ``kind``: firewall, trusted sources, droplet or database.

    ``name`` is a firewall's full name, else the name in the topology.
    """

    kind: str
    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.problem}"


@dataclass(frozen=True)
class _Comparison:
    topology: Topology
    run: str
    documents: Documents
    network: Network  # with all other droplets of the account
    wanted: Mapping[str, Firewall]
    actual: tuple[tuple[Body, Firewall], ...]


def drift(topology: Topology, run: str, operators: Sequence[str], documents: Documents) -> tuple[Drift, ...]:
    """Every difference between what the API reported and the topology; empty: there is no drift.

    ``operators`` are the CIDRs that ``self`` stands for. Raises ``UsageError`` where they are needed and none
    are given.
    """
    comparison = _comparison(topology, run, operators, documents)
    return (
        *_droplets(comparison),
        *_guests(comparison),
        *_databases(comparison),
        *_firewalls(comparison),
        *_foreign(comparison),
        *_trusted(comparison),
    )


def firewall_names(topology: Topology, run: str) -> tuple[str, ...]:
    """The full names of the firewalls that a run should have."""
    return tuple(resource_name(run, each.name) for each in topology.all_firewalls())


def _comparison(topology: Topology, run: str, operators: Sequence[str], documents: Documents) -> _Comparison:
    network = network_of(topology, run, documents)
    mine = {each.id for each in network.droplets.values()}
    others = {each.id: each for each in all_droplets(documents, run, network.droplets) if each.id not in mine}
    bodies = firewalls(topology, run, network.vpc_range or topology.ip_range or UNKNOWN_RANGE, operators)
    wanted = {name: firewall_of(body) for name, body in bodies.items()}
    actual = tuple((body, firewall_of(body)) for body in documents.firewalls)
    return _Comparison(topology, run, documents, replace(network, others=others), wanted, actual)


def _droplets(comparison: _Comparison) -> Iterator[Drift]:
    there = comparison.network.droplets
    for name in comparison.topology.droplets:
        if name not in there:
            yield Drift("droplet", name, "is missing")
        elif there[name].status != "active":
            yield Drift("droplet", name, f"is {there[name].status}, not active")
    chosen = {each.id: name for name, each in there.items()}
    for body in comparison.documents.droplets:
        tags = body["tags"]
        node = node_of(dict(body), comparison.run)
        if node_tag(comparison.run, STRANGER) in tags:
            yield Drift(
                "droplet", STRANGER, f"{body['name']} ({body['id']}) was left by a scan, or one is on"
            )
        elif run_tag(comparison.run) in tags and (
            node not in comparison.topology.droplets or chosen.get(str(body["id"])) != node
        ):
            known = node in comparison.topology.droplets
            what = f"is a second {node}" if known else "is not in the topology"
            yield Drift("droplet", str(body["name"]), f"({body['id']}) {what}")


def _guests(comparison: _Comparison) -> Iterator[Drift]:
    documents = comparison.documents
    account = Account(
        vpcs=_bodies(documents.vpcs),
        firewalls=_bodies(documents.firewalls),
        droplets=_bodies(documents.droplets),
        databases=_bodies(documents.databases),
    )
    for guest in guests(account, own(account, comparison.run)):
        bound = ", ".join(tie.words for tie in guest.ties if tie.kind != "firewall")
        if bound:  # what a firewall covers is reported with the firewall
            yield Drift(guest.kind, guest.name, f"({guest.id}) is not of the run, but {bound}")


def _bodies(documents: Sequence[Body]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(each) for each in documents)


def _databases(comparison: _Comparison) -> Iterator[Drift]:
    there = {database_of(dict(each)): each for each in comparison.documents.databases}
    for name in comparison.topology.databases:
        if name not in there:
            yield Drift("database", name, "is missing")
        elif there[name]["status"] != "online":
            yield Drift("database", name, f"is {there[name]['status']}, not online")
    for name in there:
        if name not in comparison.topology.databases:
            yield Drift("database", name, "is not in the topology")


def _firewalls(comparison: _Comparison) -> Iterator[Drift]:
    ours = [(body, each) for body, each in comparison.actual if run_of_name(each.name) == comparison.run]
    for name, wanted in comparison.wanted.items():
        found = [(body, each) for body, each in ours if each.name == name]
        if not found:
            yield Drift("firewall", name, "is missing")
        for body, each in found:
            yield from _firewall(comparison, body, each, wanted)
        if len(found) > 1:
            yield Drift("firewall", name, f"is there {len(found)} times")
    for body, each in ours:
        if each.name not in comparison.wanted:
            boot = each.name == resource_name(comparison.run, BOOTSTRAP)
            why = (
                "is still there: it lets everything out for the first boot"
                if boot
                else "is not in the topology"
            )
            covered = comparison.network.covered_by(each)
            yield Drift("firewall", each.name, f"{why}; covers {_listed(covered)}")
            yield from _pending(body, each)


def _firewall(comparison: _Comparison, body: Body, actual: Firewall, wanted: Firewall) -> Iterator[Drift]:
    should, covered = _covered(comparison, wanted), set(comparison.network.covered_by(actual))
    for name in sorted(should - covered):
        if name in comparison.network.droplets:
            yield Drift("firewall", actual.name, f"does not cover {name}")
    for name in sorted(covered - should):
        yield Drift("firewall", actual.name, f"covers {name} as well, which it should not")
    for each in sorted(_foreign_cover(comparison, actual)):
        yield Drift("firewall", actual.name, f"covers {each} as well, which is not of the run")
    mine, theirs = _meanings(comparison, actual), _meanings(comparison, wanted)
    for text in _grouped(mine - theirs):
        yield Drift("firewall", actual.name, f"has a rule that the topology does not: {text}")
    for text in _grouped(theirs - mine):
        yield Drift("firewall", actual.name, f"lacks a rule of the topology: {text}")
    yield from _pending(body, actual)


def _covered(comparison: _Comparison, wanted: Firewall) -> set[str]:
    declared = {
        resource_name(comparison.run, each.name): each for each in comparison.topology.all_firewalls()
    }
    return set(declared[wanted.name].droplets)


def _foreign_cover(comparison: _Comparison, actual: Firewall) -> Iterator[str]:
    """Droplets beyond the run that a firewall of the run covers, as text."""
    mine = {
        str(each["id"]) for each in comparison.documents.droplets if run_tag(comparison.run) in each["tags"]
    }
    for each in comparison.network.others.values():
        if each.id not in mine and actual.covers(each):
            yield f"{each.name} ({each.id})"


def _pending(body: Body, actual: Firewall) -> Iterator[Drift]:
    status = body.get("status")
    if status != "succeeded":
        yield Drift("firewall", actual.name, f"status is {status or 'not reported'}, not succeeded")
    if body.get("pending_changes"):
        changes = len(body["pending_changes"])
        yield Drift("firewall", actual.name, f"{changes} change{'s are' if changes > 1 else ' is'} pending")


def _foreign(comparison: _Comparison) -> Iterator[Drift]:
    for _, each in comparison.actual:
        covered = comparison.network.covered_by(each)
        if run_of_name(each.name) != comparison.run and covered:
            allows = "; ".join(_grouped(_meanings(comparison, each))) or "nothing"
            yield Drift(
                "firewall",
                each.name,
                f"({each.id}) is not of the run, but covers {_listed(covered)}; it allows {allows}",
            )


def _trusted(comparison: _Comparison) -> Iterator[Drift]:
    found = trusted_of(comparison.documents)
    for name, body in desired(comparison.topology, comparison.run).databases.items():
        if name not in found:
            continue
        mine, theirs = (_names(comparison, each) for each in (found[name], sources_of(body["rules"])))
        if theirs and not mine:
            yield Drift("trusted sources", name, "there are none: the database is open to everybody")
        for each in sorted(mine - theirs):
            yield Drift("trusted sources", name, f"it trusts {each}, which the topology does not name")
        for each in sorted(theirs - mine):
            yield Drift("trusted sources", name, f"it does not trust {each}")


def _names(comparison: _Comparison, peers: Iterable[Peer]) -> set[str]:
    return {peer_name(comparison.network, each) for each in peers}


def _meanings(comparison: _Comparison, firewall: Firewall) -> set[RuleMeaning]:
    return {
        (rule.direction, rule.protocol, rule.shown, name)
        for rule in firewall.rules
        for name in _names(comparison, rule.peers)
    }


def _grouped(meanings: Iterable[RuleMeaning]) -> list[str]:
    """Rules as text, one for each direction, protocol and set of ports, with all its peers."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for side, protocol, ports, peer in sorted(meanings):
        groups.setdefault((side, protocol, ports), []).append(peer)
    return [
        f"{side} {f'{protocol} {ports}'.strip()} {'from' if side == 'inbound' else 'to'} {_listed(peers)}"
        for (side, protocol, ports), peers in groups.items()
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no droplet"
