"""Rules and their peers in the words of the topology, for people."""

from __future__ import annotations

from harness.mutation.fate import EVERYWHERE, Places
from harness.mutation.protection import ALL_PORTS, Ground, Peer, Rule, named_by
from harness.names import STRANGER
from harness.topology.model import INTERNET, OPERATORS, VPC

NOWHERE = Places()


def rule_name(ground: Ground, rule: Rule, places: Places = NOWHERE) -> str:
    """``in tcp 4000 from client``"""
    ports = "" if rule.protocol == "icmp" else f" {'all' if rule.ports == ALL_PORTS else rule.ports}"
    way = f"in {rule.protocol}{ports} from" if rule.way == "inbound" else f"out {rule.protocol}{ports} to"
    return f"{way} {', '.join(dict.fromkeys(peer_name(ground, each, places) for each in rule.peers))}"


def peer_name(ground: Ground, peer: Peer, places: Places = NOWHERE) -> str:
    """``client``, ``internet``, ``vpc``, ``stranger``, ``operators``, or what the API calls it."""
    if named := named_by(ground, [peer]):
        return "+".join(named)
    kind, value = peer
    if kind != "addresses":
        return f"{kind} {value}"
    known = {
        EVERYWHERE: INTERNET,
        "::/0": INTERNET,
        ground.vpc_range: VPC,
        f"{places.stranger}/32": f"{STRANGER} ({value})",
        f"{places.internet}/32": f"an {INTERNET} address ({value})",
        f"{places.operators}/32": OPERATORS,
    }
    return known.get(str(value), str(value))
