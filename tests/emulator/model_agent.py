"""Sends and records packets in the network namespaces of a tank's machines, from one process.

Runs in the fabric container (``model_wire`` feeds it), with the standard library only. One JSON object a
line in, one a line out. A packet of ours carries a number of its own in its payload, or, TCP, as its
sequence number (and ``MARK`` as its IP identification); answers to it carry that number, too. Nothing is
asked of the machines themselves: sockets live in *their* namespaces. ``model_agent.py alone SHAPES`` sends
the shapes over and over from the machine it runs in, for what a machine does by itself while it boots.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import itertools
import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

MARK = 0x5754
TAG = b"WAVE"
ETH_P_IP, ETH_P_ALL = 0x0800, 0x0003
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE, IP_NODEFRAG = 33, 22
BUFFER = 64 * 2**20
OUTGOING = 4
NUMBERS = range(0x10000000, 0x10100000)
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """Sockets in one network namespace: one that sends raw IPv4, one that sees what arrives."""

    def __init__(self, name: str, path: str, *, everything: bool) -> None:
        self.name, self.everything = name, everything
        self.sender, self.tap = in_namespace(path, lambda: make_sockets(everything=everything))
        self.seen: list[list[Any]] = []
        self.closed = False
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while not self.closed:
            try:
                packet, (device, _, kind, *_) = self.tap.recvfrom(65535)
            except TimeoutError:
                continue
            except OSError as error:
                if self.closed:
                    return
                sys.stderr.write(f"{self.name}: {error}\n")  # a link that went away
                continue
            said = recognise(packet)
            if said is not None:
                way = "out" if kind == OUTGOING else "in"
                self.seen.append([time.monotonic(), device, way, *said])

    def close(self) -> None:
        self.closed = True
        self.sender.close()
        self.tap.close()


def make_sockets(*, everything: bool) -> tuple[socket.socket, socket.socket]:
    sender = raw_sender()
    kind = ETH_P_ALL if everything else ETH_P_IP
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(kind))
    tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    tap.settimeout(0.5)
    return sender, tap


def raw_sender() -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sender.setsockopt(socket.IPPROTO_IP, IP_NODEFRAG, 1)
    return sender


def in_namespace(path: str, make: Any) -> Any:
    """What ``make`` gives in another network namespace; sockets stay where they were made."""
    result: list[Any] = []

    def inside() -> None:
        handle = os.open(path, os.O_RDONLY)
        try:
            if libc.setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {path}")
            result.append(make())
        except OSError as error:
            result.append(error)
        finally:
            os.close(handle)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


def recognise(packet: bytes) -> tuple[str, int, str, str] | None:
    """Kind, number, source and destination of a packet of ours or of an answer to one."""
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    length = (packet[0] & 15) * 4
    protocol, body = packet[9], packet[length:]
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    mark = struct.unpack("!H", packet[4:6])[0]
    if protocol == 6 and len(body) == 8:
        return "tcp", struct.unpack("!I", body[4:8])[0], source, target  # the first fragment of a SYN
    if protocol == 6 and len(body) >= 14:
        sequence, answered = struct.unpack("!II", body[4:12])
        flags = body[13]
        if (mark == MARK or sequence in NUMBERS) and flags & 0x12 == 0x02:
            return "tcp", sequence, source, target
        if flags & 0x10 and flags & 0x06:
            return ("open" if flags & 0x02 else "closed"), (answered - 1) & 0xFFFFFFFF, source, target
        return None
    at = body.find(TAG)
    if at < 0 or len(body) < at + 8:
        return None
    number = struct.unpack("!I", body[at + 4 : at + 8])[0]
    if protocol == 1:
        return {8: "icmp", 0: "reply"}.get(body[0], "unreachable"), number, source, target
    return {17: "udp"}.get(protocol, str(protocol)), number, source, target


class Stream:
    """Sends packets over and over, each time with a new number, in one order and from one processor."""

    def __init__(self, name: str, shapes: list[dict[str, Any]], pause: float) -> None:
        self.name, self.shapes, self.pause = name, shapes, pause
        self.sent: list[tuple[int, int, float]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.over.wait(self.pause):
            for index, shape in enumerate(self.shapes):
                self.send(index, shape)

    def send(self, index: int, shape: dict[str, Any]) -> None:
        number = take_number()
        owners[number] = f"{self.name}:{index}"
        # On record before it is sent: what ``mark`` has not counted was sent after it.
        self.sent.append((number, index, time.monotonic()))
        try:
            transmit(namespaces[shape["from"]].sender, shape, number)
        except (OSError, KeyError):
            self.sent.pop()  # no route, no link: a machine that is off


def transmit(sender: socket.socket, shape: dict[str, Any], number: int) -> None:
    """Send one packet; with a ``cut`` (bytes in the first) in two fragments, or ``only`` one of them."""
    code, body = payload(shape, number)
    cut, offset = shape.get("cut", 0), shape.get("offset", 0)
    pieces = (
        {"first": (0x2000, body[:cut]), "rest": (cut // 8, body[cut:])} if cut else {"": (offset // 8, body)}
    )
    ident = number & 0xFFFF if cut or offset else MARK  # pieces of different packets must not meet
    for name, (fragment, piece) in pieces.items():
        if shape.get("only", name) == name:
            sender.sendto(
                ip_header(code, {"ident": ident, **shape}, len(piece), fragment) + piece, (shape["to"], 0)
            )


def payload(shape: dict[str, Any], number: int) -> tuple[int, bytes]:
    """Protocol and what follows the IP header; the source port comes of the number."""
    protocol, own = shape["protocol"], 20000 + number % 40000
    tagged = TAG + struct.pack("!I", number)
    if protocol == "tcp":
        return 6, syn(shape, own, number)
    if protocol == "udp":
        return 17, struct.pack("!HHHH", own, shape["port"], 16, 0) + tagged
    if protocol == "icmp":
        head = struct.pack("!BBHHH", 8, 0, 0, own, 1)
        return 1, head[:2] + struct.pack("!H", checksum(head + tagged)) + head[4:] + tagged
    if protocol == "132":
        return 132, sctp(own, tagged)
    return int(protocol), bytes(8) + tagged + bytes(8)


def syn(shape: dict[str, Any], own: int, number: int) -> bytes:
    head = struct.pack("!HHIIBBHHH", own, shape["port"], number, 0, 0x50, 0x02, 64240, 0, 0)
    pseudo = socket.inet_aton(shape["source"]) + socket.inet_aton(shape["to"]) + struct.pack("!HH", 6, 20)
    return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]


def sctp(own: int, tagged: bytes) -> bytes:
    """An INIT, with a parameter that holds our number."""
    parameter = struct.pack("!HH", 0x8008, 4 + len(tagged)) + tagged
    init = struct.pack("!BBHIIHHI", 1, 0, 20 + len(parameter), 1, 65536, 1, 1, 1) + parameter
    head = struct.pack("!HHI", own, 9, 0)
    crc = 0xFFFFFFFF
    for byte in head + bytes(4) + init:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return head + struct.pack("<I", crc ^ 0xFFFFFFFF) + init


def ip_header(protocol: int, shape: dict[str, Any], length: int, fragment: int) -> bytes:
    options = base64.b64decode(shape.get("options", ""))
    size = 20 + len(options)
    ends = socket.inet_aton(shape["source"]) + socket.inet_aton(shape["to"])
    first = struct.pack(
        "!BBHHHBBH", 0x40 | size // 4, 0, size + length, shape["ident"], fragment, 64, protocol, 0
    )
    return first + ends + options


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data + b'x') // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


namespaces: dict[str, Namespace] = {}
streams: dict[str, Stream] = {}
owners: dict[int, str] = {}
numbers = iter(NUMBERS)
numbering = threading.Lock()


def take_number() -> int:
    with numbering:
        return next(numbers)


def open_(name: str, path: str, everything: bool = False) -> None:
    """Open a namespace under a name, anew if there was one."""
    close(name)
    namespaces[name] = Namespace(name, path, everything=everything)


def close(name: str) -> None:
    """Close a namespace's sockets."""
    if name in namespaces:
        namespaces.pop(name).close()


def send(shapes: list[dict[str, Any]]) -> list[int]:
    """Send one packet of each shape; their numbers, 0 for one that could not even be sent."""
    sent = []
    for shape in shapes:
        number = take_number()
        try:
            transmit(namespaces[shape["from"]].sender, shape, number)
        except OSError:
            number = 0
        sent.append(number)
    return sent


def seen(name: str, since: int) -> list[list[Any]]:
    """What a namespace's tap has recorded from its ``since``-th record on."""
    return namespaces[name].seen[since:]


def counts() -> dict[str, int]:
    """How many records each tap has."""
    return {name: len(namespace.seen) for name, namespace in namespaces.items()}


def news(since: dict[str, int]) -> dict[str, list[list[Any]]]:
    """What each tap has recorded since ``counts``."""
    return {name: one.seen[since.get(name, 0) :] for name, one in namespaces.items()}


def tally(since: int) -> dict[str, int]:
    """Packets in the fabric since a record, by who sent them, which way they went there and on which device.

    Keys are like ``stream:0 out d1e0``: a stream's name (``alone``: a machine by itself), the shape's place
    (``alone``: from 1 on), ``in`` from a machine or ``out`` to one. Answers are not counted.
    """
    found: dict[str, int] = {}
    for _, device, way, kind, number, *_ in namespaces["fabric"].seen[since:]:
        if kind in ("open", "closed", "reply", "unreachable"):
            continue
        who = owners.get(number) or f"alone:{number >> 24}"
        key = f"{who} {way} {device}"
        found[key] = found.get(key, 0) + 1
    return found


def lost(name: str) -> int:
    """Packets that the tap had no room for since the last call."""
    raw = namespaces[name].tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
    return int(struct.unpack("II", raw)[1])


def begin(name: str, shapes: list[dict[str, Any]], pause: float) -> None:
    """Start a stream."""
    streams[name] = Stream(name, shapes, pause)


def mark(name: str) -> int:
    """How many packets a stream has sent."""
    return len(streams[name].sent)


def end(name: str) -> list[tuple[int, int, float]]:
    """Stop a stream: number, shape's index and time of each packet it sent, in their order."""
    stream = streams.pop(name)
    stream.over.set()
    stream.thread.join()
    return stream.sent


class Talk:
    """A connection between two namespaces that is held open, and echoes."""

    def __init__(self, client: str, server: str, shape: dict[str, Any]) -> None:
        where = (shape["to"], shape["port"])
        listener = in_namespace(server, lambda: socket.create_server(where, reuse_port=True))
        with listener:
            listener.settimeout(5)
            self.near = in_namespace(client, lambda: socket.create_connection(where, 5))
            self.far, _ = listener.accept()

    def say(self, word: str, seconds: float) -> bool:
        """Whether a word gets there and back."""
        for sender, receiver in ((self.near, self.far), (self.far, self.near)):
            sender.sendall(word.encode())
            receiver.settimeout(seconds)
            try:
                if receiver.recv(len(word)).decode() != word:
                    return False
            except TimeoutError:
                return False
        return True


talks: dict[str, Talk] = {}


def talk(name: str, client: str, server: str, shape: dict[str, Any]) -> None:
    """Connect two namespaces, given by their paths, and keep the connection."""
    talks[name] = Talk(client, server, shape)


def say(name: str, seconds: float) -> bool:
    """Whether a connection carries data, both ways."""
    return talks[name].say("still there", seconds)


def hang_up(name: str) -> None:
    """End a connection."""
    gone = talks.pop(name)
    gone.near.close()
    gone.far.close()


OPERATIONS: dict[str, Callable[..., Any]] = {
    "open": open_, "close": close, "send": send, "seen": seen, "counts": counts, "news": news,
    "tally": tally, "lost": lost,
    "begin": begin, "mark": mark, "end": end, "talk": talk, "say": say, "hang_up": hang_up,
}  # fmt: skip


def alone(shapes: list[dict[str, Any]], pause: float = 0.001) -> None:
    """Send from here, for ever; a number's first byte is its shape's place, from 1 on."""
    sender = raw_sender()
    for count in itertools.count(1):
        for index, shape in enumerate(shapes, 1):
            with contextlib.suppress(OSError):  # as long as there is no link, there is no way out
                transmit(sender, shape, index << 24 | count & 0xFFFFFF)
        time.sleep(pause)


def main() -> None:
    """Answer until the input ends."""
    # One processor, so that no packet overtakes another in the kernel's queues.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"ok": OPERATIONS[request.pop("op")](**request)}
        except Exception as error:  # noqa: BLE001 (whatever went wrong, the test must hear of it)
            reply = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["alone"]:
        alone(json.loads(sys.argv[2]))
    main()
