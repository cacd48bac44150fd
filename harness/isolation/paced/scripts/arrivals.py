"""Runs on a target as root (Python 3.9 or newer, standard library only): what arrives, by any interface.

Reads one line of JSON from standard input, ``{"token": hex, "deadline": seconds}``, writes ``{"ready":
true}`` (or ``{"error": text}``) and listens, below the target's own firewall, for datagrams and echo requests
that carry the token; the eight bytes after it, in hex, are the mark of who sent it to whom. When standard
input has anything to read it writes ``{"udp": [[mark, port], ...], "icmp": [mark, ...], "lost": packets}``
and ends; when it ends without that (ssh has gone), so does this.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

ETH_P_IP = 0x0800
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
RECEIVE_BUFFER = 64 << 20
OUTGOING = 4
ICMP, UDP = 1, 17
ECHO = 8
MARK = 8


def capture() -> socket.socket:
    """A socket that receives IP packets on every interface, of the two protocols only."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    with suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    program = b"".join(
        struct.pack("HBBI", *each)
        for each in (
            (0x30, 0, 0, 9),  # the packet's protocol
            (0x15, 1, 0, UDP),
            (0x15, 0, 1, ICMP),
            (0x06, 0, 0, 0xFFFF),  # take it
            (0x06, 0, 0, 0),  # or not
        )
    )
    held = ctypes.create_string_buffer(program)
    made.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program) // 8, ctypes.addressof(held))
    )
    return made


def read(packet: bytes, token: bytes) -> tuple[str, str, int] | None:
    """("udp", mark, port) or ("icmp", mark, 1) for a packet of ours, None for any other."""
    start = (packet[0] & 15) * 4
    end = start + 8 + len(token)
    mark = packet[end : end + MARK].hex()
    if packet[start + 8 : end] != token:
        return None
    if packet[9] == UDP:
        return "udp", mark, struct.unpack_from(">H", packet, start + 2)[0]
    return ("icmp", mark, 1) if packet[start] == ECHO else None


def listen(made: socket.socket, token: bytes) -> set[tuple[str, str, int]] | None:
    """Receive until there is standard input or its end; returns what arrived, None where ssh has gone."""
    arrived: set[tuple[str, str, int]] = set()
    while True:
        ready, _, _ = select.select([made.fileno(), 0], [], [])
        if made.fileno() in ready:
            packet, address = made.recvfrom(256)
            found = read(packet, token) if address[2] != OUTGOING and len(packet) >= 28 else None
            if found:
                arrived.add(found)
        elif 0 in ready:
            return arrived if os.read(0, 4096) else None


def main() -> None:
    job = json.loads(sys.stdin.readline())
    signal.alarm(int(job["deadline"]) + 1)
    try:
        made = capture()
    except OSError as error:
        write_line({"error": f"cannot listen for packets: {error}"})
        return
    write_line({"ready": True})
    arrived = listen(made, bytes.fromhex(job["token"]))
    if arrived is not None:
        _, lost = struct.unpack("II", made.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        udp = sorted([mark, port] for protocol, mark, port in arrived if protocol == "udp")
        icmp = sorted(mark for protocol, mark, _ in arrived if protocol == "icmp")
        write_line({"udp": udp, "icmp": icmp, "lost": lost})


def write_line(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
