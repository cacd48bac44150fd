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


def fitted(**given: Any) -> Topology:
    """The standard topology with another front door."""
    door = STANDARD.checks.front_door
    assert door is not None
    return replace(STANDARD, checks=replace(STANDARD.checks, front_door=replace(door, **given)))


def test_programs_are_in_the_languages_that_the_topology_names() -> None:
    """All that there are, where it names none; without a front door, none are submitted there."""
    assert parameters(STANDARD)["language_name"] == ["python", "javascript", "bash", "c", "cpp"]
    assert parameters(fitted(languages={"cpp": 54, "62": 62}))["language_name"] == ["cpp"]
    assert parameters(BARE)["language_name"] == []
    assert why(BARE, "language_name") == "topology standard has no checks.front_door"


def test_a_scheme_is_asked_for_where_the_internet_may_reach_it() -> None:
    """The front door's own at its port, another at its usual one."""
    assert parameters(STANDARD)["scheme"] == ["http", "https"]
    assert parameters(fitted(port=3000))["scheme"] == ["https"]
    only_80 = tuple(each for each in STANDARD.intent if each.ports != "443")
    plain = replace(STANDARD, intent=only_80)
    assert parameters(plain)["scheme"] == ["http"]
    assert why(plain, mark=("http",)) == ""
    assert why(plain, mark=("https",)).endswith("no way for the internet to port 443 of the front door")


def test_a_history_is_looked_through_for_tokens() -> None:
    """Where there are none, there is nothing to be looked for."""
    assert why(STANDARD, mark=("history", "token")) == ""
    assert why(fitted(reply={"status": "s"}), mark=("history", "token")).endswith(
        "no token in checks.front_door.reply"
    )
