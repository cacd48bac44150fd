"""Can the traffic between services be read on the wire? A canary in the overlay, a capture on the underlay.

The canary is a long random token, sent by TCP from inside a task on one droplet to a task on another. The
capture runs on the receiving droplet and takes packets to its private address: VXLAN (4789/udp) is an overlay
in plain text, ESP (IP protocol 50) an encrypted one.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError
from harness.core.wait import scaled
from harness.verify.swarm.discovery import inside

VXLAN, ESP = 4789, 50
SECONDS = 60  # after which a capture that nobody asked ends by itself
ENDING = 15.0
CANARIES = 3

# AF_PACKET with one protocol captures incoming packets, not outgoing ones.
CAPTURE = """\
import json, select, socket, struct, sys, time
asked = json.loads(sys.argv[1])
token, own = asked["token"].encode(), socket.inet_aton(asked["address"])
ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
print("listening", flush=True)
heard = {}
until = time.monotonic() + asked["seconds"]
while time.monotonic() < until:
    ready = select.select([ear, sys.stdin], [], [], 1)[0]
    if ear in ready:
        packet = ear.recv(65536)
        size = (packet[0] & 15) * 4
        if packet[16:20] != own:
            continue
        row = heard.setdefault(socket.inet_ntoa(packet[12:16]), {"vxlan": 0, "esp": 0, "canaries": 0})
        if packet[9] == asked["esp"]:
            row["esp"] += 1
        elif packet[9] == 17 and struct.unpack("!H", packet[size + 2:size + 4])[0] == asked["vxlan"]:
            row["vxlan"] += 1
            row["canaries"] += token in packet
    elif sys.stdin in ready:
        break
print(json.dumps(heard))
"""

SEND = """\
import json, socket, sys
asked = json.loads(sys.argv[1])
for _ in range(asked["canaries"]):
    with socket.create_connection((asked["address"], asked["port"]), 5) as made:
        made.sendall(("GET /%s HTTP/1.0\\r\\nHost: canary\\r\\n\\r\\n" % asked["token"]).encode())
        answer = made.recv(64)
print(answer.decode("latin-1").split("\\r\\n")[0])
"""


@dataclass(frozen=True)
class OverlayPath:
    """A path through the overlay: from a task's container on one droplet to another task's address and port.

    ``source`` and ``target`` are droplets; ``shows`` says it for people.
    """

    source: str
    container: str
    target: str
    address: str
    port: int
    shows: str


@dataclass(frozen=True)
class Captured:
    """The packets that the underlay carried to the receiving droplet from the sending one.

    ``canaries``: how many packets of plain VXLAN held the token. ``answer``: the first line of what the
    receiving task answered, which shows that the canary arrived.
    """

    path: OverlayPath
    vxlan: int
    esp: int
    canaries: int
    answer: str

    def __str__(self) -> str:
        return (
            f"{self.path.shows}: {self.esp} packets of ESP, {self.vxlan} of VXLAN, "
            f"{self.canaries} with the canary in plain text"
        )


def listen(access: Access, addresses: dict[str, str], paths: Sequence[OverlayPath]) -> tuple[Captured, ...]:
    """Send a canary along each of ``paths`` while every receiver listens. ``addresses``: private, by droplet.

    Raises ``CommandError`` where a canary cannot be sent, ``InconclusiveError`` where a droplet cannot
    capture.
    """
    token = secrets.token_hex(32)
    with ExitStack() as stack:
        captures = {
            each: stack.enter_context(_capture(access, each, addresses[each], token))
            for each in sorted({path.target for path in paths})
        }
        answers = [_send_canary(access, path, token) for path in paths]
        captured = {each: _ask(capture, each) for each, capture in captures.items()}
    nothing = {"vxlan": 0, "esp": 0, "canaries": 0}
    return tuple(
        Captured(path, **captured[path.target].get(addresses[path.source], nothing), answer=answer)
        for path, answer in zip(paths, answers, strict=True)
    )


def _send_canary(access: Access, path: OverlayPath, token: str) -> str:
    asked = {"token": token, "address": path.address, "port": path.port, "canaries": CANARIES}
    return inside(access, path.source, path.container, SEND, json.dumps(asked)).strip()


@contextmanager
def _capture(access: Access, node: str, address: str, token: str) -> Iterator[subprocess.Popen[str]]:
    """A process on ``node`` that captures, and prints what it captured when its standard input ends."""
    asked = json.dumps(
        {"token": token, "address": address, "seconds": scaled(SECONDS), "vxlan": VXLAN, "esp": ESP}
    )
    argv = access.argv(node, ["python3", "-c", CAPTURE, asked])
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            if _stream(process.stdout).readline().strip() != "listening":
                raise InconclusiveError(
                    f"{node} cannot capture its own packets: Python 3 and root are needed"
                )
            yield process
        finally:
            process.kill()


def _ask(process: subprocess.Popen[str], node: str) -> dict[str, dict[str, int]]:
    """What was captured, by the sender's address."""
    try:
        output, _ = process.communicate(timeout=scaled(ENDING))
        captured: dict[str, dict[str, int]] = json.loads(output)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise InconclusiveError(f"{node} did not report what it captured: {error}") from error
    return captured


def _stream(given: IO[str] | None) -> IO[str]:
    assert given is not None
    return given


def verdict(captured: Captured, *, encrypted: bool) -> str:
    """What is wrong with what was captured on one path; empty if nothing is.

    Raises ``InconclusiveError`` where the capture proves nothing: no canary arrived, or nothing was captured.
    """
    if not captured.answer:
        raise InconclusiveError(f"{captured.path.shows}: nobody answered the canary")
    if encrypted and captured.canaries:
        return f"in plain text, though encryption was asked for: {captured}"
    if encrypted and not captured.esp:
        if captured.vxlan:
            return f"VXLAN without encryption, though it was asked for: {captured}"
        raise InconclusiveError(f"neither ESP nor VXLAN was captured: {captured}")
    if not encrypted and not captured.canaries:
        raise InconclusiveError(f"what is not encrypted was not captured in plain text either: {captured}")
    return ""
