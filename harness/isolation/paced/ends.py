"""Which addresses the ends of pairs have, and whether they are all still there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.parallel import Pool, in_parallel
from harness.firewall.model import Pair, Side
from harness.target.api import Api, optional
from harness.target.target import Target
from harness.topology.deployment import DatabaseNode, Deployment, Node
from harness.topology.model import INTERNET

RESOLVE_SECONDS = 30.0


@dataclass(frozen=True)
class Ends:
    """Droplets and databases by name, and the internet's address ("": not known)."""

    nodes: Mapping[str, Node]
    databases: Mapping[str, DatabaseNode]
    hosts: Mapping[str, str]
    internet: str

    def address(self, end: str, side: Side) -> str:
        """The IPv4 address of one side of an end, "" where it has none that may be probed."""
        if end == INTERNET:
            return self.internet
        if end in self.nodes:
            node = self.nodes[end]
            return (node.private_ip if side == "private" else node.public_ip) or ""
        database = self.databases[end]
        return self.hosts.get((database.private if side == "private" else database.public).host, "")


def find(
    target: Target, deployment: Deployment, access: Access, pairs: Iterable[Pair], refs: Mapping[str, str]
) -> Ends:
    """The ends of ``pairs``. Raises ``ResourceError`` for an end that is unknown or gone."""
    names = {end for pair in pairs for end in (pair.source, pair.target)} - {INTERNET}
    with Api(target, read_only=True) as api:
        nodes = {name: node for name, node in deployment.nodes.items() if name in names}
        nodes |= {name: _droplet(api, name, ref) for name, ref in refs.items() if name in names - set(nodes)}
        databases = {name: each for name, each in deployment.databases.items() if name in names}
        if unknown := sorted(names - set(nodes) - set(databases)):
            known = ", ".join((*deployment.nodes, *deployment.databases, *refs, INTERNET))
            raise ResourceError("end", unknown[0], f"is not there; there are {known}")
        _require_present(_gone(api, nodes, databases))
    hosts = {each.host for database in databases.values() for each in (database.private, database.public)}
    return Ends(nodes, databases, resolve(access, hosts - {""}), str(target.info.get("internet_ip") or ""))


def gone(target: Target, ends: Ends) -> list[str]:
    """Which ends are gone or not running, as text."""
    with Api(target, read_only=True) as api:
        return _gone(api, ends.nodes, ends.databases)


def resolve(access: Access, hosts: Iterable[str]) -> dict[str, str]:
    """The IPv4 address of each host from the first node that can resolve it; not every node can."""
    wanted = sorted(hosts)
    found: dict[str, str] = {}
    if wanted:
        with Pool(len(access.nodes)) as pool:
            for addresses in pool.map(lambda node: _resolved(access, node, wanted), access.nodes):
                found = addresses | found
    return found


def _resolved(access: Access, node: str, hosts: list[str]) -> dict[str, str]:
    script = f"for host in {' '.join(hosts)}; do echo $host $(getent ahostsv4 $host | head -n 1); done"
    try:
        lines = access.run(node, script, deadline=RESOLVE_SECONDS).splitlines()
    except (CommandError, WaitTimeoutError):
        return {}
    return {words[0]: words[1] for line in lines if len(words := line.split()) > 1}


def _droplet(api: Api, name: str, ref: str) -> Node:
    answer = optional(api.client.droplets.get, int(ref.removeprefix("droplet:")))
    if answer is None:
        raise ResourceError("droplet", name, "is gone (404)")
    droplet = answer["droplet"]
    addresses = {each["type"]: each["ip_address"] for each in droplet["networks"].get("v4") or ()}
    return Node(name, droplet["id"], droplet["status"], addresses.get("public"), addresses.get("private"))


def _gone(api: Api, nodes: Mapping[str, Node], databases: Mapping[str, DatabaseNode]) -> list[str]:
    states = in_parallel(
        [
            *(partial(_droplet_state, api, name, each.id) for name, each in nodes.items()),
            *(partial(_database_state, api, name, each.id) for name, each in databases.items()),
        ]
    )
    return [each for each in states if each]


def _droplet_state(api: Api, name: str, number: int) -> str:
    answer = optional(api.client.droplets.get, number)
    status = answer["droplet"]["status"] if answer else "gone (404)"
    return "" if status == "active" else f"droplet {name} is {status}"


def _database_state(api: Api, name: str, number: str) -> str:
    answer = optional(api.client.databases.get_cluster, number)
    status = answer["database"]["status"] if answer else "gone (404)"
    return "" if status == "online" else f"database {name} is {status}"


def _require_present(missing: list[str]) -> None:
    if missing:
        raise ResourceError("deployment", "scan", f"cannot be scanned: {', '.join(missing)}")
