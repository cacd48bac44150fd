"""Firewalls and trusted sources as the API words them: read into the model, and written back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.firewall.model import ALL_PORTS, PEERS, Body, Direction, Firewall, Peer, Rule

# Where the API lists a rule's peers, and what a trusted source of the same meaning is called.
PEER_KINDS = ("addresses", "droplet_ids", "tags", "load_balancer_uids", "kubernetes_ids")
SOURCE_KINDS: Mapping[str, str] = {
    "ip_addr": "addresses",
    "droplet": "droplet_ids",
    "tag": "tags",
    "k8s": "kubernetes_ids",
}
SOURCE_TYPES = {kind: given for given, kind in SOURCE_KINDS.items()}


def firewall_of(body: Body) -> Firewall:
    """A firewall as the API words it, but for its status."""
    rules = (_rule(rule, direction) for direction in PEERS for rule in body.get(f"{direction}_rules") or ())
    ids = (str(each) for each in body.get("droplet_ids") or ())
    return Firewall(
        str(body.get("id", "")), body["name"], tuple(rules), tuple(ids), tuple(body.get("tags") or ())
    )


def sources_of(rules: Iterable[Body]) -> tuple[Peer, ...]:
    """Trusted sources as the API words them."""
    return tuple(
        Peer(SOURCE_KINDS.get(each["type"], str(each["type"])), str(each["value"])) for each in rules
    )


def source_bodies(sources: Iterable[Peer]) -> list[dict[str, str]]:
    """Trusted sources as the API takes them."""
    return [{"type": source_type(each), "value": each.value} for each in sources]


def source_type(source: Peer) -> str:
    """What the API calls the type of a trusted source."""
    return SOURCE_TYPES.get(source.kind, source.kind)


def _rule(body: Body, direction: Direction) -> Rule:
    given = str(body.get("ports") or ALL_PORTS)
    ports = ALL_PORTS if given == "all" or body["protocol"] == "icmp" else given
    listed = body.get(PEERS[direction]) or {}
    kinds = (*PEER_KINDS, *(kind for kind in listed if kind not in PEER_KINDS))
    peers = (Peer(kind, str(value)) for kind in kinds for value in listed.get(kind) or ())
    return Rule(direction, body["protocol"], ports, tuple(peers))
