"""The kernel's own packet counters of probes: what arrived at each target, and what the fabric dropped.

A target's counters are a table in its own network namespace, before anything else there handles a packet.
Each worker has three sets in it: ``seen`` (source, target, protocol, port), ``count`` (source, target,
protocol, attempt) and ``echo``, which is like ``count`` for ICMP. The fabric's sets of dropped probes, two
for each reason, have such keys too; the emulator's ruleset (``emulator/docker/fabric/nft.py``) fills them.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

import numpy as np

from wt_fabric import nfset
from wt_fabric.command import FabricError, run
from wt_fabric.nfset import SetName
from wt_fabric.scan.frames import Array

FAMILY, TABLE = "ip", "wavetank_scan"
FABRIC_TABLE = ("inet", "wavetank")
DROPPED_AT = ("out", "in", "route", "other")
SEEN_MOST, COUNT_MOST = 262144, 16384
FIRST_PORT, ECHO_SEQUENCE = 61000, 0x5754
KEY = 16
ELEMENT = KEY + 12
PAIR = "ip saddr . ip daddr . meta l4proto"
SWEEP = f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"


class Key(NamedTuple):
    """An attempt: who probes whom by which protocol, from which source port."""

    source: str
    target: str
    protocol: int
    attempt: int

    def packed(self) -> bytes:
        """As the kernel has it."""
        addresses = socket.inet_aton(self.source) + socket.inet_aton(self.target)
        return addresses + struct.pack(">B3xH2x", self.protocol, self.attempt)


def record(inside: tuple[str, ...], spans: list[tuple[int, int]]) -> None:
    """Make the table, or replace it; ``spans`` are the workers' attempts. Raises ``FabricError``."""
    run(*inside, "nft", "-f", "-", stdin=SWEEP + table(spans))


def forget(inside: tuple[str, ...]) -> None:
    """Remove the table, if it is there. Raises ``FabricError``."""
    run(*inside, "nft", "-f", "-", stdin=SWEEP)


def table(spans: list[tuple[int, int]]) -> str:
    """The table's text."""
    sets = "".join(_sets(worker) for worker in range(len(spans)))
    rules = "".join(_rules(worker, *span) for worker, span in enumerate(spans))
    return (
        f"table {FAMILY} {TABLE} {{\n{sets}  chain arrived {{\n"
        f"    type filter hook prerouting priority -310; policy accept;\n{rules}  }}\n}}\n"
    )


def _sets(worker: int) -> str:
    sets = {
        "seen": f"typeof {PAIR} . tcp dport; size {SEEN_MOST};",
        "count": f"typeof {PAIR} . tcp sport; size {COUNT_MOST}; counter;",
        "echo": f"typeof {PAIR} . icmp id; size {COUNT_MOST}; counter;",
    }
    return "".join(f"  set {name}{worker} {{ {text} flags dynamic; }}\n" for name, text in sets.items())


def _rules(worker: int, first: int, last: int) -> str:
    # Only what starts something: the source's kernel itself sends RST to an answer that it does not expect.
    rules = [
        f"{match} {name} sport {first}-{last} add @seen{worker} {{ {PAIR} . {name} dport }}"
        f" add @count{worker} {{ {PAIR} . {name} sport counter }}"
        for name, match in (("tcp", "tcp flags & (fin | syn | rst | ack) == syn"), ("udp", ""))
    ]
    echo = f"icmp type echo-request icmp sequence {ECHO_SEQUENCE} icmp id {first}-{last}"
    rules.append(f"{echo} add @echo{worker} {{ {PAIR} . icmp id counter }}")
    return "".join(f"    {rule}\n" for rule in rules)


class TargetCounters:
    """One target's counters for one worker. Made in the target's network namespace; raises ``OSError``."""

    def __init__(self, worker: int) -> None:
        self._socket = nfset.connect()
        self._arrived = SetName(FAMILY, TABLE, f"seen{worker}")
        self._count = SetName(FAMILY, TABLE, f"count{worker}")
        self._echo = SetName(FAMILY, TABLE, f"echo{worker}")

    def counts(self) -> dict[bytes, int]:
        """Packets that came in, by attempt."""
        return nfset.counts(self._socket, self._count) | nfset.counts(self._socket, self._echo)

    def arrived(self) -> Array:
        """What came in, a row each: source, target, protocol, port (of ICMP: the identifier)."""
        echoes = np.frombuffer(b"".join(nfset.counts(self._socket, self._echo)), np.uint8).reshape(-1, KEY)
        return np.concatenate((parse(nfset.elements(self._socket, self._arrived)), columns(echoes)))

    def flush(self) -> None:
        """Forget what came in."""
        nfset.flush(self._socket, self._arrived)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class FabricCounters:
    """The fabric's own counters. Made in its network namespace; raises ``OSError``."""

    def __init__(self) -> None:
        self._socket = nfset.connect()

    def drops(self) -> dict[str, dict[bytes, int]]:
        """Dropped probes by what dropped them and attempt."""
        return {
            dropped_at: self._counts(f"probes.{dropped_at}") | self._counts(f"echoes.{dropped_at}")
            for dropped_at in DROPPED_AT
        }

    def _counts(self, name: str) -> dict[bytes, int]:
        return nfset.counts(self._socket, SetName(*FABRIC_TABLE, name))

    def flush(self) -> None:
        """Forget the probes of scans that are over."""
        for name in (f"{what}.{dropped_at}" for what in ("probes", "echoes") for dropped_at in DROPPED_AT):
            nfset.flush(self._socket, SetName(*FABRIC_TABLE, name))


def parse(blocks: list[bytes]) -> Array:
    """Rows of numbers from blocks of elements that hold a key and nothing else. Raises ``FabricError``."""
    if any(len(block) % ELEMENT for block in blocks):
        raise FabricError("nftables describes elements of a set in a way that is not understood")
    return columns(np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, ELEMENT)[:, -KEY:])


def columns(keys: Array) -> Array:
    """Rows of (source, target, protocol, port) from rows of ``KEY`` octets."""
    rows = np.ascontiguousarray(keys).view(">u4").reshape(-1, 4).astype(np.uint32)
    return rows >> np.array([0, 0, 24, 16], np.uint32)


def is_missing(error: OSError) -> bool:
    """Whether the kernel says that there is no such table or set."""
    return error.errno == errno.ENOENT
