"""Hearing what passes this machine's interfaces; on loopback, where nothing leaves it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from harness.verify.network.sniffer import CONTROL, PORT, Sniffer

WANTED, OTHER = "127.13.37.2", "127.13.37.3"


@pytest.fixture
def sniffer() -> Iterator[Sniffer]:
    """Hears packets to WANTED."""
    if not hasattr(socket, "AF_PACKET"):
        pytest.skip("needs Linux")
    try:
        opened = Sniffer(WANTED)
    except PermissionError:
        pytest.skip("needs CAP_NET_RAW")
    with opened:
        yield opened


def say(address: str) -> None:
    """Send a packet on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
        speaker.sendto(b"wavetank", (address, PORT))


def test_a_packet_to_the_address_is_heard(sniffer: Sniffer) -> None:
    """And our own, which shows that nothing was missed before it."""
    say(WANTED)
    sniffer.send_control()
    assert sniffer.received() == ({WANTED, CONTROL}, 0)


def test_packets_elsewhere_are_not(sniffer: Sniffer) -> None:
    """However many there are, they do not fill the buffer."""
    for _ in range(5000):
        say(OTHER)
    sniffer.send_control()
    assert sniffer.received() == ({CONTROL}, 0)
