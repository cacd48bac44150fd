"""Packets of a tank's machines, sent and recorded one by one: the test's end of ``model_agent``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AGENT = Path(__file__).with_name("model_agent.py")
EDGE, FABRIC = "/proc/self/ns/net", "/run/netns/fabric"
Shape = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """A packet that a tap saw: when, on which device and which way, what it was, and its number.

    ``kind``: tcp (a SYN), open, closed (its answers), udp, icmp, reply, unreachable, or a protocol's number.
    """

    when: float
    device: str
    way: str
    kind: str
    number: int
    source: str
    target: str


@dataclass(frozen=True)
class Sent:
    """A packet of a stream: its number, its shape's place in the stream, when it was about to be sent."""

    number: int
    shape: int
    when: float


class Wire:
    """A running agent in a fabric container."""

    def __init__(self, container: str) -> None:
        argv = ["docker", "exec", "-i", container, "python3", "-c", AGENT.read_text()]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, operation: str, **arguments: Any) -> Any:
        """Have the agent do one thing."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": operation, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        reply = json.loads(line or '{"error": "the agent is gone"}')
        assert "error" not in reply, f"{operation} {arguments}: {reply['error']}"
        return reply["ok"]

    def open(self, name: str, path: str, *, everything: bool = False) -> None:
        """Be in a network namespace under a name; ``everything``: record what leaves it, too."""
        self.call("open", name=name, path=path, everything=everything)

    def send(self, shapes: Iterable[Shape]) -> list[int]:
        """Send one packet of each shape; their numbers, 0 where the machine had no route."""
        return list(self.call("send", shapes=list(shapes)))

    def seen(self, name: str, since: int = 0) -> list[Seen]:
        """What was recorded in a namespace, from its ``since``-th record on."""
        return [Seen(*record) for record in self.call("seen", name=name, since=since)]

    def counts(self) -> dict[str, int]:
        """How many records each tap has, to ask for ``news`` with."""
        return dict(self.call("counts"))

    def news(self, since: Mapping[str, int]) -> dict[str, list[Seen]]:
        """What each tap has recorded since ``counts``."""
        told = self.call("news", since=dict(since))
        return {name: [Seen(*record) for record in records] for name, records in told.items()}

    def begin(self, name: str, shapes: Sequence[Shape], pause: float = 0.001) -> None:
        """Send packets of these shapes over and over."""
        self.call("begin", name=name, shapes=list(shapes), pause=pause)

    def mark(self, name: str) -> int:
        """A place in a stream: whatever comes later in it was sent after this call."""
        return int(self.call("mark", name=name))

    def end(self, name: str) -> list[Sent]:
        """Stop a stream; what it sent, in order."""
        return [Sent(*record) for record in self.call("end", name=name)]

    def close(self) -> None:
        """End the agent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
