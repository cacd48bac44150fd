"""This machine's own network: as it was before the run, and no packet leaves the emulated network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network

import pytest

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError
from harness.run.session import Session
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.network import hostnet, sniffer

# An address of a range for documentation, which nobody has: in the emulator's own, or else nowhere.
NOBODY = "203.0.113.250"
PORTS = (53, 80, 443)
SEND = """\
import socket
for port in %r:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as sender:
            sender.settimeout(0.3)
            try:
                sender.connect(("%s", port))
                sender.send(b"wavetank")
            except OSError:
                pass
"""


@pytest.fixture(autouse=True)
def local_emulator(target: Target) -> None:
    """Skips unless the deployment is an emulator's on this machine."""
    if target.name != "local" or not hostnet.is_possible():
        pytest.skip("the deployment is not on this machine, or its network cannot be read here")
    target.require_machines()


def test_own_network_is_as_it_was(session: Session) -> None:
    """Interfaces, routes, rules, packet filters, switches and listeners are those from before the run."""
    before = hostnet.saved(session.choice.run_dir)
    if before is None:
        pytest.skip("this machine's network was not saved before the run")
    wrong = hostnet.differences(before, hostnet.read())
    assert wrong == [], "\n".join(wrong)


def test_no_route_leads_into_the_tank(deployment: Deployment) -> None:
    """No interface has an address of the emulated network, and no route but the default one covers any."""
    inside = [ip_network(deployment.vpc_range)]
    inside += [ip_network(f"{node.public_ip}/32") for node in deployment.nodes.values() if node.public_ip]
    found = hostnet.read()
    named = {word for kind in ("interfaces", "routes") for line in found[kind] for word in line.split()}
    wrong = {
        word
        for word in named
        if is_network(word)
        for network in inside
        if ip_network(word, strict=False).overlaps(network) and ip_network(word, strict=False).prefixlen > 0
    }
    assert wrong == set()


def test_packets_for_nobody_do_not_come_out(
    sniff: sniffer.Sniffer, access: Access, topology: Topology
) -> None:
    """What droplets send to an address that nobody has is seen on no interface of this machine.

    A control packet of this machine's own, on loopback, shows that the capture works.
    """
    with ThreadPoolExecutor(len(topology.droplets)) as pool:
        script = "python3 -c '" + (SEND % (PORTS, NOBODY)).replace("'", '"') + "'"
        list(pool.map(lambda node: access.run(node, script), topology.droplets))
    sniff.send_control()
    received, missed = sniff.received()
    if sniffer.CONTROL not in received or missed:
        raise InconclusiveError(
            f"the control packet was not captured, or packets were missed: {received}, {missed}"
        )
    assert NOBODY not in received


@pytest.fixture
def sniff() -> Iterator[sniffer.Sniffer]:
    """Captures packets to two addresses on every interface of this machine."""
    try:
        opened = sniffer.Sniffer(NOBODY)
    except PermissionError:
        pytest.skip("to listen on this machine's interfaces takes the right to (CAP_NET_RAW)")
    with opened:
        yield opened


def is_network(word: str) -> bool:
    """Whether a word is an IPv4 address or network."""
    try:
        return ip_address(word.partition("/")[0]).version == 4
    except ValueError:
        return False
