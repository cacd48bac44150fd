"""Sockets below IP: frames out as fast as the kernel takes them, answers in, many at a call.

Both belong to the network namespace that they were opened in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable

import numpy as np

from wt_fabric.scan.answers import SNAP
from wt_fabric.scan.frames import Array

ETH_P_IP = 0x0800
SOL_PACKET, PACKET_STATISTICS, PACKET_QDISC_BYPASS = 263, 6, 20
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
RECEIVE_BYTES = 96 << 20
CHUNK = 1024
FULL = (errno.ENOBUFS, errno.EAGAIN, errno.EINTR)
MAX_REFUSALS = 10_000

libc = ctypes.CDLL(None, use_errno=True)
MESSAGE = np.dtype(
    [("name", "u8"), ("namelen", "u8"), ("iov", "u8"), ("iovlen", "u8"), ("control", "u8"),
     ("controllen", "u8"), ("flags", "u8"), ("len", "u4"), ("pad", "u4")]
)  # fmt: skip
VECTOR = np.dtype([("base", "u8"), ("len", "u8")])


class Outbox:
    """Sends arrays of frames of one size; what the kernel needs to know of each is written once."""

    def __init__(self, most: int, size: int) -> None:
        self._frames = np.zeros((most, size), np.uint8)
        self._vectors, self._messages = _messages(self._frames)

    def send(self, sock: socket.socket, frames: Array, after_chunk: Callable[[int], None]) -> int:
        """Send all frames, return how many; ``after_chunk`` gets each chunk's size. Raises ``OSError``."""
        self._frames[: len(frames)] = frames
        sent, refused = 0, 0
        while sent < len(frames):
            more = min(CHUNK, len(frames) - sent)
            done = libc.sendmmsg(sock.fileno(), ctypes.c_void_p(_at(self._messages, sent)), more, 0)
            if done < 0:
                refused += 1
                _check(refused)
                done = 0
            sent += done
            after_chunk(done)
        return sent


class Inbox:
    """Receives frames that pass its filter."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = np.zeros((CHUNK, SNAP), np.uint8)
        self._vectors, self._messages = _messages(self._frames)

    def read(self) -> Array | None:
        """What has come, at most ``CHUNK`` frames; None when nothing has."""
        self._frames[:, 14:] = 0
        call = libc.recvmmsg(
            self._socket.fileno(), ctypes.c_void_p(_at(self._messages, 0)), CHUNK, socket.MSG_DONTWAIT, None
        )
        return self._frames[:call] if call > 0 else None

    def dropped(self) -> int:
        """How many frames the kernel has dropped since the last call."""
        statistics = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        return int(struct.unpack("II", statistics)[1])


def sender(device: str) -> socket.socket:
    """A socket that only sends, past any queue. Raises ``OSError``."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    sock.bind((device, 0))
    return sock


def receiver(device: str, first: int, last: int) -> socket.socket:
    """A socket that receives what is sent to these ports, and ICMP. Raises ``OSError``."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    _filter(sock, first, last)
    with contextlib.suppress(OSError):  # then with less; what is missed is probed again
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
    sock.bind((device, ETH_P_IP))
    return sock


def hardware_address(sock: socket.socket) -> bytes:
    """The address of the interface that a packet socket is bound to."""
    address: bytes = sock.getsockname()[4]
    return address


def _filter(sock: socket.socket, first: int, last: int) -> None:
    """IPv4 is all that comes: TCP and UDP to our ports, all of ICMP."""
    accept, refuse = (0x06, 0, 0, SNAP), (0x06, 0, 0, 0)
    program = [
        (0x30, 0, 0, 23),  # the protocol
        (0x15, 2, 0, 6),
        (0x15, 1, 0, 17),
        (0x15, 4, 5, 1),
        (0xB1, 0, 0, 14),  # the header's length
        (0x48, 0, 0, 16),  # the port
        (0x35, 0, 2, first),
        (0x25, 1, 0, last),
        accept,
        refuse,
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code))
    )


def _messages(frames: Array) -> tuple[Array, Array]:
    rows = np.arange(len(frames), dtype=np.uint64)
    vectors, messages = np.zeros(len(frames), VECTOR), np.zeros(len(frames), MESSAGE)
    vectors["base"] = frames.ctypes.data + rows * np.uint64(frames.shape[1])
    vectors["len"] = frames.shape[1]
    messages["iov"] = vectors.ctypes.data + rows * np.uint64(VECTOR.itemsize)
    messages["iovlen"] = 1
    return vectors, messages


def _at(messages: Array, index: int) -> int:
    return int(messages.ctypes.data) + index * MESSAGE.itemsize


def _check(refused: int) -> None:
    """A full queue empties by itself; anything else is an error."""
    number = ctypes.get_errno()
    if number not in FULL or refused > MAX_REFUSALS:
        raise OSError(number, os.strerror(number))
