"""Read and empty sets of nftables by netlink: exact counts in microseconds, where ``nft`` takes a process.

A set is named by its table's family and name and its own; a socket belongs to the network namespace it was
opened in. Keys are bytes as the kernel has them: each part padded to four.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

NETLINK_NETFILTER = 12
NFTABLES = 10
GET_ELEMENTS, DELETE_ELEMENTS = 13, 14
BATCH_BEGIN, BATCH_END = 0x10, 0x11
ERROR, DONE = 2, 3
REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
INTERRUPTED = 0x10
TABLE, NAME, ELEMENTS = 1, 2, 3
KEY, EXPRESSION = 1, 7
FAMILIES = {"inet": 1, "ip": 2}
BUFFER = 1 << 17
ATTEMPTS = 50
HEADER, GENERIC = struct.Struct("=IHHII"), struct.Struct(">BBH")

numbers = itertools.count(1)


class SetName(NamedTuple):
    """Where a set is: its table's family and name, and its own name."""

    family: str
    table: str
    name: str


def connect() -> socket.socket:
    """A netlink socket of this thread's network namespace."""
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    connection.bind((0, 0))
    return connection


def counts(connection: socket.socket, which: SetName) -> dict[bytes, int]:
    """Packets by key, of a set whose elements have counters. Raises ``OSError``, ENOENT for no such set."""
    found = {}
    for block in elements(connection, which):
        for _, element in attributes(block):
            parts = dict(attributes(element))
            found[_value(parts[KEY])] = _packets(parts.get(EXPRESSION, b""))
    return found


def elements(connection: socket.socket, which: SetName) -> list[bytes]:
    """A set's elements, as the kernel's lists of attributes; whole, or read again. Raises ``OSError``."""
    for _ in range(ATTEMPTS):
        blocks = list(_dump(connection, which))
        if None not in blocks:
            return [block for block in blocks if block is not None]
    raise OSError(errno.EAGAIN, f"the set {which.name} changes faster than it can be read")


def flush(connection: socket.socket, which: SetName) -> None:
    """Empty a set. Raises ``OSError``."""
    number = next(numbers)
    edge = GENERIC.pack(0, 0, NFTABLES)
    begin = _message(BATCH_BEGIN, REQUEST, number, edge)
    delete = _message(NFTABLES << 8 | DELETE_ELEMENTS, REQUEST | ACK, number, _address(which))
    connection.send(begin + delete + _message(BATCH_END, REQUEST, number, edge))
    for kind, _, body in _messages(connection, number):
        if kind == ERROR:
            _raise(body)
            return


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and payload of each attribute in a row of them."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def _dump(connection: socket.socket, which: SetName) -> Iterator[bytes | None]:
    """Blocks of elements; None where the kernel says that the set changed meanwhile."""
    number = next(numbers)
    kind = NFTABLES << 8 | GET_ELEMENTS
    connection.send(_message(kind, REQUEST | DUMP, number, _address(which)))
    for kind, flags, body in _messages(connection, number):
        if flags & INTERRUPTED:
            yield None
        if kind == DONE:
            return
        if kind == ERROR:
            _raise(body)
            return
        yield from (data for name, data in attributes(body[GENERIC.size :]) if name == ELEMENTS)


def _messages(connection: socket.socket, number: int) -> Iterator[tuple[int, int, bytes]]:
    while True:
        data, offset = connection.recv(BUFFER), 0
        while offset + HEADER.size <= len(data):
            length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
            if sequence == number:
                yield kind, flags, data[offset + HEADER.size : offset + length]
            offset += (length + 3) & ~3


def _message(kind: int, flags: int, number: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body


def _address(which: SetName) -> bytes:
    named = ((TABLE, which.table), (NAME, which.name))
    return GENERIC.pack(FAMILIES[which.family], 0, 0) + b"".join(_text(kind, text) for kind, text in named)


def _text(kind: int, text: str) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _raise(body: bytes) -> None:
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise OSError(-code, os.strerror(-code))


def _value(data: bytes) -> bytes:
    return next(value for _, value in attributes(data))


def _packets(expression: bytes) -> int:
    """The packets of a counter: the second attribute of an expression's second, its data."""
    data = dict(attributes(dict(attributes(expression)).get(2, b"")))
    return int.from_bytes(data.get(2, b""), "big")
