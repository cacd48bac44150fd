"""A command that sends one packet, to reproduce a difference. Pure.

For a deployment that somebody else made, the command shows the rules instead: no packet is sent there.
"""

from __future__ import annotations

from harness.firewall.addresses import address
from harness.firewall.model import Network, Pair
from harness.topology.model import Protocol

SECONDS = 3


def reproduce(network: Network, pair: Pair, protocol: Protocol, port: int) -> str:
    """The command, ready to paste: from a droplet over ssh, from elsewhere by ``wavetank explain``."""
    if network.existing:
        return _by_explain(f"--existing {network.existing}", pair, protocol, port)
    if pair.source not in network.droplets:
        return _by_explain(f"--run {network.run} --probe", pair, protocol, port)
    return f"wavetank ssh --run {network.run} {pair.source} -- {_script(network, pair, protocol, port)}"


def host(network: Network, pair: Pair) -> str:
    """The host of a pair's target: its address, or its name where no address is known."""
    database = network.databases.get(pair.target)
    if database is None:
        return address(network, pair.target, pair.side)
    return (database.private_host if pair.side == "private" else database.public_host) or pair.target


def _script(network: Network, pair: Pair, protocol: Protocol, port: int) -> str:
    where = host(network, pair)
    if protocol == "icmp":
        return f"ping -c 1 -W {SECONDS} {where}"
    if protocol == "udp":
        return f"bash -c 'echo >/dev/udp/{where}/{port}'"
    return f"timeout {SECONDS} bash -c '</dev/tcp/{where}/{port}'"


def _by_explain(options: str, pair: Pair, protocol: Protocol, port: int) -> str:
    what = "icmp" if protocol == "icmp" else f"{port}/{protocol}"
    side = " --public" if pair.side == "public" else ""
    return f"wavetank explain {options}{side} {pair.source} {pair.target} {what}"
