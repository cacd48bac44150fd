"""How rules and their peers are called, for people."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from harness.core.names import node_of_tag, run_of_tag
from harness.firewall.model import Network, Peer, Rule

UNRESOLVABLE: Mapping[str, str] = {
    "load_balancer_uids": "load balancer",
    "kubernetes_ids": "Kubernetes cluster",
    "app": "app",
}


def peer_name(network: Network, peer: Peer) -> str:
    """``client``, ``10.0.0.0/8``, ``tag web``, ``droplet 12``, ``load balancer ID``."""
    kind, value = peer
    if kind == "addresses":
        return str(ip_network(value, strict=False))
    if kind == "droplet_ids":
        return next((each.name for each in network.named_by([peer])), f"droplet {value}")
    if kind == "tags":
        node = node_of_tag(value) if run_of_tag(value) == network.run else None
        return node or f"tag {value}"
    return f"{UNRESOLVABLE.get(kind, kind)} {value}"


def rule_text(network: Network, rule: Rule) -> str:
    """``tcp 4000 from client``, ``udp all to 0.0.0.0/0``, ``icmp from tag web``"""
    peers = ", ".join(dict.fromkeys(peer_name(network, each) for each in rule.peers)) or "nobody"
    what = f"{rule.protocol} {rule.shown}".strip()
    return f"{what} {'to' if rule.direction == 'outbound' else 'from'} {peers}"
