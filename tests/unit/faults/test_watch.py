"""Looking at a swarm while some of it is away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from failover_rig import HA, HA_PLACES, SWARM, moved, state, task

from harness.core.errors import CommandError, ResourceError
from harness.faults import watch as module
from harness.faults.watch import Watch, are_ready, is_at_capacity, remaining, shown_down, unsettled
from harness.swarm.converge import State
from harness.topology.model import Topology


class Asked:
    """Managers that answer, and how often they were looked for; ``fails`` is raised by the next look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, alive: tuple[str, ...]) -> None:
        self.alive, self.searches = alive, 0
        self.looked: list[str] = []
        self.fails: Exception | None = None
        monkeypatch.setattr(module.snapshot, "first_manager", self.first_manager)
        monkeypatch.setattr(module, "inspect_stack", self.inspect_stack)

    def first_manager(self, _: Any, swarm: str, names: tuple[str, ...], *, deadline: float) -> str:
        assert deadline > 0
        self.searches += 1
        found = [each for each in names if each in self.alive]
        if not found:
            raise ResourceError("swarm", swarm, "none of its managers answers")
        return found[0]

    def inspect_stack(self, _: Any, topology: Topology, __: Any, manager: str) -> State:
        self.looked.append(manager)
        if self.fails:
            error, self.fails = self.fails, None
            raise error
        return state(topology, {})


def watching(topology: Topology) -> Watch:
    """A watch of which the way in does not matter."""
    nothing: Any = None
    return Watch(nothing, topology, nothing)


def test_who_is_away_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only be waited for."""
    asked = Asked(monkeypatch, alive=HA.swarm.managers if HA.swarm else ())
    watch = watching(HA)
    watch.inspect()
    watch.inspect()
    assert (asked.looked, asked.searches) == (["runner", "runner"], 1)
    watch.inspect(("runner",))
    assert asked.looked[-1] == "server-1"
    assert [each.error for each in watch.snapshots] == ["", "", ""]


def test_a_manager_that_fails_is_looked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the look that failed says what it met."""
    asked = Asked(monkeypatch, alive=("runner",))
    asked.fails = CommandError(["docker"], 1, "no leader", where="runner")
    watch = watching(SWARM)
    first = watch.inspect()
    assert first.state is None
    assert "no leader" in first.error
    assert watch.inspect().state is not None
    assert asked.searches == 2


def test_without_a_manager_or_a_way_in_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either is said."""
    asked = Asked(monkeypatch, alive=("runner",))
    watch = watching(SWARM)
    assert watch.inspect(("runner",)).error == module.NO_MANAGER
    assert watch.inspect(("client",)).error == module.NO_ACCESS
    assert asked.searches == 0


def test_no_manager_that_answers_is_a_look_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends nothing."""
    Asked(monkeypatch, alive=())
    assert "none of its managers answers" in watching(SWARM).inspect().error


def test_a_node_is_down_when_no_entry_of_it_lives() -> None:
    """One that was rebuilt has two, the old of which stays Down."""
    twice = state(down=("server-1",))
    member = next(each for each in twice.members if each.node == "server-1")
    twice = replace(twice, members=(*twice.members, replace(member, status="ready")))
    assert not shown_down(twice, ("server-1",))
    assert are_ready(twice, ("server-1",))
    assert shown_down(state(down=("server-1",)), ("server-1",))
    assert not are_ready(state(down=("server-1",)), ("server-1", "server-2"))


def test_a_node_that_is_not_listed_is_neither() -> None:
    """Nothing is known of it."""
    assert not shown_down(state(), ("server-9",))
    assert not are_ready(state(), ("server-9",))


def test_full_is_what_runs_elsewhere() -> None:
    """A task on the lost node does not count, whatever the managers think of it."""
    capacity = {"judge0-server": 2}
    assert not is_at_capacity(state(), capacity, ("server-1",))
    assert is_at_capacity(
        state(places=moved(judge0_server=("server-1", "server-2", "judge0-lb"))), capacity, ("server-1",)
    )
    assert remaining(state(), "judge0-server", ("server-1",)) == ("t-judge0-server-2-server-2",)


def test_a_swarm_that_is_well_is_settled() -> None:
    """Nothing is missing of it."""
    assert unsettled(state()) == []
    assert unsettled(state(HA, HA_PLACES)) == []


def test_what_is_not_well_is_said() -> None:
    """Who is away, who does not lead, what does not run, and what does not end."""
    lacking = state(down=("server-2",), leader="", desired={"judge0-worker": 3})
    told = "; ".join(unsettled(lacking))
    assert "server-2 is down; no manager leads" in told
    assert "judge0-worker has 2 of 3 tasks" in told
    assert "judge0-server has 1 of 2 tasks" in told
    old = task("runner-api", 1, "server-1", wanted="shutdown")
    leaving = replace(state(), tasks=(*state().tasks, old))
    assert unsettled(leaving) == ["1 old tasks of runner-api still end"]
