"""What the fabric dropped, by pair and by which rules; the emulator's ruleset fills the sets."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from wt_fabric import nfset
from wt_fabric.nfset import SetName

TABLE = ("inet", "wavetank")
DROPPED_AT = ("out", "in", "route")
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


def flows() -> list[dict[str, Any]]:
    """Dropped packets since the fabric was made; a protocol without a name is a number."""
    with contextlib.closing(nfset.connect()) as connection:
        return [
            {**_pair(key), "gate": dropped_at, "packets": packets}
            for dropped_at in DROPPED_AT
            for key, packets in nfset.counts(connection, SetName(*TABLE, f"flows.{dropped_at}")).items()
        ]


def _pair(key: bytes) -> dict[str, str]:
    return {
        "source_ip": socket.inet_ntoa(key[:4]),
        "target_ip": socket.inet_ntoa(key[4:8]),
        "protocol": PROTOCOLS.get(key[8], str(key[8])),
    }
