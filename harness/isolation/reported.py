"""The network as the API reports it now: tags and ids resolved to the addresses of whoever carries them.

What cannot be resolved (load balancers, Kubernetes clusters, apps) and what is left out (IPv6) stands for no
address, and the network's ``notes`` say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from ipaddress import ip_network
from typing import Any

from harness.api import Api, every
from harness.isolation.network import (
    ANYWHERE,
    Database,
    Droplet,
    Firewall,
    Network,
    Peer,
    Rule,
    all_peers,
)
from harness.names import STRANGER, node_of_tag, node_tag, resource_name, run_of_tag, run_tag
from harness.parallel import in_parallel
from harness.provision.observe import Observed, as_node, database_of, databases_of
from harness.provision.plan import droplets_by_node
from harness.topology.model import DATABASE_PORTS, Topology

Body = Mapping[str, Any]

# Where the API lists a rule's peers, and what a trusted source of the same meaning is called.
PEER_KINDS = ("addresses", "droplet_ids", "tags", "load_balancer_uids", "kubernetes_ids")
SOURCE_KINDS: Mapping[str, str] = {
    "ip_addr": "addresses",
    "droplet": "droplet_ids",
    "tag": "tags",
    "k8s": "kubernetes_ids",
}
UNRESOLVABLE: Mapping[str, str] = {
    "load_balancer_uids": "load balancer",
    "kubernetes_ids": "Kubernetes cluster",
    "app": "app",
}


@dataclass(frozen=True)
class Documents:
    """What the API answered: VPCs, droplets and firewalls of the account, databases of the run.

    ``trusted`` are each database's trusted sources by its id.
    """

    vpcs: Sequence[Body]
    droplets: Sequence[Body]
    firewalls: Sequence[Body]
    databases: Sequence[Body] = ()
    trusted: Mapping[str, Sequence[Body]] = field(default_factory=dict)


def look(api: Api, topology: Topology, run: str) -> Network:
    """The network of ``run`` as the API reports it now; nothing is changed. Raises ``ApiError``."""
    return network_of(topology, run, ask(api, run))


def ask(api: Api, run: str) -> Documents:
    """Everything that bears on the network of ``run``. Raises ``ApiError``."""
    client = api.client
    vpcs, droplets, firewalls, databases = in_parallel(
        (
            partial(every, client.vpcs.list, "vpcs"),
            partial(every, client.droplets.list, "droplets"),
            partial(every, client.firewalls.list, "firewalls"),
            partial(databases_of, api, run),
        )
    )
    ids = [str(each["id"]) for each in databases]
    answers = in_parallel([partial(client.databases.list_firewall_rules, each) for each in ids])
    trusted = {each: tuple(answer.get("rules") or ()) for each, answer in zip(ids, answers, strict=True)}
    return Documents(vpcs, droplets, firewalls, databases, trusted)


def network_of(topology: Topology, run: str, told: Documents) -> Network:
    """The network that these documents tell of. Only firewalls that cover some of the run are in it."""
    ours = Observed(droplets=tuple(dict(each) for each in told.droplets if run_tag(run) in each["tags"]))
    nodes = {name: _droplet(each, run) for name, each in droplets_by_node(ours, run).items()}
    own = {name: nodes[name] for name in (*topology.droplets, *nodes) if name in nodes}
    people = everybody_of(told, run, own)
    vpc_range = _range(run, told.vpcs, ours)
    found = (_database(each, run, told, people) for each in told.databases)
    databases = {each.name: replace(each, private=vpc_range or ANYWHERE) for each in found}
    named = [replace(each, name=STRANGER) for each in people if node_tag(run, STRANGER) in each.tags]
    strangers = {STRANGER: named[-1]} if named else {}
    firewalls = (firewall_of(each, run, own | strangers, people) for each in told.firewalls)
    network = Network(
        run,
        vpc_range,
        own,
        {name: databases[name] for name in (*topology.databases, *databases) if name in databases},
        tuple(sorted((each for each in firewalls if each.droplets), key=lambda each: (each.name, each.id))),
    )
    return replace(
        network, others=_others(network, people) | strangers, notes=tuple(dict.fromkeys(_notes(network)))
    )


def covers(firewall: Body, droplet: Droplet) -> bool:
    """Whether a firewall, as the API words it, covers a droplet: by its id or by one of its tags."""
    by_id = any(str(each) == droplet.id for each in firewall.get("droplet_ids") or ())
    return by_id or not _lower(firewall.get("tags") or ()).isdisjoint(_lower(droplet.tags))


def _droplet(body: Body, run: str) -> Droplet:
    node = as_node(dict(body), run)
    return Droplet(
        node.name, str(node.id), node.status, node.private_ip or "", node.public_ip or "", tuple(body["tags"])
    )


def firewall_of(body: Body, run: str, own: Mapping[str, Droplet], everybody: Sequence[Droplet]) -> Firewall:
    """A firewall as the API words it; ``own`` are those it may cover, ``everybody`` those a rule may name."""
    inbound, outbound = (
        tuple(
            Rule(rule["protocol"], _ports(rule), _peers(rule.get(side) or {}, run, everybody))
            for rule in body.get(f"{way}_rules") or ()
        )
        for way, side in (("inbound", "sources"), ("outbound", "destinations"))
    )
    droplets = tuple(name for name, each in own.items() if covers(body, each))
    return Firewall(
        str(body.get("id", "")), body["name"], droplets, inbound, outbound, str(body.get("status", ""))
    )


def _ports(rule: Body) -> str:
    told = str(rule.get("ports") or "0")
    return "" if rule["protocol"] == "icmp" else "0" if told == "all" else told


def _peers(listed: Body, run: str, everybody: Sequence[Droplet]) -> tuple[Peer, ...]:
    kinds = (*PEER_KINDS, *(kind for kind in listed if kind not in PEER_KINDS))
    return tuple(
        _peer(kind, str(value), run, everybody) for kind in kinds for value in listed.get(kind) or ()
    )


def _peer(kind: str, value: str, run: str, everybody: Sequence[Droplet]) -> Peer:
    if kind == "addresses":
        return Peer(kind, value, str(ip_network(value, strict=False)), _v4([value]))
    named = [each for each in everybody if _is_named(kind, value, each)]
    networks = _v4(address for each in named for address in (each.private, each.public) if address)
    return Peer(kind, value, _name(kind, value, run, named), networks)


def _is_named(kind: str, value: str, droplet: Droplet) -> bool:
    if kind == "tags":
        return value.lower() in _lower(droplet.tags)
    return kind == "droplet_ids" and value == droplet.id


def _name(kind: str, value: str, run: str, named: Sequence[Droplet]) -> str:
    if kind == "droplet_ids":
        return named[0].name if named else f"droplet {value}"
    if kind == "tags":
        node = node_of_tag(value) if run_of_tag(value) == run else None
        return node or f"tag {value}"
    return f"{UNRESOLVABLE.get(kind, kind)} {value}"


def sources_of(rules: Sequence[Body], run: str, everybody: Sequence[Droplet]) -> tuple[Peer, ...]:
    """Trusted sources as the API words them."""
    return tuple(
        _peer(SOURCE_KINDS.get(rule["type"], rule["type"]), str(rule["value"]), run, everybody)
        for rule in rules
    )


def everybody_of(told: Documents, run: str, own: Mapping[str, Droplet]) -> tuple[Droplet, ...]:
    """All droplets of the account, those of the run under their names in the topology."""
    names = {each.id: name for name, each in own.items()}
    made = (_droplet(each, run) for each in told.droplets)
    return tuple(replace(each, name=names.get(each.id, each.name)) for each in made)


def _database(body: Body, run: str, told: Documents, everybody: Sequence[Droplet]) -> Database:
    port = (body.get("connection") or {}).get("port") or DATABASE_PORTS.get(body["engine"], 0)
    sources = sources_of(told.trusted.get(str(body["id"]), ()), run, everybody)
    private, public = (
        str((body.get(end) or {}).get("host", "")) for end in ("private_connection", "connection")
    )
    return Database(
        database_of(dict(body)),
        str(body["id"]),
        int(port),
        sources,
        body["status"],
        private_host=private,
        public_host=public,
    )


def _range(run: str, vpcs: Sequence[Body], ours: Observed) -> str:
    """The range of the VPC that the run's droplets are in; before there are any, of the run's own."""
    ids = {each.get("vpc_uuid") for each in ours.droplets}
    found = [each for each in vpcs if each["id"] in ids or each["name"] == resource_name(run)]
    return next((str(each["ip_range"]) for each in sorted(found, key=lambda each: each["id"] not in ids)), "")


def _others(network: Network, everybody: Sequence[Droplet]) -> dict[str, Droplet]:
    values = {(peer.kind, peer.value) for peer in all_peers(network)}
    mine = {each.id for each in network.droplets.values()}
    named = (each for each in everybody if any(_is_named(kind, value, each) for kind, value in values))
    return {f"{each.name} ({each.id})": each for each in named if each.id not in mine}


def _notes(network: Network) -> Iterator[str]:
    for peer in all_peers(network):
        if peer.kind == "addresses" and not peer.networks:
            yield "IPv6 is left out: rules name IPv6 addresses, and only IPv4 is looked at"
        elif peer.kind not in ("addresses", "droplet_ids", "tags"):
            yield f"{peer.name} is named by a rule; its addresses are not known, so it is taken for nobody"


def _v4(addresses: Iterable[str]) -> tuple[str, ...]:
    networks = (ip_network(each, strict=False) for each in addresses)
    return tuple(dict.fromkeys(str(each) for each in networks if each.version == 4))


def _lower(tags: Iterable[str]) -> frozenset[str]:
    return frozenset(each.lower() for each in tags)


__all__ = [
    "Documents",
    "Network",
    "ask",
    "covers",
    "everybody_of",
    "firewall_of",
    "look",
    "network_of",
    "sources_of",
]
