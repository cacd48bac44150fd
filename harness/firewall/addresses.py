"""Where an end is: its address on the private or the public side, and whether packets get there at all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from harness.core.names import STRANGER
from harness.firewall.model import Network, Pair, Side
from harness.firewall.ranges import Span, span_of
from harness.topology.model import INTERNET, OPERATORS

OUTSIDER_ADDRESS = "192.0.2.11"  # the public one of an outsider that does not exist
SEARCHED = 1024  # addresses from the end of the VPC, more than there can be droplets


def address(network: Network, end: str, side: Side) -> str:
    """The address of an end on one side, or the network it is in; empty where it has none."""
    there = network.databases.get(end) or network.droplet(end)
    if there is not None:
        return there.private if side == "private" else there.public
    if end == STRANGER:
        return _hypothetical_address(network) if side == "private" else OUTSIDER_ADDRESS
    if end not in (INTERNET, OPERATORS):
        return end if _is_network(end) else ""
    if side == "private":
        return ""
    if end == OPERATORS:
        return next((each for each in network.operators if ":" not in each), "")
    return network.internet


def no_route(network: Network, pair: Pair) -> str:
    """Why packets cannot get there, whatever the rules say; empty where they can."""
    for end in (pair.source, pair.target):
        if not address(network, end, pair.side):
            if end in (INTERNET, OPERATORS):
                return f"no route: private addresses are not reachable from or by {end}"
            there = {*network.droplets, *network.databases, *network.others}
            return f"no route: {end} " + (f"has no {pair.side} address" if end in there else "is not there")
    return ""


def _is_network(end: str) -> bool:
    try:
        span_of(end)
    except ValueError:
        return False
    return True


def _hypothetical_address(network: Network) -> str:
    """The address that an outsider would have: one of the VPC that nobody has and no rule names by itself."""
    if not network.vpc_range:
        return ""
    vpc = span_of(network.vpc_range)
    named = (span_of(each.value) for each in network.state.peers() if each.kind == "addresses")
    narrow = [each for each in named if each != vpc and vpc[0] <= each[0] and each[1] <= vpc[1]]
    taken = {each.private for each in (*network.droplets.values(), *network.others.values())}
    last = int(IPv4Network(network.vpc_range).broadcast_address) - 1
    free = [each for each in map(IPv4Address, range(last, last - SEARCHED, -1)) if str(each) not in taken]
    return str(next((each for each in free if not any(_holds(span, each) for span in narrow)), free[0]))


def _holds(span: Span, one: IPv4Address) -> bool:
    return span[0] <= int(one) <= span[1]
