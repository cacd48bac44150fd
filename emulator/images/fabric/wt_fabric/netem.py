"""Links that delay and lose packets, by the kernel's netem. Runs in the fabric's namespace.

The fabric's end of a link is shaped, so it is packets to the machine that are late or lost, and a round trip
takes ``delay_ms`` longer. Those from it are as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from wt_fabric.command import run

# By name: delay_ms, jitter_ms, loss_percent; all of them zero is a perfect link.
Quality = Mapping[str, float]

# Packets on their way. With netem's own limit of 1000, a second's delay would lose what is above 1.5 MB/s.
QUEUE_LIMIT = 100_000


def shape(names: Iterable[str], quality: Quality) -> None:
    """Give those of the links that are there this quality. Raises ``FabricError``."""
    there = json.loads(run("tc", "-json", "qdisc", "show") or "[]")
    lines = commands(set(names), quality, there)
    if lines:
        run("tc", "-batch", "-", stdin="".join(f"{line}\n" for line in lines))


def commands(names: set[str], quality: Quality, there: Iterable[Mapping[str, object]]) -> list[str]:
    """The commands for ``tc``. ``there``: the queues that it shows, each with its ``dev`` and ``kind``."""
    kinds = {str(each["dev"]): each["kind"] for each in there if each["dev"] in names and each.get("root")}
    if any(quality.values()):
        return [f"qdisc replace dev {name} root {netem(quality)}" for name in sorted(kinds)]
    return [f"qdisc del dev {name} root" for name in sorted(kinds) if kinds[name] == "netem"]


def netem(quality: Quality) -> str:
    """A quality in the syntax of tc-netem(8)."""
    words = [f"netem limit {QUEUE_LIMIT}"]
    if quality["delay_ms"]:
        words.append(f"delay {quality['delay_ms']:.3f}ms {quality['jitter_ms']:.3f}ms")
    if quality["loss_percent"]:
        words.append(f"loss random {quality['loss_percent']:.4f}%")
    return " ".join(words)
