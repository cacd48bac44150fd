"""Ports by address: the line of all addresses, cut wherever some rule begins or ends, with each part's ports.

What rules say of every address there is has one form, so that two sets of rules mean the same exactly where
these are equal. Comparing pairs of machines alone would overlook a hole as long as nobody sits at its other
end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network
from itertools import pairwise

from harness.core import ports
from harness.core.ports import ALL, NONE, Ports

IPV6 = 2**32  # IPv6 follows IPv4 on one line of numbers
LAST = IPV6 + 2**128 - 1

Span = tuple[int, int]  # first and last address, as numbers


@dataclass(frozen=True)
class AddressRange:
    """Addresses ``first`` to ``last``, as numbers, and the ports that are admitted with them."""

    first: int
    last: int
    ports: Ports


PortsByAddress = tuple[AddressRange, ...]

OPEN: PortsByAddress = (AddressRange(0, LAST, ALL),)


@cache
def span_of(network: str) -> Span:
    """The first and last address of a CIDR, or of a single address. Raises ``ValueError``."""
    parsed = ip_network(network, strict=False)
    offset = 0 if parsed.version == 4 else IPV6
    return offset + int(parsed.network_address), offset + int(parsed.broadcast_address)


def overlap(one: Span, other: Span) -> bool:
    """Whether two spans share an address."""
    return one[0] <= other[1] and other[0] <= one[1]


def combine(admitted: Iterable[tuple[Span, Ports]]) -> PortsByAddress:
    """What all of these admit together."""
    given = list(admitted)
    cuts = sorted({cut for (first, last), _ in given for cut in (first, last + 1)})
    parts = [
        AddressRange(first, until - 1, union)
        for first, until in pairwise(cuts)
        if (union := ports.union(*(each for (a, b), each in given if a <= first <= b)))
    ]
    return _joined(parts)


def ports_with(admitted: PortsByAddress, network: str) -> Ports:
    """The ports that are admitted with an address; of a CIDR, with every address of it."""
    return ports_with_all(admitted, span_of(network))


def ports_with_all(admitted: PortsByAddress, span: Span) -> Ports:
    """The ports that are admitted with every address of a span."""
    common, at = ALL, span[0]
    for each in admitted:
        if each.last < at:
            continue
        if each.first > at:
            return NONE
        common, at = ports.intersect(common, each.ports), each.last + 1
        if at > span[1]:
            return common
    return NONE


def _joined(parts: Sequence[AddressRange]) -> PortsByAddress:
    joined: list[AddressRange] = []
    for each in parts:
        if joined and joined[-1].last + 1 == each.first and joined[-1].ports == each.ports:
            joined[-1] = AddressRange(joined[-1].first, each.last, each.ports)
        else:
            joined.append(each)
    return tuple(joined)
