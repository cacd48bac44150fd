"""Which target, topology and run a command line means."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.core.names import check_run, longest_run
from harness.run.settings import (
    PROJECT,
    Settings,
    arguments,
    choose_existing,
    choose_new,
    new_name,
    remember,
    topology_file,
)
from harness.topology import load
from harness.topology.names import LONGEST

STANDARD = str(PROJECT / "topologies" / "standard.yaml")
APP = PROJECT / "topologies" / "app"


def settled(state_dir: Path, **more: object) -> Settings:
    """Settings for a state directory of a test's own."""
    return Settings(state_dir=state_dir, **more)  # type: ignore[arg-type]  # (keywords are the tests' own)


def begun(state_dir: Path, **more: object) -> str:
    """A run that ``up`` began; returns its name."""
    choice = choose_new(settled(state_dir, **more))
    choice.run_dir.create()
    remember(choice)
    return choice.run


def test_a_bare_name_is_one_of_ours() -> None:
    """``standard`` is the file in topologies/, wherever one stands."""
    assert str(topology_file("standard")) == STANDARD


def test_an_unknown_name_lists_those_there_are() -> None:
    """A slip of the pen is answered with the names to take."""
    with pytest.raises(UsageError, match=r"unknown topology 'standart'.*standard"):
        topology_file("standart")


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """A path with a slash or an ending is a file, and must be there."""
    file = tmp_path / "mine.yaml"
    file.touch()
    assert topology_file(str(file)) == file
    with pytest.raises(UsageError, match="no topology file"):
        topology_file(str(tmp_path / "other.yaml"))


def test_a_new_run_is_named_after_its_topology(tmp_path: Path) -> None:
    """The first ``up`` makes up a name of its own."""
    run = choose_new(settled(tmp_path)).run
    assert run.startswith("standard-")
    assert len(run) == len("standard-7f3a")


def test_a_file_with_an_odd_name_still_gives_a_usable_run(tmp_path: Path) -> None:
    """Capitals, spaces and length are taken off a file's name."""
    file = tmp_path / "My Very Own -- Topology of Everything.yaml"
    file.touch()
    run = choose_new(settled(tmp_path, topology=str(file))).run
    assert run.startswith("my-very-own-topolog")
    assert len(run) <= 24


@pytest.mark.parametrize("suffix", ["", "-vm"])
@pytest.mark.parametrize("topology", ["swarm-encrypted", "swarm", "---", "a-topology-of-a-very-long-name"])
@pytest.mark.parametrize("databases", [["postgres", "mongo"], ["d" * LONGEST["databases"]], []])
def test_a_new_name_is_short_enough(topology: str, suffix: str, databases: list[str]) -> None:
    """Also for the longest name of a database that a topology may have."""
    run = check_run(new_name(topology, suffix, databases=databases))
    assert len(run) <= longest_run(databases)


def test_a_new_run_is_named_after_the_topologys_own_name(tmp_path: Path) -> None:
    """Whatever the file is called."""
    file = tmp_path / "wavetank.yaml"
    file.write_text(Path(STANDARD).read_text().replace("name: standard", "name: editor", 1))
    run = choose_new(settled(tmp_path, topology=str(file)), topology=load(file, app=APP)).run
    assert run.startswith("editor-")


def test_an_app_stays_as_long_as_the_topologys_file_does(tmp_path: Path) -> None:
    """Another topology has an application of its own, also where it is to change the same run."""
    other = tmp_path / "other.yaml"
    other.touch()
    run = begun(tmp_path, app=tmp_path)
    assert choose_new(settled(tmp_path), existing=[run]).app == tmp_path
    assert choose_new(settled(tmp_path, run=run), existing=[run]).app == tmp_path
    assert choose_new(settled(tmp_path, run=run, topology=str(other)), existing=[run]).app is None


def test_a_new_run_has_room_for_its_topologys_databases(tmp_path: Path) -> None:
    """``swarm-encrypted-7f3a`` would have none for ``postgres``."""
    encrypted = load(topology_file("swarm-encrypted"))
    run = choose_new(settled(tmp_path, topology="swarm-encrypted"), topology=encrypted).run
    assert run.startswith("swarm-encryp-")
    assert len(run) == longest_run(["postgres"])


def test_up_goes_on_with_the_latest_run_of_the_same_plan(tmp_path: Path) -> None:
    """A second ``up`` means the first one's run, as long as the target has it."""
    run = begun(tmp_path)
    assert choose_new(settled(tmp_path), existing=[run]).run == run
    assert choose_new(settled(tmp_path), existing=[]).run != run


def test_up_leaves_a_run_of_another_plan_alone(tmp_path: Path) -> None:
    """Another topology or target begins another run."""
    run = begun(tmp_path)
    other = tmp_path / "other.yaml"
    other.touch()
    assert choose_new(settled(tmp_path, topology=str(other)), existing=[run]).run != run
    assert choose_new(settled(tmp_path, target="do"), existing=[run]).run != run


def test_other_commands_take_what_the_run_was_made_with(tmp_path: Path) -> None:
    """Target, topology, endpoint and the rest need not be said twice; the token is not kept."""
    run = begun(
        tmp_path,
        target="do",
        endpoint="https://127.0.0.1:4",
        ca_file=Path("/ca.pem"),
        operators=("198.51.100.7/32",),
        app=tmp_path,
    )
    choice = choose_existing(settled(tmp_path))
    assert (choice.run, choice.target, choice.topology, choice.app) == (run, "do", STANDARD, tmp_path)
    assert choice.settings.endpoint == "https://127.0.0.1:4"
    assert choice.settings.ca_file == Path("/ca.pem")
    assert choice.settings.operators == ("198.51.100.7/32",)


def test_nothing_stood_up_is_said_so(tmp_path: Path) -> None:
    """Without any run the error says how to make one."""
    with pytest.raises(UsageError, match="wavetank up"):
        choose_existing(settled(tmp_path))


def test_a_run_is_not_looked_for_on_another_target(tmp_path: Path) -> None:
    """``down --target do`` does not take a local run for one of the cloud's."""
    begun(tmp_path)
    with pytest.raises(UsageError, match="is on target 'local', not 'do'"):
        choose_existing(settled(tmp_path, target="do"))


@pytest.mark.parametrize("run", ["Standard", "a--b", "x" * 25, "-a", ""])
def test_a_run_must_be_nameable(run: str) -> None:
    """A name that could not be part of every resource's name is refused at once."""
    with pytest.raises(UsageError, match="not usable"):
        Settings(run=run)


def test_an_app_must_be_there(tmp_path: Path) -> None:
    """``--app`` of a directory that is not there is refused."""
    with pytest.raises(UsageError, match="no such directory"):
        choose_new(settled(tmp_path, app=tmp_path / "gone"))


def test_a_choice_can_be_handed_on(tmp_path: Path) -> None:
    """What pytest is told is what the command line was told."""
    begun(tmp_path, operators=("198.51.100.7/32", "192.0.2.0/24"))
    told = arguments(choose_existing(settled(tmp_path)))
    assert "--target=local" in told
    assert f"--topology={STANDARD}" in told
    assert f"--state-dir={tmp_path}" in told
    assert told.count("--operator-cidr=192.0.2.0/24") == 1
