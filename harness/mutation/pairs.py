"""Which pairs of ends packets can be sent between to see what a mutant changes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.core.names import STRANGER
from harness.firewall.addresses import address
from harness.firewall.model import Network, Pair
from harness.topology.model import INTERNET, OPERATORS


def pairs(network: Network) -> Iterator[Pair]:
    """Every pair that packets could travel; an end that cannot send probes has no address."""
    outsiders = [each for each in (INTERNET, STRANGER, OPERATORS) if address(network, each, "public")]
    for source in (*network.droplets, *outsiders):
        for target in (*network.droplets, *network.databases):
            if source == target or (source == OPERATORS and target in network.databases):
                continue
            if source not in (INTERNET, OPERATORS):
                yield Pair(source, target, "private")
            if address(network, source, "public") and address(network, target, "public"):
                yield Pair(source, target, "public")
    for source in network.droplets:
        if network.internet and network.droplets[source].public:
            yield Pair(source, INTERNET, "public")
        if address(network, STRANGER, "private"):
            yield Pair(source, STRANGER, "private")
