"""The node labels that services use as placement constraints: which there should be, and what to change.

One label of each node lists the labels that we gave it: all others are somebody else's and stay.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from harness.topology.model import Topology

ROLE = "role"
OURS_LABEL = "wavetank.labels"


@dataclass(frozen=True)
class Change:
    """What to do about the labels of one node."""

    add: Mapping[str, str]
    remove: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)

    def __str__(self) -> str:
        added = [f"{key}={value}" for key, value in self.add.items() if key != OURS_LABEL]
        removed = [f"no more {key}" for key in self.remove]
        return f"labels {', '.join(added + removed) or 'noted as ours'}"

    def options(self) -> str:
        """For ``docker node update``, quoted for a shell."""
        words = [word for key, value in self.add.items() for word in ("--label-add", f"{key}={value}")]
        words += [word for key in self.remove for word in ("--label-rm", key)]
        return shlex.join(words)


def wanted(topology: Topology, node: str) -> dict[str, str]:
    """``role``, and ``SERVICE=true`` for each of the stack's services that may run on ``node``."""
    services = topology.swarm.services if topology.swarm else ()
    ours = {ROLE: topology.droplets[node].role}
    ours |= {each.name: "true" for each in services if node in each.nodes}
    return {**ours, OURS_LABEL: " ".join(sorted(ours))}


def change(topology: Topology, node: str, labels: Mapping[str, str]) -> Change:
    """What turns ``labels`` of ``node`` into those that are wanted."""
    services = topology.swarm.services if topology.swarm else ()
    ours = {ROLE, OURS_LABEL, *(each.name for each in services), *labels.get(OURS_LABEL, "").split()}
    want = wanted(topology, node)
    add = {key: value for key, value in want.items() if labels.get(key) != value}
    return Change(add, tuple(sorted(key for key in labels if key in ours and key not in want)))
