"""What arrives at a droplet, told by the droplet itself: the far end of probes that nobody has to answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import CommandError, WaitTimeoutError
from harness.core.ports import Ports
from harness.isolation.paced.remote_scripts import Conversation, Told, on_node


class Receiver:
    """Listens on one droplet for packets with a token. It testifies once, at the end, or not at all."""

    def __init__(
        self, access: Access, node: str, token: str, *, deadline: float, stop: threading.Event
    ) -> None:
        self.node = node
        self.reason = ""
        self._heard: Told = {}
        self._conversation = Conversation(
            on_node(access, node), "arrivals.py", {"token": token}, where=node, deadline=deadline, stop=stop
        )
        self._lines: Iterator[Told] = self._conversation.lines()
        self._listening = "ready" in self._next()

    def finish(self) -> None:
        """Hear what arrived and end. Where the droplet cannot tell, or lost packets, it has no testimony."""
        try:
            if self._listening:
                self._conversation.say(b"end\n")
                heard = self._next()
                self._heard = heard if heard.get("lost") == 0 else {}
                if heard.get("lost"):
                    self.reason = f"{self.node} lost {heard['lost']} packets"
        finally:
            self._conversation.close()

    def udp(self, mark: str) -> Ports | None:
        """The UDP ports at which packets with a mark arrived; None: no testimony."""
        if "udp" not in self._heard:
            return None
        return ports.union(tuple((port, port) for found, port in self._heard["udp"] if found == mark))

    def icmp(self, mark: str) -> Ports | None:
        """Port 1 where echo requests with a mark arrived; None: no testimony."""
        if "icmp" not in self._heard:
            return None
        return ((1, 1),) if mark in self._heard["icmp"] else ()

    def _next(self) -> Told:
        line: Told = {}
        with suppress(CommandError, WaitTimeoutError):
            line = next(self._lines, {})
        self.reason = str(line.get("error") or ("" if line else f"{self.node} said nothing"))
        return line
