"""Packets sent and captured by the real scripts, on loopback, where nothing leaves this machine."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from harness.verify.network.protocols import ICMP, OTHERS, TCP, UDP, Packet, carry

HERE, PORT = "127.13.37.4", 9
PAUSE = 0.002


class Loopback:
    """In place of ssh: every node is this machine."""

    def run(self, _node: str, command: str, *, stdin: bytes) -> str:
        done = subprocess.run(
            ["sh", "-c", command], input=stdin, stdout=subprocess.PIPE, timeout=60, check=True
        )
        return done.stdout.decode()


@pytest.fixture
def access() -> Any:
    """Nodes that may send and capture raw packets."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM).close()
    except (AttributeError, PermissionError):
        pytest.skip("needs Linux and CAP_NET_RAW")
    return Loopback()


@pytest.fixture
def traffic() -> Iterator[None]:
    """Packets without a pause that a listener could take for the end: a polled queue makes them."""
    over = threading.Event()

    def chatter() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            while not over.wait(PAUSE):
                speaker.sendto(b"BLPOP", (HERE, PORT))

    thread = threading.Thread(target=chatter)
    thread.start()
    yield
    over.set()
    thread.join()


def packets() -> list[Packet]:
    """One of each protocol."""
    numbers = (TCP, UDP, ICMP, OTHERS["gre"])
    return [Packet("a", "b", number, HERE, HERE, PORT, str(number)) for number in numbers]


def test_what_is_sent_is_captured(access: Any) -> None:
    """Of each protocol."""
    assert carry(access, packets()) == (True,) * 4


@pytest.mark.usefixtures("traffic")
def test_a_listener_ends_although_the_traffic_never_does(access: Any) -> None:
    """Judge0's workers poll their queue all the time: silence is not what ends a measurement."""
    assert carry(access, packets()) == (True,) * 4
