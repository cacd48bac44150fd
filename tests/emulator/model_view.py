"""The computed view of a rig: what its API's answers, and nothing else, say of who reaches whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from types import SimpleNamespace
from typing import Any

from model_rig import CANARY, Rig, Side, Verdict
from model_wire import Shape

from harness.core import ports
from harness.core.names import node_tag, run_tag
from harness.core.ports import Ports
from harness.firewall.evaluate import admitted
from harness.firewall.from_api import Documents, network_of
from harness.firewall.model import Network, Pair
from harness.topology.model import INTERNET, Protocol

RUN = "model"
EMPTY: Any = SimpleNamespace(droplets={}, databases={})
SSH = 22
USUAL = (1, SSH, 443, 65535)
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")


@dataclass(frozen=True)
class Flow:
    """One packet's worth of the network: who to whom, on what, and whether it is admitted."""

    pair: Pair
    protocol: Protocol
    port: int
    admitted: bool

    def shape(self, rig: Rig) -> Shape:
        """The packet."""
        pair = self.pair
        return rig.shape(pair.source, pair.target, self.protocol, self.port, side=pair.side)


def tags_of(name: str) -> list[str]:
    """The tags by which a machine is known as a node."""
    return [run_tag(RUN), node_tag(RUN, name)]


def network(rig: Rig) -> Network:
    """The network as the API reports it; the addresses of databases, which it does not tell, filled in."""

    def listed(kind: str) -> list[dict[str, Any]]:
        return list(rig.call("GET", f"{kind}?per_page=200")[kind])

    clusters = listed("databases")
    trusted = {one["id"]: rig.call("GET", f"databases/{one['id']}/firewall")["rules"] for one in clusters}
    told = Documents(listed("vpcs"), listed("droplets"), listed("firewalls"), clusters, trusted)
    seen = network_of(EMPTY, RUN, told)
    by_id = {one.number: one for one in rig.machines.values()}
    names = {each.name: by_id[each.id].name for each in seen.databases.values()}
    databases = {
        names[each.name]: replace(
            each, name=names[each.name], private=by_id[each.id].private, public=by_id[each.id].public
        )
        for each in seen.databases.values()
    }
    state = replace(seen.state, trusted=tuple((names[name], each) for name, each in seen.state.trusted))
    return replace(seen, databases=databases, state=state)


def flows(rig: Rig, seen: Network, most: int, random: Random) -> list[Flow]:
    """Flows of every pair at the edges of every rule, ``most`` of them, taken at random."""
    off = {name for name, droplet in seen.droplets.items() if droplet.status != "active"}
    edges = sorted(_edges(seen))
    found: list[Flow] = []
    for pair in _pairs(rig, off):
        for protocol in PROTOCOLS:
            lets = () if pair.target in off else admitted(seen, pair, protocol)
            asked = (0,) if protocol == "icmp" else edges
            found += [Flow(pair, protocol, port, _holds(lets, protocol, port)) for port in asked]
    # As many that pass as that do not, as far as there are: mostly most do not.
    passing, others = ([flow for flow in found if flow.admitted is kind] for kind in (True, False))
    share = min(len(passing), max(most // 2, most - len(others)))
    return random.sample(passing, share) + random.sample(others, min(len(others), most - share))


def expected(rig: Rig, flow: Flow) -> Verdict:
    """What becomes of a flow's packet, if the view is right."""
    if not flow.admitted:
        return "filtered"
    if flow.protocol != "tcp":
        return "passed"
    target = rig.machines.get(flow.pair.target)
    listening = 0 if target is None else target.port or SSH
    return "open" if flow.port == listening else "closed"


def _holds(lets: Ports, protocol: Protocol, port: int) -> bool:
    return bool(lets) if protocol == "icmp" else bool(ports.intersect(lets, ((port, port),)))


def _pairs(rig: Rig, off: set[str]) -> Iterator[Pair]:
    sides: tuple[Side, ...] = ("private", "public")
    ends = [one for one in rig.machines.values() if one.name != CANARY]
    for side in sides:
        there = [one.name for one in ends if one.address(side)]
        outside = [INTERNET] if side == "public" else []
        senders = [one.name for one in ends if one.address(side) and not one.port and one.name not in off]
        for source in (*senders, *outside):
            for target in (*there, *outside):
                if source != target:
                    yield Pair(source, target, side)


def _edges(seen: Network) -> set[int]:
    """The ports about every rule's ends, those that listen, and a few more."""
    found = {*USUAL, *(database.port for database in seen.databases.values())}
    for firewall in seen.state.firewalls:
        for rule in firewall.rules:
            for first, last in rule.admits:
                found |= {first - 1, first, last, last + 1}
    return {port for port in found if 1 <= port <= 65535}
