"""What arrives at a droplet, reported by the droplet itself: the far end of probes that need no answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import CommandError, WaitTimeoutError
from harness.core.ports import Ports
from harness.isolation.paced.remote_scripts import Message, RemoteScript, on_node


class Receiver:
    """Listens on one droplet for packets with a token. It reports once, at the end, or not at all."""

    def __init__(
        self, access: Access, node: str, token: str, *, deadline: float, stop: threading.Event
    ) -> None:
        self.node = node
        self.reason = ""
        self._arrived: Message = {}
        self._script = RemoteScript(
            on_node(access, node), "arrivals.py", {"token": token}, where=node, deadline=deadline, stop=stop
        )
        self._lines: Iterator[Message] = self._script.lines()
        self._listening = "ready" in self._next()

    def finish(self) -> None:
        """Read what arrived and end. Where the droplet cannot tell, or lost packets, there is no report."""
        try:
            if self._listening:
                self._script.send(b"end\n")
                arrived = self._next()
                self._arrived = arrived if arrived.get("lost") == 0 else {}
                if arrived.get("lost"):
                    self.reason = f"{self.node} lost {arrived['lost']} packets"
        finally:
            self._script.close()

    def udp(self, mark: str) -> Ports | None:
        """The UDP ports at which packets with a mark arrived; None: there is no report."""
        if "udp" not in self._arrived:
            return None
        return ports.union(tuple((port, port) for found, port in self._arrived["udp"] if found == mark))

    def icmp(self, mark: str) -> Ports | None:
        """Port 1 where echo requests with a mark arrived; None: there is no report."""
        if "icmp" not in self._arrived:
            return None
        return ((1, 1),) if mark in self._arrived["icmp"] else ()

    def _next(self) -> Message:
        line: Message = {}
        with suppress(CommandError, WaitTimeoutError):
            line = next(self._lines, {})
        self.reason = str(line.get("error") or ("" if line else f"{self.node} gave no answer"))
        return line
