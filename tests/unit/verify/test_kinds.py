"""Which checks a topology has nothing for, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.paths import CHECKS, PROJECT
from harness.topology import load
from harness.topology.model import Checks, Topology
from harness.verify.kinds import has, left_out, needs, notes, parameters, values

STANDARD, SWARM = (load(PROJECT / f"topologies/{name}.yaml") for name in ("standard", "swarm"))
BARE = replace(STANDARD, checks=Checks())


@dataclass(frozen=True)
class Item:
    """A check, as far as its fixtures and marks matter."""

    fixturenames: tuple[str, ...] = ()
    marks: tuple[pytest.MarkDecorator, ...] = ()
    path: Path = field(default=CHECKS / "test_x.py")

    def iter_markers(self, name: str) -> list[pytest.Mark]:
        """As pytest's."""
        return [each.mark for each in self.marks if each.name == name]


def why(topology: Topology, *asked: str, mark: tuple[str, ...] = (), path: Path | None = None) -> str:
    """Why a check that asks for these is left out."""
    item: Any = Item(asked, (pytest.mark.needs(*mark),) if mark else (), path or CHECKS / "test_x.py")
    return left_out(item, topology, has(topology))


@pytest.mark.parametrize("asked", ["swarm", "stacked", "fault", "cut_off", "manager_lost"])
def test_a_check_of_a_swarm_is_for_swarms(asked: str) -> None:
    """Whatever it asks for of one."""
    assert why(SWARM, asked) == ""
    assert why(STANDARD, asked) == "topology standard has no swarm"


@pytest.mark.parametrize("asked", ["placed", "server", "fallen", "judge0_node", "environment"])
def test_a_check_of_single_droplets_is_not_for_swarms(asked: str) -> None:
    """And says which check looks at it there instead."""
    assert why(STANDARD, mark=(asked,)) == ""
    assert why(SWARM, mark=(asked,)).startswith("topology swarm has no ")
    assert "swarm" in why(SWARM, mark=(asked,)).partition("; ")[2]


@pytest.mark.parametrize(
    ("asked", "said"),
    [("door", "checks.front_door"), ("judge0", "checks.judge0"), ("workers", "checks.judge0.workers")],
)
def test_a_part_of_the_topology_may_be_left_out(asked: str, said: str) -> None:
    """Then its checks are."""
    assert why(STANDARD, mark=(asked,)) == why(SWARM, mark=(asked,)) == ""
    assert why(BARE, mark=(asked,)) == f"topology standard has no {said}"


def test_every_name_can_be_asked_for() -> None:
    """What checks are run once for each of is a part of it."""
    assert set(parameters(STANDARD)) < set(has(STANDARD)) == set(has(SWARM)) == set(has(BARE))


def test_fixtures_of_others_have_names_of_their_own() -> None:
    """Somebody's fixture ``server`` need not be ours; a mark is meant."""
    assert why(SWARM, "server", path=Path("mine/test_x.py")) == ""
    assert why(SWARM, mark=("server",), path=Path("mine/test_x.py")) != ""


def test_a_mark_has_to_name_something() -> None:
    """A wrong one ends the run instead of meaning nothing."""
    with pytest.raises(pytest.UsageError, match="not swram"):
        needs([pytest.mark.needs("swram").mark], has(STANDARD))


def test_services_are_those_that_have_what_is_needed() -> None:
    """Where one has no environment, there is nothing to be seen of it."""
    there = has(STANDARD)
    assert "judge0-lb@judge0-lb" in values("placed", [], there)
    assert "judge0-lb@judge0-lb" not in values("placed", ["environment"], there)
    assert values("node", ["environment"], there) == list(STANDARD.droplets)


def test_notes_count_by_reason() -> None:
    """One line for each."""
    assert notes(["no swarm", "no door", "no swarm"]) == [
        "2 checks left out: no swarm",
        "1 check left out: no door",
    ]
