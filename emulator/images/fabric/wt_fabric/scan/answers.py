"""What the answers to probes say, from frames as they were received."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from wt_fabric.scan.frames import ECHO_SEQUENCE, ICMP, SEQUENCE, TCP, UDP, Array

OPEN, CLOSED, REJECTED = "open", "closed", "rejected"
SYN_ACK, RST = 0x12, 0x04
ECHO_REPLY, UNREACHABLE, TIME_EXCEEDED, PARAMETER = 0, 3, 11, 12
PORT_UNREACHABLE = 3
SNAP = 96


class Answers(NamedTuple):
    """What one target answered to one attempt: ``ports`` (of ICMP: 1) and how they answered."""

    protocol: int
    target: str
    attempt: int
    how: str
    ports: Array


def read(packets: Array) -> Iterator[Answers]:
    """Sort received frames (rows of ``SNAP`` octets, filled up with zeros); what is no answer is left out."""
    packets = packets[packets[:, 14] == 0x45]
    protocol = packets[:, 23]
    yield from _tcp(packets[protocol == TCP])
    yield from _udp(packets[protocol == UDP])
    yield from _icmp(packets[protocol == ICMP])


def _tcp(packets: Array) -> Iterator[Answers]:
    ours = packets[_long(packets, 42) == SEQUENCE + 1]
    flags = ours[:, 47]
    for how, chosen in ((OPEN, flags & SYN_ACK == SYN_ACK), (CLOSED, flags & RST == RST)):
        yield from _direct(TCP, how, ours[chosen])


def _udp(packets: Array) -> Iterator[Answers]:
    yield from _direct(UDP, OPEN, packets)


def _direct(protocol: int, how: str, packets: Array) -> Iterator[Answers]:
    yield from _grouped(protocol, how, _long(packets, 26), _word(packets, 36), _word(packets, 34))


def _icmp(packets: Array) -> Iterator[Answers]:
    kind = packets[:, 34]
    replies = packets[(kind == ECHO_REPLY) & (_word(packets, 40) == ECHO_SEQUENCE)]
    ones = np.ones(len(replies), np.uint32)
    yield from _grouped(ICMP, OPEN, _long(replies, 26), _word(replies, 38), ones)
    errors = packets[np.isin(kind, (UNREACHABLE, TIME_EXCEEDED, PARAMETER)) & (packets[:, 42] == 0x45)]
    refused = (errors[:, 34] == UNREACHABLE) & (errors[:, 35] == PORT_UNREACHABLE)
    refused &= _long(errors, 26) == _long(errors, 58)  # by the target itself, not on the way
    for how, some in ((CLOSED, errors[refused]), (REJECTED, errors[~refused])):
        for protocol in (TCP, UDP, ICMP):
            yield from _quoted(protocol, how, some[some[:, 51] == protocol])


def _quoted(protocol: int, how: str, errors: Array) -> Iterator[Answers]:
    """Errors quote the probe that they answer."""
    if protocol == ICMP:
        attempt, port = _word(errors, 66), np.ones(len(errors), np.uint32)
    else:
        attempt, port = _word(errors, 62), _word(errors, 64)
    yield from _grouped(protocol, how, _long(errors, 58), attempt, port)


def _grouped(protocol: int, how: str, target: Array, attempt: Array, port: Array) -> Iterator[Answers]:
    together = target.astype(np.uint64) << np.uint64(16) | attempt.astype(np.uint64)
    for each in np.unique(together):
        number = int(each)
        name = socket.inet_ntoa((number >> 16).to_bytes(4, "big"))
        yield Answers(protocol, name, number & 0xFFFF, how, port[together == each])


def _word(packets: Array, offset: int) -> Array:
    return packets[:, offset].astype(np.uint32) << 8 | packets[:, offset + 1]


def _long(packets: Array, offset: int) -> Array:
    return _word(packets, offset) << 16 | _word(packets, offset + 2)
