"""The canary and the ear, with this machine as both droplets; and what is made of what was heard."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from swarm_rig import Here

from harness.core.errors import InconclusiveError
from harness.verify.swarm.encryption import ESP, VXLAN, Captured, OverlayPath, listen, verdict

HERE = "127.0.0.1"
ADDRESSES = {"a": HERE, "b": HERE}


def captured(vxlan: int, esp: int, canaries: int, answer: str = "HTTP/1.1 404 Not Found") -> Captured:
    """What an ear told of some way."""
    return Captured(OverlayPath("a", "c", "b", "10.0.1.2", 80, "a to b"), vxlan, esp, canaries, answer)


def test_a_canary_in_plain_text_is_told() -> None:
    """Where encryption was asked for, whatever else was heard."""
    assert "in plain text" in verdict(captured(9, 9, 1), encrypted=True)


def test_vxlan_in_the_place_of_esp_is_told() -> None:
    """Though the canary itself was missed."""
    assert "without encryption" in verdict(captured(9, 0, 0), encrypted=True)


@pytest.mark.parametrize(("what", "encrypted"), [(captured(0, 9, 0), True), (captured(9, 0, 3), False)])
def test_what_was_asked_for_is_well(what: Captured, encrypted: bool) -> None:
    """ESP where encrypted, readable where not."""
    assert verdict(what, encrypted=encrypted) == ""


@pytest.mark.parametrize(
    ("what", "encrypted"),
    [
        (captured(0, 0, 0), True),
        (captured(9, 0, 0), False),
        (captured(0, 0, 0), False),
        (captured(9, 9, 0, answer=""), True),
    ],
    ids=["silence", "no canary", "nothing", "no answer"],
)
def test_an_ear_that_heard_nothing_proves_nothing(what: Captured, encrypted: bool) -> None:
    """What should be heard was not: the reading itself is in doubt."""
    with pytest.raises(InconclusiveError):
        verdict(what, encrypted=encrypted)


@contextmanager
def underlay(wrap: bool) -> Iterator[int]:
    """A server's port; what it is told goes out again as VXLAN (``wrap``), or as ESP without a word of it."""
    kind, protocol = (socket.SOCK_DGRAM, 0) if wrap else (socket.SOCK_RAW, ESP)
    with (
        socket.create_server((HERE, 0)) as server,
        socket.socket(socket.AF_INET, kind, protocol) as carrier,
    ):

        def serve() -> None:
            with suppress(OSError):
                while True:
                    made, _ = server.accept()
                    with made:
                        said = made.recv(4096)
                        carrier.sendto(b"\x08" + said if wrap else b"\0" * 64, (HERE, VXLAN if wrap else 0))
                        made.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def captures(tmp_path: Path) -> Any:
    """This machine as a droplet, if its packets may be read here."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM).close()
    except (OSError, AttributeError):
        pytest.skip("to hear packets takes Linux and the right to (CAP_NET_RAW)")
    return Here(tmp_path)


def test_plain_vxlan_is_read(captures: Any) -> None:
    """Each canary is found in what was carried."""
    with underlay(wrap=True) as port:
        (captured,) = listen(captures, ADDRESSES, [OverlayPath("a", "c0ffee", "b", HERE, port, "a to b")])
    assert (captured.vxlan, captured.esp, captured.canaries) == (3, 0, 3)
    assert captured.answer == "HTTP/1.1 404 Not Found"


def test_esp_is_told_from_vxlan(captures: Any) -> None:
    """By its protocol; nothing can be read in it."""
    with underlay(wrap=False) as port:
        (captured,) = listen(captures, ADDRESSES, [OverlayPath("a", "c0ffee", "b", HERE, port, "a to b")])
    assert (captured.vxlan, captured.esp, captured.canaries) == (0, 3, 0)
