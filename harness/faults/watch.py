"""Snapshots of a swarm, again and again, while some of its nodes are down."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from harness.access.ssh import Access
from harness.core.errors import WavetankError
from harness.swarm import snapshot
from harness.swarm.cluster import heartbeat
from harness.swarm.converge import State, inspect_stack, shortfall
from harness.topology.deployment import Deployment
from harness.topology.model import Swarm, Topology

MANAGER_SECONDS = 5.0  # a live manager answers within that, and there will be another snapshot
NO_ACCESS = "the bastion is away, and with it every way in"
NO_MANAGER = "every manager is away"
DOWN, READY = "down", "ready"
# A member that is silent for three heartbeats is Down; after one more, it is surely shown so.
HEARTBEATS = 4


@dataclass(frozen=True)
class Snapshot:
    """The state at a time, in seconds since 1970; without a ``state``, the error that says why."""

    at: float
    state: State | None = None
    error: str = ""


class Watch:
    """Takes snapshots of one swarm, through managers that are not down, and keeps them."""

    def __init__(self, access: Access, topology: Topology, deployment: Deployment) -> None:
        self._access, self._topology, self._deployment = access, topology, deployment
        self._manager = ""
        self.snapshots: list[Snapshot] = []

    def inspect(self, away: Collection[str] = ()) -> Snapshot:
        """One snapshot, without asking any node in ``away``."""
        found = self._read(away)
        self.snapshots.append(found)
        return found

    def _read(self, away: Collection[str]) -> Snapshot:
        assert self._topology.swarm is not None
        managers = tuple(each for each in self._topology.swarm.managers if each not in away)
        if self._topology.management.bastion in away or not managers:
            self._manager = ""
            return Snapshot(time.time(), error=NO_MANAGER if not managers else NO_ACCESS)
        try:
            if self._manager not in managers:
                self._manager = snapshot.first_manager(
                    self._access, self._topology.name, managers, deadline=MANAGER_SECONDS
                )
            state = inspect_stack(self._access, self._topology, self._deployment, self._manager)
        except WavetankError as error:
            self._manager = ""
            return Snapshot(time.time(), error=str(error))
        return Snapshot(time.time(), state)


def seconds_until_down(swarm: Swarm | None) -> int:
    """After how many seconds a silent member is surely shown Down; 0 without a swarm."""
    return HEARTBEATS * heartbeat(swarm) if swarm else 0


def shown_down(state: State, nodes: Collection[str]) -> bool:
    """Whether the managers show all of ``nodes`` as down."""
    return all(_statuses(state, node) == {DOWN} for node in nodes)


def are_ready(state: State, nodes: Collection[str]) -> bool:
    """Whether all of ``nodes`` are ready again."""
    return all(READY in _statuses(state, node) for node in nodes)


def is_at_capacity(state: State, capacity: Mapping[str, int], lost: Collection[str]) -> bool:
    """Whether each service runs as many tasks as its ``capacity`` outside of ``lost``."""
    return all(len(remaining(state, name, lost)) >= number for name, number in capacity.items())


def remaining(state: State, service: str, lost: Collection[str]) -> tuple[str, ...]:
    """The running tasks of a service that are not on ``lost``, by id."""
    return tuple(each.id for each in state.running(service) if each.node not in lost)


def unsettled(state: State) -> list[str]:
    """Descriptions of all that is wrong with the swarm; empty if nothing is."""
    away = [f"{each.node or each.address} is {each.status}" for each in state.members if each.status != READY]
    leading = [] if any(each.leader for each in state.members) else ["no manager leads"]
    return [*away, *leading, *shortfall(state)]


def _statuses(state: State, node: str) -> set[str]:
    return {each.status for each in state.members if each.node == node}
