"""Rules and their peers as the topology names them, for people."""

from __future__ import annotations

from harness.core.names import STRANGER
from harness.firewall.addresses import address
from harness.firewall.model import ANYBODY, Network, Peer, Rule
from harness.topology.model import INTERNET, OPERATORS, VPC


def rule_name(network: Network, rule: Rule) -> str:
    """``in tcp 4000 from client``"""
    what = f"{rule.protocol} {rule.shown}".strip()
    side = f"in {what} from" if rule.direction == "inbound" else f"out {what} to"
    return f"{side} {', '.join(dict.fromkeys(peer_name(network, each) for each in rule.peers))}"


def peer_name(network: Network, peer: Peer) -> str:
    """``client``, ``internet``, ``vpc``, ``stranger``, ``operators``, or what the API calls it."""
    if named := network.named_by([peer]):
        return "+".join(each.name for each in named)
    if peer.kind != "addresses":
        return f"{peer.kind} {peer.value}"
    known = {
        **dict.fromkeys((each.value for each in ANYBODY), INTERNET),
        network.vpc_range: VPC,
        f"{address(network, STRANGER, 'private')}/32": f"{STRANGER} ({peer.value})",
        f"{network.internet}/32": f"an {INTERNET} address ({peer.value})",
        **dict.fromkeys(network.operators, OPERATORS),
    }
    return known.get(peer.value, peer.value)
