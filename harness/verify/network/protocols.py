"""Packets that no firewall rule can admit, sent between real droplets: other protocols, and false sources.

Every packet carries a token and a label. A listener on the receiving droplet captures packets as they come
off the wire, before any filter of its own. It reports the packets with the token, and a control shows that
it works: a packet of an admitted flow, sent last, by the same sender. Asked to end, the listener sends itself
a packet, and ends with that: a node that is in use is never silent.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from harness.access.ssh import Access
from harness.core.parallel import in_parallel

# Named as in /etc/protocols; the last one is unassigned.
OTHERS: Mapping[str, int] = {
    "ipip": 4, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "sctp": 132, "udplite": 136, "unassigned": 200,
}  # fmt: skip
TCP, UDP, ICMP = 6, 17, 1
DEADLINE = 60  # after which a listener that nobody asked ends by itself

LISTEN = """\
import contextlib, json, os, select, signal, socket, sys, time
asked = json.loads(sys.argv[1])
token = asked["token"].encode()
ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
if os.fork():
    os._exit(0)  # by now it is heard what comes
os.setsid()
nothing = os.open(os.devnull, os.O_RDWR)
for each in (0, 1, 2):
    os.dup2(nothing, each)
path = "/run/wt-ear-" + asked["token"]
with open(path + ".pid", "w") as file:
    file.write(str(os.getpid()))
heard, until = set(), time.monotonic() + asked["deadline"]
asked_to_end = []
signal.signal(signal.SIGTERM, lambda *_: asked_to_end.append(1))
mouth = None
while time.monotonic() < until:
    if asked_to_end and mouth is None:
        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            mouth.sendto(token + b"ends", ("127.0.0.1", 9))
    if select.select([ear], [], [], 0.1)[0]:
        packet = ear.recv(65536)
        if token in packet:
            at = packet.index(token) + len(token)
            label = packet[at:at + 4].decode("ascii", "replace")
            if label == "ends":
                break
            heard.add(label)
    elif mouth:
        break  # whatever keeps this node's loopback from carrying it
if asked_to_end:
    with open(path + ".new", "w") as file:
        json.dump(sorted(heard), file)
    os.rename(path + ".new", path)
os.unlink(path + ".pid")
"""

COLLECT = """\
import json, os, signal, sys, time
path = "/run/wt-ear-" + json.loads(sys.argv[1])["token"]
until = time.monotonic() + 10
while not os.path.exists(path) and time.monotonic() < until:
    try:
        with open(path + ".pid") as file:
            os.kill(int(file.read()), signal.SIGTERM)
    except (OSError, ValueError):
        pass
    time.sleep(0.05)
with open(path) as file:
    print(file.read())
os.unlink(path)
"""

SEND = """\
import json, socket, struct, sys
asked = json.loads(sys.argv[1])
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

def total(data):
    data += b"\\0" * (len(data) % 2)
    found = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while found >> 16:
        found = (found & 0xFFFF) + (found >> 16)
    return ~found & 0xFFFF

for protocol, source, target, port, label in asked["packets"]:
    said = (asked["token"] + label).encode()
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    if protocol == 6:
        head = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 0x50, 2, 1024, 0, 0)
        whole = total(ends + struct.pack("!HH", 6, len(head) + len(said)) + head + said)
        body = head[:16] + struct.pack("!HH", whole, 0) + said
    elif protocol == 17:
        body = struct.pack("!HHHH", 40000, port, 8 + len(said), 0) + said
    elif protocol == 1:
        head = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
        body = head[:2] + struct.pack("!H", total(head + said)) + head[4:] + said
    else:
        body = said
    sender.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, protocol, 0) + ends + body, (target, 0))
"""


@dataclass(frozen=True)
class Packet:
    """One packet from ``node``: IP protocol number, the source it claims, where to, and what it shows.

    ``port`` counts for TCP (a SYN) and UDP only.
    """

    node: str
    receiver: str
    protocol: int
    source: str
    target: str
    port: int
    shows: str

    def __str__(self) -> str:
        return f"{self.shows}: {self.node} to {self.receiver}, as {self.source}"


def carry(access: Access, packets: Sequence[Packet]) -> tuple[bool, ...]:
    """Send all packets, each node's in order, and return for each whether its receiver captured it.

    Raises ``CommandError`` where a node lacks Python 3 or refuses raw sockets.
    """
    token = secrets.token_hex(8)
    labels = {packet: f"{number:04d}" for number, packet in enumerate(packets)}
    nodes = sorted({packet.node for packet in packets})
    receivers = sorted({packet.receiver for packet in packets})
    in_parallel([partial(_run, access, each, LISTEN, token, deadline=DEADLINE) for each in receivers])
    in_parallel([partial(_send, access, each, token, labels) for each in nodes])
    outputs = in_parallel([partial(_run, access, each, COLLECT, token) for each in receivers])
    received = dict(zip(receivers, map(json.loads, outputs), strict=True))
    return tuple(labels[packet] in received[packet.receiver] for packet in packets)


def _send(access: Access, node: str, token: str, labels: Mapping[Packet, str]) -> str:
    packets = [
        (packet.protocol, packet.source, packet.target, packet.port, label)
        for packet, label in labels.items()
        if packet.node == node
    ]
    return _run(access, node, SEND, token, packets=packets)


def _run(access: Access, node: str, script: str, token: str, **asked: object) -> str:
    given = json.dumps({"token": token, **asked})
    return access.run(node, f"python3 - '{given}'", stdin=script.encode())
