"""Numbers, ports and outcomes as text for the page."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from harness.core import ports
from harness.core.ports import NONE, Ports

SYMBOLS = {
    "pass": "✓",
    "passed": "✓",
    "fail": "✗",
    "failed": "✗",
    "inconclusive": "?",
    "skipped": "–",
}
PROTOCOLS = ("tcp", "udp", "icmp")


def read_ports(text: str) -> Ports:
    """A set of ports as the report writes it."""
    return ports.parse(text) if text else NONE


def count(number: float) -> str:
    """``65,535``."""
    return f"{number:,.0f}"


def seconds(value: float) -> str:
    """``0.04 s``, ``9.5 s``, ``2 min 05 s``: three digits say enough."""
    if value < 10:
        return f"{value:.2f} s"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def spaced_ports(text: str, protocol: str = "tcp") -> str:
    """``22, 8000–9000``, with a space for line breaks; ``none`` if there are none."""
    if not text:
        return "none"
    if protocol == "icmp":
        return "echo"
    return text.replace("-", "–").replace(",", ", ")


def short_ports(text: str, protocol: str = "tcp", longest: int = 12) -> str:
    """The ports if their text is short, else their number."""
    spaced = spaced_ports(text, protocol)
    if len(spaced) <= longest:
        return spaced
    return f"{count(ports.size(read_ports(text)))} ports"


def breakable(name: str) -> Markup:
    """A long name with an optional line break after each of its words."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_.:\[])", name))


def plural(number: int, noun: str) -> str:
    """``1 check``, ``2 checks``."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
