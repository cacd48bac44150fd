"""Where what guards a running deployment is not what its topology says. Reads only.

Things are compared by what they mean: a rule that names a droplet by its id is the same as one that names it
by its own tag, and so is a firewall that covers it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.core.names import STRANGER, node_tag, resource_name, run_of_name, run_tag
from harness.firewall.bodies import firewall_of, sources_of
from harness.firewall.from_api import Documents, everybody_of, network_of, trusted_of
from harness.firewall.model import Body, Firewall, Network, Peer
from harness.firewall.naming import peer_name
from harness.provision.account import Account
from harness.provision.desired import BOOTSTRAP, desired, firewalls
from harness.provision.guests import guests
from harness.provision.observe import database_of, node_of
from harness.provision.owner import own
from harness.provision.plan import UNKNOWN_RANGE
from harness.topology.model import Topology

Meant = tuple[str, str, str, str]  # inbound or outbound, protocol, ports, one peer


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
class _Scene:
    topology: Topology
    run: str
    told: Documents
    network: Network  # with all other droplets of the account
    wanted: Mapping[str, Firewall]
    seen: tuple[tuple[Body, Firewall], ...]


def drift(topology: Topology, run: str, operators: Sequence[str], told: Documents) -> tuple[Drift, ...]:
    """Every difference between what the API told and the topology; none: all is as it should be.

    ``operators`` are the CIDRs that ``self`` stands for. Raises ``UsageError`` where they are needed and none
    are given.
    """
    scene = _scene(topology, run, operators, told)
    return (
        *_droplets(scene),
        *_guests(scene),
        *_databases(scene),
        *_firewalls(scene),
        *_foreign(scene),
        *_trusted(scene),
    )


def firewall_names(topology: Topology, run: str) -> tuple[str, ...]:
    """The full names of the firewalls that a run should have."""
    return tuple(resource_name(run, each.name) for each in topology.all_firewalls())


def _scene(topology: Topology, run: str, operators: Sequence[str], told: Documents) -> _Scene:
    network = network_of(topology, run, told)
    mine = {each.id for each in network.droplets.values()}
    others = {each.id: each for each in everybody_of(told, run, network.droplets) if each.id not in mine}
    bodies = firewalls(topology, run, network.vpc_range or topology.ip_range or UNKNOWN_RANGE, operators)
    wanted = {name: firewall_of(body) for name, body in bodies.items()}
    seen = tuple((body, firewall_of(body)) for body in told.firewalls)
    return _Scene(topology, run, told, replace(network, others=others), wanted, seen)


def _droplets(scene: _Scene) -> Iterator[Drift]:
    there = scene.network.droplets
    for name in scene.topology.droplets:
        if name not in there:
            yield Drift("droplet", name, "is missing")
        elif there[name].status != "active":
            yield Drift("droplet", name, f"is {there[name].status}, not active")
    chosen = {each.id: name for name, each in there.items()}
    for body in scene.told.droplets:
        tags = body["tags"]
        node = node_of(dict(body), scene.run)
        if node_tag(scene.run, STRANGER) in tags:
            yield Drift(
                "droplet", STRANGER, f"{body['name']} ({body['id']}) was left by a scan, or one is on"
            )
        elif run_tag(scene.run) in tags and (
            node not in scene.topology.droplets or chosen.get(str(body["id"])) != node
        ):
            known = node in scene.topology.droplets
            what = f"is a second {node}" if known else "is not in the topology"
            yield Drift("droplet", str(body["name"]), f"({body['id']}) {what}")


def _guests(scene: _Scene) -> Iterator[Drift]:
    told = scene.told
    account = Account(
        vpcs=_bodies(told.vpcs),
        firewalls=_bodies(told.firewalls),
        droplets=_bodies(told.droplets),
        databases=_bodies(told.databases),
    )
    for guest in guests(account, own(account, scene.run)):
        bound = ", ".join(tie.words for tie in guest.ties if tie.kind != "firewall")
        if bound:  # whom a firewall covers is told with the firewall
            yield Drift(guest.kind, guest.name, f"({guest.id}) is not of the run, but {bound}")


def _bodies(told: Sequence[Body]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(each) for each in told)


def _databases(scene: _Scene) -> Iterator[Drift]:
    there = {database_of(dict(each)): each for each in scene.told.databases}
    for name in scene.topology.databases:
        if name not in there:
            yield Drift("database", name, "is missing")
        elif there[name]["status"] != "online":
            yield Drift("database", name, f"is {there[name]['status']}, not online")
    for name in there:
        if name not in scene.topology.databases:
            yield Drift("database", name, "is not in the topology")


def _firewalls(scene: _Scene) -> Iterator[Drift]:
    ours = [(body, each) for body, each in scene.seen if run_of_name(each.name) == scene.run]
    for name, wanted in scene.wanted.items():
        found = [(body, each) for body, each in ours if each.name == name]
        if not found:
            yield Drift("firewall", name, "is missing")
        for body, each in found:
            yield from _firewall(scene, body, each, wanted)
        if len(found) > 1:
            yield Drift("firewall", name, f"is there {len(found)} times")
    for body, each in ours:
        if each.name not in scene.wanted:
            boot = each.name == resource_name(scene.run, BOOTSTRAP)
            why = (
                "is still there: it lets everything out for the first boot"
                if boot
                else "is not in the topology"
            )
            covered = scene.network.covered_by(each)
            yield Drift("firewall", each.name, f"{why}; covers {_listed(covered)}")
            yield from _pending(body, each)


def _firewall(scene: _Scene, body: Body, seen: Firewall, wanted: Firewall) -> Iterator[Drift]:
    should, covered = _covered(scene, wanted), set(scene.network.covered_by(seen))
    for name in sorted(should - covered):
        if name in scene.network.droplets:
            yield Drift("firewall", seen.name, f"does not cover {name}")
    for name in sorted(covered - should):
        yield Drift("firewall", seen.name, f"covers {name} as well, which it should not")
    for each in sorted(_foreign_cover(scene, seen)):
        yield Drift("firewall", seen.name, f"covers {each} as well, which is not of the run")
    mine, theirs = _meanings(scene, seen), _meanings(scene, wanted)
    for text in _grouped(mine - theirs):
        yield Drift("firewall", seen.name, f"has a rule that the topology does not: {text}")
    for text in _grouped(theirs - mine):
        yield Drift("firewall", seen.name, f"lacks a rule of the topology: {text}")
    yield from _pending(body, seen)


def _covered(scene: _Scene, wanted: Firewall) -> set[str]:
    declared = {resource_name(scene.run, each.name): each for each in scene.topology.all_firewalls()}
    return set(declared[wanted.name].droplets)


def _foreign_cover(scene: _Scene, seen: Firewall) -> Iterator[str]:
    """Droplets beyond the run that a firewall of ours covers, in words."""
    mine = {str(each["id"]) for each in scene.told.droplets if run_tag(scene.run) in each["tags"]}
    for each in scene.network.others.values():
        if each.id not in mine and seen.covers(each):
            yield f"{each.name} ({each.id})"


def _pending(body: Body, seen: Firewall) -> Iterator[Drift]:
    status = body.get("status")
    if status != "succeeded":
        yield Drift("firewall", seen.name, f"status is {status or 'not told'}, not succeeded")
    if body.get("pending_changes"):
        changes = len(body["pending_changes"])
        yield Drift("firewall", seen.name, f"{changes} change{'s are' if changes > 1 else ' is'} pending")


def _foreign(scene: _Scene) -> Iterator[Drift]:
    for _, each in scene.seen:
        covered = scene.network.covered_by(each)
        if run_of_name(each.name) != scene.run and covered:
            allows = "; ".join(_grouped(_meanings(scene, each))) or "nothing"
            yield Drift(
                "firewall",
                each.name,
                f"({each.id}) is not of the run, but covers {_listed(covered)}; it allows {allows}",
            )


def _trusted(scene: _Scene) -> Iterator[Drift]:
    found = trusted_of(scene.told)
    for name, body in desired(scene.topology, scene.run).databases.items():
        if name not in found:
            continue
        mine, theirs = (_names(scene, each) for each in (found[name], sources_of(body["rules"])))
        if theirs and not mine:
            yield Drift("trusted sources", name, "there are none: the database is open to everybody")
        for each in sorted(mine - theirs):
            yield Drift("trusted sources", name, f"it trusts {each}, which the topology does not name")
        for each in sorted(theirs - mine):
            yield Drift("trusted sources", name, f"it does not trust {each}")


def _names(scene: _Scene, peers: Iterable[Peer]) -> set[str]:
    return {peer_name(scene.network, each) for each in peers}


def _meanings(scene: _Scene, firewall: Firewall) -> set[Meant]:
    return {
        (rule.direction, rule.protocol, rule.shown, name)
        for rule in firewall.rules
        for name in _names(scene, rule.peers)
    }


def _grouped(meant: Iterable[Meant]) -> list[str]:
    """Rules in words, one for each way, protocol and ports, with all its peers."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for side, protocol, ports, peer in sorted(meant):
        groups.setdefault((side, protocol, ports), []).append(peer)
    return [
        f"{side} {f'{protocol} {ports}'.strip()} {'from' if side == 'inbound' else 'to'} {_listed(peers)}"
        for (side, protocol, ports), peers in groups.items()
    ]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no droplet"
