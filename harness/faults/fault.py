"""The faults of a swarm by their names, and the nodes that each of them hits now.

A name says which node is hit: a droplet, or a role that a droplet has at the time (``manager``: the leader).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from harness.core import ports
from harness.core.errors import InconclusiveError, UsageError
from harness.firewall.from_topology import declared
from harness.swarm.converge import State
from harness.topology.model import Swarm, Topology

Kind = Literal["power_off", "partition"]

SWARM_PORTS = ports.parse("2377,4789,7946")
POWER_OFF: Kind = "power_off"
PARTITION: Kind = "partition"
MANAGER, QUORUM, BALANCER, WORKER = "manager", "quorum", "balancer", "worker"


@dataclass(frozen=True)
class Fault:
    """``nodes`` lose their power, or are cut off from the other members by their firewalls."""

    kind: Kind
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        done = "without power" if self.kind == POWER_OFF else "cut off from the other members"
        return f"{' and '.join(self.nodes)} {done}"


def names(topology: Topology) -> tuple[str, ...]:
    """Every fault to be tried on a swarm, ``KIND:NODE``: each worker node in turn, the node of the load
    balancer, a partition where firewalls can make one, the manager, a majority of several managers, and the
    front door last."""
    swarm = topology.swarm
    if swarm is None:
        return ()
    door = topology.checks.front_door
    workers = [name for name in topology.droplets if name not in swarm.managers]
    front_doors = [name for name in workers if door and name == door.node]
    found = [f"{POWER_OFF}:{name}" for name in workers if name not in front_doors]
    found += [f"{POWER_OFF}:{BALANCER}"] if balancer(topology) else []
    cut = all(is_firewalled(topology, name) for name in workers if name not in front_doors)
    found += [f"{PARTITION}:{WORKER}"] if cut else []
    found += [f"{POWER_OFF}:{MANAGER}"]
    found += [f"{POWER_OFF}:{QUORUM}"] if len(swarm.managers) > 2 else []
    return (*found, *(f"{POWER_OFF}:{name}" for name in front_doors))


def resolve(name: str, topology: Topology, state: State) -> Fault:
    """The fault of a name, as the swarm is now. Raises ``UsageError`` for a name that is none of ``names``,
    ``InconclusiveError`` where no node has the role."""
    kind, _, who = name.partition(":")
    swarm = topology.swarm
    if swarm is None or name not in names(topology):
        known = ", ".join(names(topology)) or "none: it has no swarm"
        raise UsageError(f"topology {topology.name} has no fault {name!r}: take one of {known}")
    played = {
        MANAGER: lambda: leaders(state),
        QUORUM: lambda: majority(swarm, state),
        BALANCER: lambda: hosts(state, balancer(topology))[:1],
        WORKER: lambda: busy_workers(topology, state)[:1],
    }
    nodes = tuple(played[who]() if who in played else (who,))
    if not nodes:
        raise InconclusiveError(f"{name}: no node has that role now")
    return Fault(POWER_OFF if kind == POWER_OFF else PARTITION, nodes)


def is_firewalled(topology: Topology, node: str) -> bool:
    """Whether one of a node's firewalls admits the swarm's ports, so that they can be closed."""
    return any(each.passes(SWARM_PORTS) for each in declared(topology).covering(node))


def balancer(topology: Topology) -> str:
    """The stack's service through which Judge0 is reached; empty where there is none."""
    endpoint = topology.checks.judge0
    return endpoint.service if endpoint else ""


def hosts(state: State, *services: str) -> tuple[str, ...]:
    """The nodes on which tasks of these services run."""
    found = (task.node for service in services for task in state.running(service))
    return tuple(dict.fromkeys(found))


def carried(state: State, nodes: Collection[str]) -> tuple[str, ...]:
    """The services that have running tasks on ``nodes``, by name."""
    return tuple(
        each.name for each in state.services if any(task.node in nodes for task in state.running(each.name))
    )


def leaders(state: State) -> tuple[str, ...]:
    """The manager that leads."""
    return tuple(each.node for each in state.members if each.leader)


def majority(swarm: Swarm, state: State) -> tuple[str, ...]:
    """Enough managers that the others have no quorum: those whose loss costs the fewest services."""
    number = len(swarm.managers) - (len(swarm.managers) - 1) // 2

    def lost(nodes: Iterable[str]) -> int:
        return len(gone(state, tuple(nodes)))

    choices: Sequence[tuple[str, ...]] = list(combinations(swarm.managers, number))
    return min(choices, key=lost)


def gone(state: State, nodes: Collection[str]) -> tuple[str, ...]:
    """The services all of whose running tasks are on ``nodes``."""
    return tuple(
        name for name in carried(state, nodes) if all(task.node in nodes for task in state.running(name))
    )


def busy_workers(topology: Topology, state: State) -> tuple[str, ...]:
    """Worker nodes with tasks and without the front door; those that run programs come first."""
    swarm, door, judge0 = topology.swarm, topology.checks.front_door, topology.checks.judge0
    managers = swarm.managers if swarm else ()
    running = hosts(state, *(each.name for each in state.services))
    found = [
        node
        for node in topology.droplets
        if node in running and node not in managers and not (door and node == door.node)
    ]
    return tuple(sorted(found, key=lambda node: not (judge0 and node in judge0.workers)))
