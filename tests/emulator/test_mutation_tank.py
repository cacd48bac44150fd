"""Mutants of a small plan over real machines: packets kill them, and a scan that looks away does not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema
import pytest
from small_plan import Shell, shell, write_plan

from harness.core.ports import Ports
from harness.core.progress import Progress
from harness.firewall.from_api import read
from harness.firewall.model import FirewallState, Pair
from harness.isolation.model import Observation
from harness.mutation import journal, run
from harness.mutation.evidence import Suite
from harness.mutation.kinds import HOLES
from harness.mutation.model import Mutant
from harness.mutation.selection import Selection
from harness.run import report
from harness.run.rundir import RunDir
from harness.run.settings import Settings, choose_existing, resolve_existing
from harness.target.api import Api
from harness.topology.model import Protocol

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

QUIET = Progress(quiet=True)
NAME = "mutants"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The small plan, up."""
    plan = write_plan(tmp_path_factory.mktemp("plan"))
    with shell(tmp_path_factory.mktemp("mutation"), plan) as wavetank:
        done = wavetank.up(f"--run={NAME}").end()
        assert done.code == 0, done.err
        yield wavetank


@pytest.fixture
def original(standing: Shell) -> Iterator[FirewallState]:
    """What protects it, which must be the same afterwards, without a journal."""
    before = in_force(standing)
    yield before
    assert in_force(standing) == before
    assert journal.read(RunDir(standing.state_dir, NAME)) is None


def in_force(standing: Shell) -> FirewallState:
    """What protects the run now."""
    choice = choose_existing(settings(standing))
    with Api(resolve_existing(choice, QUIET), read_only=True) as api:
        return read(api, NAME).state


def settings(standing: Shell) -> Settings:
    """The run, as the command line means it."""
    return Settings(run=NAME, state_dir=standing.state_dir)


def one_of_each(every: Sequence[Mutant], _selection: Selection) -> tuple[Mutant, ...]:
    """The last mutant of each kind: what opens most."""
    last = {each.kind: each for each in every}
    return tuple(last[kind] for kind in HOLES if kind in last)


def mutated(standing: Shell) -> dict[str, Any]:
    """What a campaign finds."""
    return run.mutate(choose_existing(settings(standing)), Selection(), QUIET)


@pytest.mark.usefixtures("original")
def test_packets_kill_a_mutant_of_each_kind(standing: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the scan saw, with both evidence sources."""
    monkeypatch.setattr(run, "select", one_of_each)
    told = mutated(standing)
    assert (told["survivors"], told["rules_only"], told["inconclusive"]) == ([], [], [])
    assert (told["score"], told["mutants"] >= len(HOLES) - 1) == (1.0, True)
    assert all(each["killed_by"][0].startswith("observed: ") for each in told["results"])


@pytest.mark.usefixtures("original")
def test_a_scan_that_looks_away_lets_them_live(standing: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The score is not what it is by construction: asked at one port only, packets show hardly anything."""
    scan = Suite._scan

    def look_away(self: Suite, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        little: dict[Protocol, Ports] = {"tcp": ((9, 9),), "udp": (), "icmp": ()}
        return scan(self, pairs, little)

    def two(every: Sequence[Mutant], _selection: Selection) -> tuple[Mutant, ...]:
        return tuple(each for each in every if each.kind == "port-added" and "front, out" in each.name)

    monkeypatch.setattr(run, "select", two)
    monkeypatch.setattr(Suite, "_scan", look_away)
    told = mutated(standing)
    assert (told["mutants"], told["killed"], told["noticed"], told["score"]) == (2, 0, 2, 0.0)
    assert all("would have shown it" in each for each in told["rules_only"])


@pytest.mark.usefixtures("original")
def test_the_command_tells_and_reports(standing: Shell) -> None:
    """Exit code 0, the section on stdout and in the report, which keeps its promise."""
    done = standing("mutate", "--only", "rule-removed", "--sample", 2, "-o", "json")
    assert done.code == 0, done.err
    assert (done.json["mutants"], done.json["killed"]) == (2, 2)
    document = json.loads((standing.state_dir / "latest/report.json").read_text())
    jsonschema.validate(document, json.loads(report.SCHEMA_FILE.read_text()))
    assert document["mutation"] == done.json


@pytest.mark.usefixtures("original")
def test_faults_are_noticed_by_checks(standing: Shell) -> None:
    """A rule in the fabric, and a stale image: each turns a check red, and all is green afterwards."""
    kinds = ("--only", "fabric-rule", "--only", "stale-image")
    done = standing("mutate", *kinds, "--sample", 2, "--seed", 0, "-o", "json")
    assert done.code == 0, done.out + done.err
    assert done.json["kinds"].keys() == {"fabric-rule", "stale-image"}
    assert [each["outcome"] for each in done.json["results"]] == ["killed", "killed"]
    assert all(each["killed_by"][0].startswith("check: ") for each in done.json["results"])


@pytest.mark.usefixtures("original")
def test_a_run_that_is_red_already_is_not_mutated(standing: Shell) -> None:
    """Every mutant would seem to be killed; so nothing is tried, and exit code 1 says why."""
    choice = choose_existing(settings(standing))
    with Api(resolve_existing(choice, QUIET)) as api:
        firewall = next(each for each in read(api, NAME).state.firewalls if each.name.endswith("--back"))
        hole = {"protocol": "tcp", "ports": "9000", "sources": {"addresses": ["0.0.0.0/0"]}}
        api.client.firewalls.add_rules(firewall.id, {"inbound_rules": [hole]})
        try:
            done = standing("mutate", "--only", "detached", "--sample", 1)
        finally:
            api.client.firewalls.update(firewall.id, body=firewall.body())
    assert done.code == 1, done.out
    assert "before anything was mutated" in done.err
