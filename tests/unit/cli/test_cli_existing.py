"""``--existing``: commands that look at a deployment made by hand, and those that refuse to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hand_made
import jsonschema
import pydo
import pytest
from hand_made import OPERATOR, TAG, HandMade
from tests_cli import Outcome

from harness.cli.main import cli
from harness.cli.options import READERS
from harness.core.paths import CHECKS
from harness.existing.place import label
from harness.run import report
from harness.run.settings import PROJECT, topology_file
from harness.target import emulator_process
from harness.topology import load
from harness.verify.existing_checks import NEEDS_LOGIN, NOT_READ_ONLY

REQUEST = re.compile(r" ([A-Z]+) (/(?:v2|_wavetank)/\S*)")


@pytest.fixture(scope="module")
def made(memory_emulator: emulator_process.EmulatorStatus) -> Iterator[HandMade]:
    """The standard topology, made by hand on the memory plane, taken away after the last test."""
    client = pydo.Client(
        memory_emulator.token,
        endpoint=memory_emulator.https,
        connection_verify=str(memory_emulator.ca_file),
    )
    found = hand_made.make(client, load(topology_file("standard")))
    yield found
    hand_made.take_away(found)


@pytest.fixture
def log(made: HandMade, memory_emulator: emulator_process.EmulatorStatus) -> Callable[[], Counter[str]]:
    """What arrived at the emulator since the test began, by method."""
    file = memory_emulator.ca_file.parent / "log"
    before = len(file.read_text())
    return lambda: Counter(method for method, _ in REQUEST.findall(file.read_text()[before:]))


@pytest.fixture
def environment(memory_emulator: emulator_process.EmulatorStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory plane as if it were the cloud."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", memory_emulator.token)
    monkeypatch.setenv("DIGITALOCEAN_API_URL", memory_emulator.https)
    monkeypatch.setenv("WAVETANK_CA_FILE", str(memory_emulator.ca_file))
    monkeypatch.setenv("WAVETANK_OPERATORS", OPERATOR)


@pytest.fixture
def call(
    wavetank: Callable[..., Outcome], made: HandMade, environment: None, tmp_path: Path
) -> Callable[..., Outcome]:
    """A command on the deployment."""
    return lambda command, *rest: wavetank(
        command, f"--state-dir={tmp_path}", f"--existing={TAG}", "--topology=standard", *rest
    )


@pytest.fixture
def hole(made: HandMade) -> Iterator[None]:
    """One rule too many at the runner, for the length of a test."""
    body = made.client.firewalls.get(made.firewalls["runner"]["id"])["firewall"]
    wide = {"protocol": "tcp", "ports": "4000", "sources": {"addresses": ["0.0.0.0/0"]}}
    made.change("runner", inbound_rules=[*body["inbound_rules"], wide])
    yield
    made.change("runner", inbound_rules=body["inbound_rules"])


def test_looking_finds_nothing_wrong(call: Callable[..., Outcome], log: Callable[[], Counter[str]]) -> None:
    """Status, drift, diff and explain agree that all is as planned, and nothing but GET arrived."""
    for command, *rest in (("status",), ("drift",), ("diff",), ("explain", "client", "runner", "4000")):
        done = call(command, *rest)
        assert done.code == 0, (command, done.out, done.err)
    assert set(log()) == {"GET"}


def test_a_hole_is_found_by_each(call: Callable[..., Outcome], hole: None) -> None:
    """Drift names the rule, diff the pairs, explain the flow."""
    drift = call("drift", "-o", "json")
    told = json.loads(drift.out)
    assert (drift.code, told["existing"]) == (1, TAG)
    problem = "takes tcp 4000 from 0.0.0.0/0, more than the topology admits"
    assert [(each["kind"], each["name"], each["problem"]) for each in told["drift"]] == [
        ("droplet", "runner", problem)
    ]
    diff = call("diff", "-o", "json")
    (there,) = [
        each
        for each in json.loads(diff.out)["differences"]
        if (each["source"], each["target"], each["side"]) == ("internet", "runner", "public")
    ]
    assert (diff.code, there["ports"], there["observed"]) == (1, "4000", "not observed")
    assert there["reproduce"] == f"wavetank explain --existing {TAG} --public internet runner 4000/tcp"
    explained = call("explain", "internet", "runner", "4000")
    assert (explained.code, "not observed" in explained.out) == (1, True)


def test_what_has_the_tag_and_no_place_is_reported(call: Callable[..., Outcome], made: HandMade) -> None:
    """Status and drift name it and exit 1; what needs the whole says that it is not (4)."""
    extra = made.droplet("web-9", TAG, "ours")
    try:
        status = call("status", "-o", "json")
        assert (status.code, json.loads(status.out)["extra"]) == (1, [f"droplet web-9 ({extra['id']})"])
        assert "web-9" in call("drift").out
        diff = call("diff")
        assert (diff.code, diff.err.count("\n")) == (4, 1)
        assert "the topology knows nothing of droplet web-9" in diff.err
    finally:
        made.client.droplets.destroy(extra["id"])


@pytest.mark.parametrize(
    ("command", "option"), [("diff", "--observe"), ("explain client runner 4000", "--probe")]
)
def test_packets_are_refused(command: str, option: str, call: Callable[..., Outcome]) -> None:
    """By exit code 4, before anything is asked."""
    done = call(*command.split(), option)
    assert (done.code, "sends packets" in done.err) == (4, True)


@pytest.mark.parametrize("command", sorted(set(cli.commands) - set(READERS)))
def test_all_other_commands_refuse(command: str, wavetank: Callable[..., Outcome], tmp_path: Path) -> None:
    """Exit code 4 and one sentence, whatever else they need, and nothing is made on this machine."""
    for words in subcommands(command):
        done = wavetank(*words, f"--existing={TAG}")
        assert done.code == 4, words
        assert "--existing" in done.err
        if "No such option" not in done.err:
            assert done.err.startswith(f"wavetank: `wavetank {' '.join(words)}` does not take --existing: ")
            assert done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["up", "down", "sweep", "mutate", "scale", "run", "link", "gate", "ssh"])
def test_those_that_change_have_their_own_message(command: str, wavetank: Callable[..., Outcome]) -> None:
    """Not because they know no such option, but because they do more than look."""
    done = wavetank(command, f"--existing={TAG}", "--target=do")
    assert (done.code, "can only be read" in done.err) == (4, True)


def test_status_says_that_it_did_not_inspect_a_swarm(call: Callable[..., Outcome]) -> None:
    """Without a key nobody can: that is no health, and is said."""
    done = call("status", "--topology=swarm")
    assert "not checked: that needs --ssh-key" in done.out


def test_run_of_the_same_name_is_no_existing_one(call: Callable[..., Outcome]) -> None:
    """--run and --existing exclude one another; --faults and --existing, too."""
    assert call("status", "--run=whole").code == 4
    assert call("verify", "--faults").code == 4


def subcommands(command: str) -> list[list[str]]:
    """The command, or each of a group's."""
    found = cli.commands[command]
    below = getattr(found, "commands", None)
    return [[command, name] for name in below] if below else [[command]]


@pytest.fixture
def pytest_of(
    made: HandMade, environment: None, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``pytest --existing`` in a process of its own."""
    fixed = ["--target=do", "--topology=standard", f"--existing={TAG}", f"--state-dir={tmp_path}"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "pytest", f"--rootdir={PROJECT}", "-p", "no:cacheprovider", *fixed]
        return subprocess.run(
            [*argv, *arguments, str(CHECKS)],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


# Everything that is collected for somebody else's deployment, by what it sends; docs/existing.md tells it.
API = {
    "gates.droplet_admits_what_the_topology_says",
    "gates.firewalls_can_be_judged",
    "gates.rules_allow_what_is_intended",
    "gates.trusted_sources_are_those_of_the_topology",
    "machines.database_has_a_private_and_a_public_endpoint",
    "machines.database_is_online",
    "machines.droplet_is_active_at_its_addresses",
    "machines.droplet_is_what_was_asked_for",
    "machines.no_other_droplet_carries_the_run",
}
REQUESTS = {
    "end_to_end.page_is_served",
    "end_to_end.program_is_run",
    "end_to_end.program_is_run_over_https",
    "end_to_end.runner_keeps_a_history",
    "front_door.files_of_the_machine_are_not_served",
    "front_door.port_443_speaks_tls",
    "front_door.port_80_speaks_http",
}
LOGIN = {
    "databases.internet_does_not_connect",
    "databases.only_trusted_droplets_connect",
    "databases.trusted_droplet_logs_in",
    "end_to_end.load_balancer_passes_it_to_a_server",
    "end_to_end.worker_runs_it",
    "front_door.only_the_front_door_answers_the_internet",
    "front_door.quiet_droplets_do_not_listen",
    "front_door.quiet_droplets_take_nothing",
    "judge0.workers_are_there",
    "nodes.database_resolves_into_the_vpc",
    "nodes.engine_answers",
    "nodes.load_balancer_knows_the_servers",
    "nodes.machine_is_up",
    "nodes.only_its_ports_are_open",
    "swarm.managers_are_those_of_the_topology",
    "swarm.no_service_is_told_of_public_addresses",
    "swarm.passwords_are_secrets",
    "swarm.service_is_at_its_replicas",
}


def collected(told: str) -> set[str]:
    """The checks in pytest's list, without their parameters."""
    found = re.findall(r"^harness/checks/test_(\w+)\.py::test_(\w+)", told, re.MULTILINE)
    return {f"{file}.{name}" for file, name in found}


# Of these, what each topology has nothing for.
OTHER_KIND = {
    "standard": {
        "swarm.managers_are_those_of_the_topology",
        "swarm.no_service_is_told_of_public_addresses",
        "swarm.passwords_are_secrets",
        "swarm.service_is_at_its_replicas",
    },
    "swarm": {
        "front_door.quiet_droplets_do_not_listen",
        "front_door.quiet_droplets_take_nothing",
        "nodes.load_balancer_knows_the_servers",
    },
}


@pytest.mark.parametrize("topology", OTHER_KIND)
def test_only_checks_that_look_are_collected(
    topology: str, pytest_of: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Exactly these, with a key; none that disturbs, scans, loads or changes, and none that says nothing.

    The list is no run: no report is written.
    """
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o600)
    listed = pytest_of("--collect-only", "-q", f"--ssh-key={key}", f"--topology={topology}").stdout
    assert collected(listed) == (API | REQUESTS | LOGIN) - OTHER_KIND[topology]
    assert not list(tmp_path.rglob("report.json"))


def test_everything_collected_is_documented() -> None:
    """docs/existing.md names each check, under what it sends."""
    text = (PROJECT / "docs/existing.md").read_text()
    sections = {
        name: re.search(rf"^### {name}$(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
        for name in ("api", "requests", "login")
    }
    for name, checks in (("api", API), ("requests", REQUESTS), ("login", LOGIN)):
        found = sections[name]
        assert found is not None, name
        assert set(re.findall(r"`(\w+\.\w+)`", found[1])) == checks, name


def test_checks_run_and_only_get_arrives(
    call: Callable[..., Outcome], log: Callable[[], Counter[str]], tmp_path: Path
) -> None:
    """The checks of the API pass; the report says what it was, what was left out and why; no run is begun."""
    done = call("verify", "-k", "gates or machines or engine_answers")
    assert done.code == 0, done.err
    assert set(log()) == {"GET"}
    written = json.loads((tmp_path / "existing" / label(TAG) / "report.json").read_text())
    jsonschema.validate(written, json.loads(report.SCHEMA_FILE.read_text()))
    outcomes = Counter(each["outcome"] for each in written["checks"])
    assert (written["existing"], written["verdict"], set(outcomes)) == (TAG, "pass", {"passed", "skipped"})
    assert outcomes["passed"] > 30
    assert written["notes"][0].startswith(f"an existing deployment, tagged {TAG}, was only looked at")
    reasons = {each["id"]: each["reason"] for each in written["checks"] if each["outcome"] == "skipped"}
    assert reasons["gates.firewalls_are_in_force"] == NOT_READ_ONLY
    assert reasons["nodes.engine_answers[client]"] == NEEDS_LOGIN
    assert f"existing {TAG} on do: pass" in done.out
    assert f"tagged {TAG}" in (tmp_path / "existing" / label(TAG) / "report.html").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["existing"]
    assert call("report").code == 0


def test_a_hole_turns_checks_red(call: Callable[..., Outcome], hole: None, tmp_path: Path) -> None:
    """The droplet's own check and that of all pairs."""
    assert call("verify", "-k", "gates").code == 1
    written = json.loads((tmp_path / "existing" / label(TAG) / "report.json").read_text())
    red = {each["id"]: each["reason"] for each in written["checks"] if each["outcome"] == "failed"}
    assert set(red) == {
        "gates.droplet_admits_what_the_topology_says[runner]",
        "gates.rules_allow_what_is_intended",
    }
    assert "takes tcp 4000 from 0.0.0.0/0" in red["gates.droplet_admits_what_the_topology_says[runner]"]


def test_unknown_tag_is_one_sentence(call: Callable[..., Outcome]) -> None:
    """Exit code 4, and the sentence alone."""
    done = call("diff", "--existing=produktion")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "no droplet has the tag 'produktion'; there are droplets with production" in done.err
