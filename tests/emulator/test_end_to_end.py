"""The standard plan stood up, checked, broken, repaired and taken down by the command line, on real parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
from small_plan import Shell, shell
from spilling import leaks, secrets_of

from harness.core.names import resource_name
from harness.core.progress import Progress
from harness.run import report
from harness.run.settings import PROJECT
from harness.target.api import Api, every
from harness.target.target import Target, resolve_target

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The standard plan, up; afterwards ``down`` must leave no container, no volume and no emulator."""
    with shell(tmp_path_factory.mktemp("standard"), PROJECT / "topologies/standard.yaml") as wavetank:
        done = wavetank.up("--run=whole").end(400)
        assert done.code == 0, done.err
        yield wavetank
        gone = wavetank("down")
        assert gone.code == 0, gone.err
        assert wavetank.left() == []
        assert not (wavetank.state_dir / "emulator").exists()
        assert (wavetank.state_dir / "latest/report.json").is_file()


@pytest.fixture
def target(standing: Shell) -> Target:
    """The same emulator's API."""
    return resolve_target("local", state_dir=standing.state_dir, progress=Progress(quiet=True))


def checks(wavetank: Shell) -> dict[str, str]:
    """Outcome by check, from the newest report, which keeps its promise."""
    document = json.loads((wavetank.state_dir / "latest/report.json").read_text())
    jsonschema.validate(document, json.loads(report.SCHEMA_FILE.read_text()))
    return {each["id"]: each["outcome"] for each in document["checks"]}


def test_checks_pass_and_are_reported(standing: Shell) -> None:
    """On what ``up`` made, in report and junit.xml; ``make local`` has those checks, too, that scan."""
    done = standing.begin("verify", "--no-faults", "-k", "not (isolation or front_door or databases)").end(
        300
    )
    assert done.code == 0, done.err
    outcomes = checks(standing)
    assert set(outcomes.values()) <= {"passed", "skipped"}
    assert len([each for each in outcomes.values() if each == "passed"]) > 100
    assert "<testsuite" in (standing.state_dir / "latest/junit.xml").read_text()


def test_no_secret_is_shown(standing: Shell, target: Target) -> None:
    """Not by the engine, in no command line, environment or log, and in no file that others may read."""
    assert leaks(standing.state_dir, secrets_of(standing.state_dir, target)) == []


def test_an_existing_deployment_is_only_looked_at(standing: Shell) -> None:
    """The same as somebody else's, by its tag and the owner's key: checks pass, and only GET arrives."""
    log = standing.state_dir / "emulator/log"
    before = len(log.read_text())
    there = ("--existing=wavetank:whole", "--target=local", f"--topology={standing.plan}")
    key = f"--ssh-key={standing.state_dir / 'runs/whole/id_ed25519'}"
    chosen = "gates or machines or engine_answers or worker_runs_it or logs_in"
    done = standing.begin("verify", *there, key, "-k", chosen).end(300)
    assert done.code == 0, done.err
    assert standing("drift", *there).code == 0
    asked = re.findall(r" ([A-Z]+) (/(?:v2|_wavetank)/)", log.read_text()[before:])
    assert {method for method, _ in asked} == {"GET"}
    (file,) = standing.state_dir.glob("existing/wavetank-whole-*/report.json")
    outcomes = {each["id"]: each["outcome"] for each in json.loads(file.read_text())["checks"]}
    assert outcomes["end_to_end.worker_runs_it"] == "passed"
    assert outcomes["databases.trusted_droplet_logs_in[mongo]"] == "passed"
    assert set(outcomes.values()) == {"passed", "skipped"}
    assert (standing.state_dir / "latest").resolve().name == "whole"


def test_second_up_sends_no_change(standing: Shell) -> None:
    """The emulator's own log shows that a second ``up`` only asked, but for its lease, which it gave back."""
    log = standing.state_dir / "emulator/log"
    before = log.read_text()
    done = standing.up("--run=whole", "-o", "json").end()
    assert done.code == 0, done.err
    assert (done.json["changes"], done.json["deployed"]) == ([], [])
    new = log.read_text()[len(before) :]
    assert " GET /v2/" in new
    changes = re.findall(r" ((?:POST|PUT|PATCH|DELETE) /v2/\S*)", new)
    taken, given_back = "POST /v2/tags", "DELETE /v2/tags/wavetank-lease"
    assert [each for each in changes if each != taken and not each.startswith(given_back)] == []
    assert len([each for each in changes if each == taken]) * 2 == len(changes)


def test_commands_reach_the_nodes(standing: Shell) -> None:
    """ssh, exec and logs do what they say, on one node, on a role, in a container."""
    alone = standing("ssh", "server-1", "--", "hostname")
    assert (alone.code, alone.out.strip()) == (0, "server-1")
    assert standing("ssh", "server-1", "--", "exit 7").code == 7
    role = standing("exec", "--role=judge0-worker", "-o", "json", "--", "hostname")
    assert [each["output"].strip() for each in role.json] == ["worker-1", "worker-2"]
    inside = standing("exec", "--service=client", "--", "test -e /.dockerenv && echo inside")
    assert inside.out.strip() == "inside"
    assert standing("exec", "--all", "--", "false").code == 1
    assert "judge0-lb" in standing("logs", "judge0-lb").out


def generators() -> list[str]:
    """Processes that hand in a load, whoever began them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if "multiprocessing.spawn" in line]


def test_load_is_put_on_and_told(standing: Shell) -> None:
    """Every answer is checked, every node watched, the workers scaled and put back; the report has it all."""
    done = standing.begin(
        "bench scaling", "--workers=1,2", "--seconds=4", "--repetitions=2", "--workload=sleep", "-o", "json"
    ).end()
    assert done.code in (0, 2), done.err
    runs = done.json["runs"]
    assert [run["workers"] for run in runs] == [1, 1, 2, 2]
    assert all(run["arrivals"] and not run["errors"] for run in runs)
    assert {node["node"] for node in runs[0]["nodes"]} >= {"worker-1", "server-1", "postgres", "machine"}
    assert max(runs[0]["queue"]["workers"]) < max(runs[-1]["queue"]["workers"])
    checks(standing)
    assert "Under load" in (standing.state_dir / "latest/report.html").read_text()


def test_interrupted_load_is_partial(standing: Shell) -> None:
    """ctrl-C ends it soon, keeps what was measured, says that it is a part, and leaves no process."""
    begun = standing.begin("bench soak", "--rate=5", "--seconds=600", "-o", "json")
    assert begun.process.stderr is not None
    for line in begun.process.stderr:
        if line.startswith("soak:"):
            break
    begun.interrupt()
    done = begun.end()
    assert done.code == 130, done.err
    assert (done.json["verdict"], bool(done.json["partial"])) == ("inconclusive", True)
    assert done.json["runs"][0]["arrivals"] > 0
    assert generators() == []


def test_gate_judges_what_was_measured(standing: Shell, tmp_path: Path) -> None:
    """A load at the objectives' rate, held against them and then against itself: nothing got worse."""
    measured = standing("gate", "--no-verify", "--repetitions=2")
    assert measured.code in (0, 2), measured.err
    kept, file = tmp_path / "kept.json", standing.state_dir / "latest/report.json"
    saved = standing("baseline save", "--force=a test", kept)
    assert saved.code == 0, saved.err
    again = standing("gate", f"--from={file}", "--no-verify", f"--baseline={kept}")
    assert again.code in (0, 2), again.out
    assert "worse" not in again.out.replace("worse_by", "")


def test_a_hole_in_a_firewall_is_noticed_and_mended(standing: Shell, target: Target) -> None:
    """One rule too many turns checks red; ``up --dry-run`` names it, ``up`` removes it, and all is green."""
    with Api(target) as api:
        name = resource_name("whole", "internal-runner")
        found = next(each for each in every(api.client.firewalls.list, "firewalls") if each["name"] == name)
        hole = {"protocol": "tcp", "ports": "4000", "sources": {"addresses": ["0.0.0.0/0"]}}
        api.client.firewalls.add_rules(found["id"], {"inbound_rules": [hole]})
    broken = standing("verify", "-k", "(every_port and internet) or gates")
    assert broken.code == 1, broken.err
    red = {name for name, outcome in checks(standing).items() if outcome == "failed"}
    assert "gates.firewall_rules_are_those_of_the_topology[internal-runner]" in red
    assert "isolation.every_port_is_as_intended[internet]" in red
    shown = standing("up", f"--topology={standing.plan}", "--run=whole", "--dry-run", "-o", "json")
    changes = [each for each in shown.json["changes"] if each["action"] != "keep"]
    assert [(each["action"], each["name"]) for each in changes] == [("update", name)]
    assert standing.up("--run=whole").end().code == 0
    assert standing("verify", "-k", "(every_port and internet) or gates").code == 0


def test_a_service_that_is_down_is_noticed(standing: Shell) -> None:
    """A stopped container turns the checks of what runs where red, and end-to-end ones with it."""
    assert standing("exec", "runner", "--", "docker stop $(docker ps -q)").code == 0
    broken = standing("verify", "-k", "(containers or program) and not judge0")
    assert broken.code == 1
    red = {name for name, outcome in checks(standing).items() if outcome == "failed"}
    assert "nodes.containers_are_those_of_its_services[runner]" in red
    assert "end_to_end.program_is_run[python]" in red
    assert standing.up("--run=whole").end().code == 0
