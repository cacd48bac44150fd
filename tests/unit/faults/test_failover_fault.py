"""Who is hit by which fault, found in a swarm as it is at the time."""

from __future__ import annotations

import pytest
from failover_rig import ENCRYPTED, HA, HA_PLACES, STANDARD, SWARM, moved, state

from harness.core.errors import InconclusiveError, UsageError
from harness.faults.fault import busy_workers, carried, gone, names, resolve


def test_each_worker_node_is_lost_in_turn_and_the_front_door_last() -> None:
    """Every droplet of the plan's swarm is hit, by name or as the manager."""
    found = names(SWARM)
    assert [each for each in found if each.startswith("power_off:")] == [
        "power_off:judge0-lb",
        "power_off:server-1",
        "power_off:server-2",
        "power_off:worker-1",
        "power_off:worker-2",
        "power_off:balancer",
        "power_off:manager",
        "power_off:client",
    ]
    assert "partition:worker" in found


def test_only_several_managers_have_a_majority_to_lose() -> None:
    """With one, its loss is the loss of it."""
    assert "power_off:quorum" not in names(SWARM)
    assert "power_off:quorum" in names(HA)


def test_only_what_firewalls_cover_can_be_cut_off_by_them() -> None:
    """Members of a swarm that sends ESP are on none."""
    assert "partition:worker" not in names(ENCRYPTED)
    assert "power_off:worker-1" in names(ENCRYPTED)
    assert "partition:worker" in names(HA)


def test_without_a_swarm_there_is_nothing_to_be_tried() -> None:
    """And whoever asks for it all the same is told so."""
    assert names(STANDARD) == ()
    with pytest.raises(UsageError, match="has no swarm"):
        resolve("power_off:server-1", STANDARD, state())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("power_off:server-2", "server-2 without power"),
        ("power_off:balancer", "server-1 without power"),
        ("power_off:manager", "runner without power"),
        ("partition:worker", "worker-1 cut off from the other members"),
    ],
)
def test_parts_are_played_by_nodes(name: str, told: str) -> None:
    """Where the tasks are as the fault comes."""
    assert str(resolve(name, SWARM, state())) == told


def test_the_leader_is_whoever_leads_now() -> None:
    """Not the first that the topology names."""
    seen = state(HA, HA_PLACES, leader="server-1")
    assert resolve("power_off:manager", HA, seen).nodes == ("server-1",)


def test_quorum_is_lost_with_those_managers_that_carry_least() -> None:
    """So that there is something left to go on: all of the runner's tasks have siblings, server-1's have."""
    seen = state(HA, {**HA_PLACES, "runner-api": ("runner", "server-1")})
    assert resolve("power_off:quorum", HA, seen).nodes == ("runner", "worker-1")


def test_a_fault_that_is_none_is_refused_with_those_there_are() -> None:
    """The front door is not cut off, and a manager has no partition."""
    with pytest.raises(UsageError, match="take one of power_off:judge0-lb, "):
        resolve("partition:server-1", SWARM, state())


def test_a_part_that_nobody_plays_is_a_doubt() -> None:
    """A balancer whose task does not run."""
    with pytest.raises(InconclusiveError, match="power_off:balancer: no node"):
        resolve("power_off:balancer", SWARM, state(places=moved(judge0_lb=())))


def test_busy_workers_are_those_with_tasks_and_without_the_door() -> None:
    """Those that run programs first; server-2 is idle here."""
    seen = state(places=moved(judge0_server=("server-1", "server-1")))
    assert busy_workers(SWARM, seen) == ("worker-1", "worker-2", "judge0-lb", "server-1")


def test_what_is_carried_may_have_siblings_elsewhere() -> None:
    """The balancer is gone with server-1, a judge0-server is left."""
    assert carried(state(), ("server-1",)) == ("judge0-lb", "judge0-server")
    assert gone(state(), ("server-1",)) == ("judge0-lb",)
    assert gone(state(), ("worker-1", "worker-2")) == ("judge0-worker",)
