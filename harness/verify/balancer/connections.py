"""The connections from a load balancer to its servers, as the kernels of both ends list them.

A connection that was closed stays in the list of the end that closed first for a minute (TIME_WAIT). So both
ends are asked, before and after some requests. Nothing is installed, and nothing is changed.
"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from harness.access.ssh import Access
from harness.core import signals
from harness.core.parallel import in_parallel
from harness.verify.balancer.upstreams import Upstreams

# Of every container, in its own network namespace.
TABLES = """\
for pid in $(docker ps -q | xargs -r docker inspect --format '{{.State.Pid}}'); do
  cat /proc/$pid/net/tcp /proc/$pid/net/tcp6 2>/dev/null
done
true"""
# Of a socket that is, or was, connected: ESTABLISHED, FIN_WAIT1 and 2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, and
# CLOSING. The others are attempts, what failed, and sockets that listen.
CONNECTED = frozenset({"01", "04", "05", "06", "08", "09", "0B"})
Seen = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Connection:
    """Both ends of a TCP connection, as ``address:port``, seen from a container."""

    local: str
    remote: str


def listed(access: Access, found: Upstreams) -> Seen:
    """The balancer's ports of all connections to each server that either end lists."""
    nodes = tuple(dict.fromkeys((*found.balancers, *found.servers.values())))
    texts = in_parallel([partial(access.run, node, TABLES) for node in nodes])
    tables = {node: tuple(parse(text)) for node, text in zip(nodes, texts, strict=True)}
    here = [each for node in dict.fromkeys(found.balancers) for each in tables[node]]
    return {
        server: frozenset(
            [
                *(_port(each.local) for each in here if each.remote == server),
                *(_port(each.remote) for each in _of_server(found, server, tables[node])),
            ]
        )
        for server, node in found.servers.items()
    }


def opened_by(access: Access, found: Upstreams, act: Callable[[], object], times: int) -> Counter[str]:
    """The connections that each server gets while ``act`` has the balancer pass on ``times`` requests.

    As long again nothing is done, for health checks and others connect, too. None at all where there were
    not as many more as there were requests: then these came another way, or on connections from before.
    """
    first, begun = listed(access, found), time.monotonic()
    act()
    length = time.monotonic() - begun
    second = listed(access, found)
    signals.pause(length)
    quiet = opened(second, listed(access, found))
    counts = opened(first, second)
    return counts if counts.total() >= times + quiet.total() else Counter()


def opened(before: Seen, after: Seen) -> Counter[str]:
    """How many connections each server has had in between."""
    return Counter({server: len(ports - before[server]) for server, ports in after.items()})


def _port(end: str) -> str:
    """What both ends call alike: translation of addresses leaves the balancer's port as it is, if it can."""
    return end.rpartition(":")[2]


def parse(text: str) -> Iterator[Connection]:
    """The connections in ``/proc/net/tcp`` and ``/proc/net/tcp6``; no attempts, no sockets that listen."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[0].endswith(":") and fields[3] in CONNECTED:
            yield Connection(_end(fields[1]), _end(fields[2]))


def _of_server(found: Upstreams, server: str, rows: Iterable[Connection]) -> Iterator[Connection]:
    """What comes from the balancer; where the node translates addresses, to its only server."""
    node = found.servers[server]
    alone = list(found.servers.values()).count(node) == 1
    for each in rows:
        if each.remote.rpartition(":")[0] in found.sources and (alone or each.local == server):
            yield each


def _end(text: str) -> str:
    """``0100007F:1F90`` as ``127.0.0.1:8080``: words of four bytes, each with its last byte first."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    found = ipaddress.ip_address(b"".join(struct.pack("<I", word) for word in words))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return f"{mapped or found}:{int(port, 16)}"
