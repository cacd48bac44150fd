"""Networks as the API reports them: the machines, their firewalls, and the databases' trusted sources.

Peers without a known address (load balancers, Kubernetes clusters, apps), and IPv6 addresses, which no
machine has here, stand for no machine, and the network's ``notes`` say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter

from harness.core.names import STRANGER, node_tag, resource_name, run_tag
from harness.core.parallel import in_parallel
from harness.firewall.bodies import firewall_of, sources_of
from harness.firewall.model import (
    ANYWHERE,
    Body,
    Database,
    Droplet,
    Firewall,
    FirewallState,
    Network,
    Peer,
)
from harness.firewall.naming import peer_name
from harness.firewall.ranges import IPV6, span_of
from harness.provision.observe import Observed, as_node, database_of, databases_of, snapshot
from harness.provision.plan import droplets_by_node
from harness.target.api import Api, every
from harness.topology.model import DATABASE_PORTS, Topology


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


def inspect(api: Api, topology: Topology, run: str) -> Network:
    """The network of ``run`` as the API reports it now; nothing is changed. Raises ``ApiError``."""
    return network_of(topology, run, fetch(api, run))


def fetch(api: Api, run: str) -> Documents:
    """Everything that decides about the network of ``run``. Raises ``ApiError``."""
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


def read(api: Api, run: str) -> Network:
    """What the run itself consists of, as the API reports it now; other firewalls are not in it.

    Raises ``ApiError``.
    """
    observed = snapshot(api, run)
    vpc_range = str((observed.vpc or {}).get("ip_range", ""))
    droplets = sorted((droplet_of(each, run) for each in observed.droplets), key=_name)
    databases = sorted((_database(each, vpc_range) for each in observed.databases), key=_name)
    trusted = {
        database_of(each): sources_of(observed.trusted.get(each["id"], ())) for each in observed.databases
    }
    state = FirewallState(
        tuple(sorted(map(firewall_of, observed.firewalls), key=_name)), tuple(sorted(trusted.items()))
    )
    return Network(
        run,
        vpc_range,
        {each.name: each for each in droplets},
        {each.name: each for each in databases},
        state,
    )


def network_of(topology: Topology, run: str, documents: Documents) -> Network:
    """The network that these documents describe. Only firewalls that cover some of the run are in it."""
    ours = Observed(droplets=tuple(dict(each) for each in documents.droplets if run_tag(run) in each["tags"]))
    nodes = {name: droplet_of(each, run) for name, each in droplets_by_node(ours, run).items()}
    own = {name: nodes[name] for name in (*topology.droplets, *nodes) if name in nodes}
    members = all_droplets(documents, run, own)
    vpc_range = _range(run, documents.vpcs, ours)
    databases = {each.name: each for each in (_database(each, vpc_range) for each in documents.databases)}
    named = [replace(each, name=STRANGER) for each in members if node_tag(run, STRANGER) in each.tags]
    outsider = {STRANGER: named[-1]} if named else {}
    made = [replace(firewall_of(each), status=str(each.get("status", ""))) for each in documents.firewalls]
    firewalls = [each for each in made if any(map(each.covers, (*own.values(), *outsider.values())))]
    network = Network(
        run,
        vpc_range,
        own,
        {name: databases[name] for name in (*topology.databases, *databases) if name in databases},
        FirewallState(
            tuple(sorted(firewalls, key=attrgetter("name", "id"))), tuple(trusted_of(documents).items())
        ),
    )
    others = _others(network, members) | outsider
    return replace(network, others=others, notes=tuple(dict.fromkeys(_notes(network))))


def all_droplets(documents: Documents, run: str, own: Mapping[str, Droplet]) -> tuple[Droplet, ...]:
    """All droplets of the account, those of the run under their names in the topology."""
    names = {each.id: name for name, each in own.items()}
    made = (droplet_of(each, run) for each in documents.droplets)
    return tuple(replace(each, name=names.get(each.id, each.name)) for each in made)


def trusted_of(documents: Documents) -> dict[str, tuple[Peer, ...]]:
    """The trusted sources of each database, by its name in the topology."""
    return {
        database_of(dict(each)): sources_of(documents.trusted.get(str(each["id"]), ()))
        for each in documents.databases
    }


def droplet_of(body: Body, run: str) -> Droplet:
    """A droplet as the API words it."""
    node = as_node(dict(body), run)
    return Droplet(
        node.name,
        str(node.id),
        node.status,
        node.private_ip or "",
        node.public_ip or "",
        tuple(body.get("tags") or ()),
    )


def _database(body: Body, vpc_range: str) -> Database:
    port = (body.get("connection") or {}).get("port") or DATABASE_PORTS.get(body["engine"], 0)
    private_host, public_host = (
        str((body.get(end) or {}).get("host", "")) for end in ("private_connection", "connection")
    )
    return Database(
        database_of(dict(body)),
        str(body["id"]),
        int(port),
        body["status"],
        private=vpc_range or ANYWHERE,
        private_host=private_host,
        public_host=public_host,
    )


def _range(run: str, vpcs: Sequence[Body], ours: Observed) -> str:
    """The range of the VPC that the run's droplets are in; before there are any, of the run's own."""
    ids = {each.get("vpc_uuid") for each in ours.droplets}
    found = [each for each in vpcs if each["id"] in ids or each["name"] == resource_name(run)]
    return next((str(each["ip_range"]) for each in sorted(found, key=lambda each: each["id"] not in ids)), "")


def _others(network: Network, every_droplet: Sequence[Droplet]) -> dict[str, Droplet]:
    peers = tuple(network.state.peers())
    ids = {value for kind, value in peers if kind == "droplet_ids"}
    tags = {value for kind, value in peers if kind == "tags"}
    mine = {each.id for each in network.droplets.values()}
    named = (each for each in every_droplet if each.is_one_of(ids, tags))
    return {f"{each.name} ({each.id})": each for each in named if each.id not in mine}


def _notes(network: Network) -> Iterator[str]:
    for peer in network.state.peers():
        if peer.kind == "addresses" and span_of(peer.value)[0] >= IPV6:
            yield "IPv6 is left out: rules name IPv6 addresses, and only IPv4 is considered"
        elif peer.kind not in ("addresses", "droplet_ids", "tags"):
            name = peer_name(network, peer)
            yield f"{name} is named by a rule; its addresses are not known, so it matches nobody"


def _name(each: Droplet | Database | Firewall) -> str:
    return each.name
