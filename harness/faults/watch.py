"""Looking at a swarm again and again while some of its nodes are away."""

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

MANAGER_SECONDS = 5.0  # whoever is alive answers within that, and the next look counts
NO_WAY_IN = "the bastion is away, and with it every way in"
NO_MANAGER = "every manager is away"
DOWN, READY = "down", "ready"
# A member that is silent for three heartbeats is Down; one more, and it is surely shown.
HEARTBEATS = 4


@dataclass(frozen=True)
class Look:
    """What was seen when it was over, in seconds since 1970; without a ``state``, why there is none."""

    at: float
    state: State | None = None
    said: str = ""


class Watch:
    """Looks at one swarm, through managers that are not away, and keeps what it saw."""

    def __init__(self, access: Access, topology: Topology, deployment: Deployment) -> None:
        self._access, self._topology, self._deployment = access, topology, deployment
        self._manager = ""
        self.looks: list[Look] = []

    def look(self, away: Collection[str] = ()) -> Look:
        """One look, without asking any of ``away``."""
        found = self._look(away)
        self.looks.append(found)
        return found

    def _look(self, away: Collection[str]) -> Look:
        assert self._topology.swarm is not None
        managers = tuple(each for each in self._topology.swarm.managers if each not in away)
        if self._topology.management.bastion in away or not managers:
            self._manager = ""
            return Look(time.time(), said=NO_MANAGER if not managers else NO_WAY_IN)
        try:
            if self._manager not in managers:
                self._manager = snapshot.first_manager(
                    self._access, self._topology.name, managers, deadline=MANAGER_SECONDS
                )
            state = inspect_stack(self._access, self._topology, self._deployment, self._manager)
        except WavetankError as error:
            self._manager = ""
            return Look(time.time(), said=str(error))
        return Look(time.time(), state)


def seconds_until_down(swarm: Swarm | None) -> int:
    """After how many seconds a silent member is surely shown Down; 0 without a swarm."""
    return HEARTBEATS * heartbeat(swarm) if swarm else 0


def shown_down(state: State, nodes: Collection[str]) -> bool:
    """Whether the managers hold all of ``nodes`` for dead."""
    return all(_statuses(state, node) == {DOWN} for node in nodes)


def are_ready(state: State, nodes: Collection[str]) -> bool:
    """Whether all of ``nodes`` are ready again."""
    return all(READY in _statuses(state, node) for node in nodes)


def is_full(state: State, room: Mapping[str, int], lost: Collection[str]) -> bool:
    """Whether each service has as many running tasks beyond ``lost`` as there is ``room`` for."""
    return all(len(left(state, name, lost)) >= number for name, number in room.items())


def left(state: State, service: str, lost: Collection[str]) -> tuple[str, ...]:
    """The running tasks of a service that are not on ``lost``, by id."""
    return tuple(each.id for each in state.running(service) if each.node not in lost)


def unsettled(state: State) -> list[str]:
    """What is not yet as it should be in a swarm that nothing is wrong with, in words."""
    away = [f"{each.node or each.address} is {each.status}" for each in state.members if each.status != READY]
    leading = [] if any(each.leader for each in state.members) else ["no manager leads"]
    return [*away, *leading, *shortfall(state)]


def _statuses(state: State, node: str) -> set[str]:
    return {each.status for each in state.members if each.node == node}
