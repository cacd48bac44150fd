"""Probes as octets, and answers read back: checked against a slow and obvious reference."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from wt_fabric.scan.answers import CLOSED, OPEN, REJECTED, SNAP, read  # noqa: E402 (numpy may be missing)
from wt_fabric.scan.counts import Key, columns, parse, table  # noqa: E402
from wt_fabric.scan.frames import ECHO_SEQUENCE, ICMP, SEQUENCE, TCP, UDP, Path, frames  # noqa: E402
from wt_fabric.scan.ranges import collapse, expand, number  # noqa: E402

PATH = Path(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", "10.1.0.10", "203.0.113.11")


def checksum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total = 0
    for (word,) in struct.iter_unpack(">H", data + b"\0" * (len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def parts(frame: Any) -> tuple[bytes, bytes]:
    """IPv4's header and what it carries."""
    data = bytes(frame)
    return data[14:34], data[34:]


def pseudo(protocol: int, size: int) -> bytes:
    """What TCP and UDP sum up besides themselves."""
    return (
        socket.inet_aton(PATH.source) + socket.inet_aton(PATH.target) + struct.pack(">BBH", 0, protocol, size)
    )


@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_every_port_has_a_frame_with_right_checksums(protocol: int) -> None:
    """Checksums of all 65,535 rows fit, in whatever order the ports are asked."""
    ports = expand([[1, 65535]])[::-1]
    made = frames(PATH, protocol, 61007, ports)
    assert len(made) == 65535
    for row in (*range(0, 65535, 97), 65534):
        lower, upper = parts(made[row])
        assert checksum(lower) == 0
        assert checksum(pseudo(protocol, len(upper)) + upper) == 0
        assert struct.unpack(">HH", upper[:4]) == (61007, ports[row])
    assert bytes(made[0][:14]) == PATH.gateway_mac + PATH.source_mac + b"\x08\x00"


def test_probe_of_tcp_is_a_syn() -> None:
    """No other flag, no options, and a sequence number that answers must name."""
    _, upper = parts(frames(PATH, TCP, 61000, expand([[80, 80]]))[0])
    assert upper[12:14] == b"\x50\x02"
    assert int.from_bytes(upper[4:8], "big") == SEQUENCE


def test_udp_never_claims_to_have_no_checksum() -> None:
    """A checksum that happens to be zero is sent as its other zero."""
    made = frames(PATH, UDP, 61000, expand([[1, 65535]]))
    sums = made[:, 40].astype(int) << 8 | made[:, 41]
    assert sums.min() > 0
    assert 0xFFFF in sums


def test_echo_request_is_marked() -> None:
    """Its identifier is the attempt, its sequence number says that it is ours."""
    (made,) = frames(PATH, ICMP, 61003, expand([[1, 1]]))
    _, upper = parts(made)
    assert checksum(upper) == 0
    assert struct.unpack(">BBHHH", upper)[:2] == (8, 0)
    assert struct.unpack(">BBHHH", upper)[3:] == (61003, ECHO_SEQUENCE)


def answer(protocol: int, payload: bytes, source: str = PATH.target) -> bytes:
    """A frame to the source."""
    lower = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(PATH.source)
    return (bytes(14) + lower + addresses + payload)[:SNAP].ljust(SNAP, b"\0")


def tcp(port: int, flags: int, acknowledged: int = SEQUENCE + 1) -> bytes:
    """A segment to attempt 61001."""
    return answer(TCP, struct.pack(">HHIIBBHHH", port, 61001, 7, acknowledged, 0x50, flags, 0, 0, 0))


def error(kind: int, code: int, port: int, source: str = PATH.target) -> bytes:
    """An ICMP error about a datagram to ``port``."""
    probe = bytes(frames(PATH, UDP, 61001, expand([[port, port]]))[0])[14:]
    return answer(ICMP, struct.pack(">BBHI", kind, code, 0, 0) + probe, source)


def heard(*packets: bytes) -> dict[tuple[int, str], list[int]]:
    """Ports by protocol and answer."""
    rows = np.frombuffer(b"".join(packets), np.uint8).reshape(-1, SNAP)
    found = {}
    for each in read(rows):
        assert (each.target, each.attempt) == (PATH.target, 61001)
        found[each.protocol, each.how] = sorted(map(int, each.ports))
    return found


def test_answers_are_told_apart() -> None:
    """SYN-ACK is open, RST closed; what does not acknowledge our probe is somebody else's."""
    assert heard(tcp(80, 0x12), tcp(443, 0x12), tcp(81, 0x14), tcp(82, 0x12, 5), tcp(83, 0x10)) == {
        (TCP, OPEN): [80, 443],
        (TCP, CLOSED): [81],
    }


def test_who_says_unreachable_matters() -> None:
    """Port unreachable from the target is closed; from another, or for another reason, it is rejected."""
    assert heard(error(3, 3, 53), error(3, 3, 54, "10.1.0.1"), error(3, 13, 55), error(11, 0, 56)) == {
        (UDP, CLOSED): [53],
        (UDP, REJECTED): [54, 55, 56],
    }


def test_datagrams_and_echoes_are_open() -> None:
    """Any datagram back to the attempt, and an echo reply that carries our mark."""
    reply = answer(ICMP, struct.pack(">BBHHH", 0, 0, 0, 61001, ECHO_SEQUENCE))
    foreign = answer(ICMP, struct.pack(">BBHHH", 0, 0, 0, 61001, 1))
    datagram = answer(UDP, struct.pack(">HHHH", 5353, 61001, 8, 0))
    assert heard(reply, foreign, datagram) == {(UDP, OPEN): [5353], (ICMP, OPEN): [1]}


@pytest.mark.parametrize("ranges", [[], [[1, 1]], [[1, 65535]], [[1, 2], [4, 4], [65535, 65535]]])
def test_ranges_there_and_back(ranges: list[list[int]]) -> None:
    """Ranges become ports, and flags become ranges."""
    flags = np.zeros(65536, bool)
    flags[expand(ranges)] = True
    assert collapse(flags) == ranges


def test_keys_are_the_kernels() -> None:
    """An attempt's key, packed as the kernel pads it, reads back in columns."""
    key = Key("10.1.0.10", "203.0.113.11", TCP, 61001).packed()
    expected = [number("10.1.0.10"), number("203.0.113.11"), TCP, 61001]
    assert columns(np.frombuffer(key, np.uint8).reshape(1, 16)).tolist() == [expected]
    block = struct.pack("=HHHHHH", 28, 1, 24, 1, 20, 1) + key
    assert parse([block, block + block]).tolist() == [expected] * 3


def test_unexpected_elements_are_refused() -> None:
    """A kernel that describes elements otherwise must not be misread."""
    with pytest.raises(Exception, match="not understood"):
        parse([bytes(27)])


def test_each_worker_has_its_own_sets() -> None:
    """Rules send probes to their worker's sets, before anything else sees them."""
    text = table([(61000, 61063), (61064, 61127)])
    assert "hook prerouting priority -310" in text
    assert "tcp sport 61064-61127 add @seen1" in text
    assert "udp sport 61000-61063 add @seen0" in text
