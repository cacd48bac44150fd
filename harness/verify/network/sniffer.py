"""Capture packets to an address on any interface of this machine. For Linux."""

from __future__ import annotations

import ctypes
import secrets
import socket
import struct
from contextlib import suppress
from types import TracebackType

from harness.core.wait import NotYet, wait_for

CONTROL = "127.13.37.1"  # loopback all of it is
PORT = 9  # discard
EVERYTHING = 0x0003  # ETH_P_ALL, the only one that hears what leaves as well
ATTACH_FILTER = 26
STATISTICS = (263, 6)  # SOL_PACKET, PACKET_STATISTICS
BUFFER = 1 << 20
SECONDS = 5.0


class Sniffer:
    """Captures IPv4 packets to ``address`` and ``CONTROL``. A context manager. Raises ``PermissionError``."""

    def __init__(self, address: str) -> None:
        self._mark = secrets.token_bytes(16)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        _attach(self._socket, address, CONTROL)
        self._forget()

    def send_control(self) -> None:
        """Send a control packet, which must be captured."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
            speaker.sendto(self._mark, (CONTROL, PORT))

    def received(self) -> tuple[set[str], int]:
        """The destinations captured so far, up to our control packet, and how many packets were missed."""
        found: set[str] = set()
        self._socket.settimeout(0.1)

        def probe() -> None:
            try:
                while True:
                    packet = self._socket.recv(65536)
                    if packet[0] >> 4 == 4:
                        found.add(socket.inet_ntoa(packet[16:20]))
                    if packet.endswith(self._mark):
                        return
            except TimeoutError as error:
                raise NotYet(f"{len(found)} destinations") from error

        wait_for("our own packet", probe, deadline=SECONDS)
        _seen, missed = struct.unpack("II", self._socket.getsockopt(*STATISTICS, 8))
        return found, missed

    def _forget(self) -> None:
        """Drop what was captured before the filter was attached."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(65536)
        self._socket.getsockopt(*STATISTICS, 8)  # reading it sets it back

    def __enter__(self) -> Sniffer:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()


def _attach(hearing: socket.socket, *addresses: str) -> None:
    """Have the kernel drop all but IPv4 to ``addresses``, so that nothing overflows on a busy machine."""
    wanted = [struct.unpack("!I", socket.inet_aton(each))[0] for each in addresses]
    program = [(0x20, 0, 0, 16)]  # load the destination
    program += [
        (0x15, len(wanted) - at, 0, each) for at, each in enumerate(wanted)
    ]  # equal: to the last line
    program += [(0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF)]  # drop; take
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    memory = ctypes.create_string_buffer(code)
    head = struct.pack("HP", len(program), ctypes.addressof(memory))
    hearing.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, head)
