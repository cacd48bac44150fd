"""Whether what the API shows is what was asked for, where the two are written differently.

Ports come back as "0" however "all" was said, addresses in any order, and empty lists as null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

Body = Mapping[str, Any]
PEERS = ("addresses", "tags", "droplet_ids", "load_balancer_uids", "kubernetes_ids")


def same_firewall(actual: Body, wanted: Body) -> bool:
    """Whether two firewalls cover the same droplets and allow the same."""
    return _firewall(actual) == _firewall(wanted)


def firewall_differences(actual: Body, wanted: Body) -> str:
    """What of a firewall differs, as text."""
    names = ("inbound rules", "outbound rules", "tags", "droplets")
    pairs = zip(names, _firewall(actual), _firewall(wanted), strict=True)
    return ", ".join(name for name, left, right in pairs if left != right)


def same_sources(actual: Sequence[Body], wanted: Sequence[Body]) -> bool:
    """Whether two lists of trusted sources mean the same."""
    return _sources(actual) == _sources(wanted)


def same_version(actual: str, wanted: str) -> bool:
    """Whether a database's version is the one asked for, which may leave out the minor: 7 is 7.0."""
    return actual == wanted or actual.startswith(f"{wanted}.") or wanted.startswith(f"{actual}.")


def same_key(actual: str, wanted: str) -> bool:
    """Whether two public keys are one, comments aside."""
    return actual.split()[:2] == wanted.split()[:2]


def _firewall(body: Body) -> tuple[Any, ...]:
    return (
        _rules(body.get("inbound_rules"), "sources"),
        _rules(body.get("outbound_rules"), "destinations"),
        frozenset(body.get("tags") or ()),
        frozenset(body.get("droplet_ids") or ()),
    )


def _rules(rules: Sequence[Body] | None, side: str) -> frozenset[Any]:
    return frozenset((rule["protocol"], _ports(rule), _peers(rule.get(side) or {})) for rule in rules or ())


def _ports(rule: Body) -> str:
    ports = str(rule.get("ports") or "0")
    return "0" if ports == "all" or rule["protocol"] == "icmp" else ports


def _peers(peers: Body) -> tuple[frozenset[Any], ...]:
    addresses = frozenset(_address(each) for each in peers.get("addresses") or ())
    return (addresses, *(frozenset(peers.get(kind) or ()) for kind in PEERS[1:]))


def _address(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def _sources(rules: Sequence[Body]) -> frozenset[tuple[str, str]]:
    return frozenset((rule["type"], str(rule["value"])) for rule in rules)
