"""Frames of probes, all ports of one target in one array; only ports and checksums differ between rows.

A probe of TCP is a SYN, one of UDP has no payload, one of ICMP is an echo request whose sequence number
marks it as ours. The source port (ICMP: the identifier) names the attempt.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

TCP, UDP, ICMP = 6, 17, 1
ETHERNET, IPV4, TRANSPORT = 14, 20, 34
SEQUENCE = 0x57415645
ECHO_SEQUENCE = 0x5754
SYN = 0x02
WINDOW = 64240
SIZES = {TCP: 20, UDP: 8, ICMP: 8}

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Path:
    """Whose frames: hardware and IPv4 addresses of the source, the fabric's hardware address, the target."""

    source_mac: bytes
    gateway_mac: bytes
    source: str
    target: str


def frames(path: Path, protocol: int, source_port: int, ports: Array) -> Array:
    """One frame a row, ready to be sent, in the order of ``ports`` (ICMP has none, and a frame for each)."""
    header = _transport(protocol, source_port)
    made = np.empty((len(ports), TRANSPORT + len(header)), np.uint8)
    made[:] = np.frombuffer(_lower(path, protocol, len(header)) + header, np.uint8)
    fixed = sum16(header) + (0 if protocol == ICMP else _pseudo(path, protocol, len(header)))
    total = np.full(len(ports), fixed, np.uint32)
    if protocol != ICMP:
        _put(made, TRANSPORT + 2, ports)
        total += ports.astype(np.uint32)
    _put(made, TRANSPORT + {TCP: 16, UDP: 6, ICMP: 2}[protocol], complement(total, protocol))
    return made


def complement(total: Array, protocol: int) -> Array:
    """Checksums from sums of 16-bit words; UDP's zero, which says that there is none, is the other zero."""
    for _ in range(2):
        total = (total & 0xFFFF) + (total >> 16)
    done = ~total & 0xFFFF
    if protocol == UDP:
        done[done == 0] = 0xFFFF
    return done


def sum16(data: bytes) -> int:
    """The sum of 16-bit words."""
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def _lower(path: Path, protocol: int, size: int) -> bytes:
    """Ethernet's and IPv4's headers."""
    addresses = socket.inet_aton(path.source) + socket.inet_aton(path.target)
    parts = (0x45, 0, IPV4 + size, 0, 0x4000, 64, protocol)
    total = np.array([sum16(struct.pack(">BBHHHBBH", *parts, 0) + addresses)], np.uint32)
    checksum = int(complement(total, protocol=0)[0])
    ethernet = path.gateway_mac + path.source_mac + b"\x08\x00"
    return ethernet + struct.pack(">BBHHHBBH", *parts, checksum) + addresses


def _transport(protocol: int, source_port: int) -> bytes:
    """The header above, without target port and checksum."""
    if protocol == TCP:
        return struct.pack(">HHIIBBHHH", source_port, 0, SEQUENCE, 0, 0x50, SYN, WINDOW, 0, 0)
    if protocol == UDP:
        return struct.pack(">HHHH", source_port, 0, SIZES[UDP], 0)
    return struct.pack(">BBHHH", 8, 0, 0, source_port, ECHO_SEQUENCE)


def _pseudo(path: Path, protocol: int, size: int) -> int:
    addresses = socket.inet_aton(path.source) + socket.inet_aton(path.target)
    return sum16(addresses) + protocol + size


def _put(made: Array, column: int, values: Array) -> None:
    made[:, column] = values >> 8
    made[:, column + 1] = values & 0xFF
