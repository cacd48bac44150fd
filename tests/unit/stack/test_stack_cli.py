"""``wavetank stack`` without a deployment, and the stack of the plan's own application."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness import provision
from harness.cli import main
from harness.core.errors import EngineError
from harness.deploy import engine, gather
from harness.run import session, settings
from harness.run.settings import PROJECT, topology_file
from harness.stack import Stack
from harness.swarm import deploy
from harness.topology import load
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.topology.model import DATABASE_PORTS, Changes, Topology
from harness.verify.swarm.discovery import owners

Wavetank = Callable[..., tuple[int, str, str]]
PASSWORD = "s3cret/with+signs-0123"


@pytest.fixture
def wavetank(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Wavetank]:
    """Run ``stack`` in this process, with a state directory of its own: code, stdout, stderr."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main.run(["stack", f"--state-dir={tmp_path / 'state'}", *map(str, arguments)])
        told = capfd.readouterr()
        return code, told.out, told.err

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.environ.pop("WAVETANK_DEBUG", None)


@pytest.fixture(autouse=True)
def without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without Docker: what images run is not known."""

    def none(*_: object, **__: object) -> str:
        raise EngineError("no engine")

    monkeypatch.setattr(engine, "docker", none)
    monkeypatch.setattr(gather, "local_images", none)


def services(text: str) -> dict[str, Any]:
    """The services of a stack's text."""
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text)["services"]
    return found


def test_it_prints_a_stack_and_says_the_rest_on_stderr(wavetank: Wavetank, tmp_path: Path) -> None:
    """The result is the file and nothing else; no run, no emulator and no image is made for it."""
    code, out, err = wavetank("--topology=swarm")
    assert code == 0
    assert services(out)["judge0-server"]["deploy"]["replicas"] == 2
    assert "note: judge0-worker: services.judge0-worker.security_opt" in err
    assert not (tmp_path / "state").exists()


def test_what_only_a_deployment_knows_is_to_be_filled_in(wavetank: Wavetank) -> None:
    """Addresses stay variables; passwords are named in the notes, and are nowhere in the file."""
    _, out, err = wavetank("--topology=swarm")
    server = services(out)["judge0-server"]
    assert server["environment"]["POSTGRES_HOST"] == "${POSTGRES_PRIVATE_HOST}"
    assert "PASSWORD" not in out
    assert "POSTGRES_PRIVATE_HOST" in err
    assert "it holds POSTGRES_PASSWORD, REDIS_PASSWORD, a line NAME='value' each" in err


def test_what_an_unknown_image_runs_is_to_be_filled_in(wavetank: Wavetank) -> None:
    """It is not built just to be looked at."""
    _, out, _ = wavetank("--topology=swarm")
    assert services(out)["judge0-server"]["command"] == "${JUDGE0_SERVER_JUDGE0_SERVER_PROGRAM}"
    assert services(out)["judge0-server"]["image"] == "wavetank-app/judge0-server"


@pytest.mark.parametrize(("option", "mode"), [([], "vip"), (["--ipvs"], "vip"), (["--no-ipvs"], "dnsrr")])
def test_the_kernel_is_as_one_says(wavetank: Wavetank, option: list[str], mode: str) -> None:
    """Without a run nobody can be asked."""
    _, out, _ = wavetank("--topology=swarm", *option)
    assert {body["deploy"]["endpoint_mode"] for body in services(out).values()} == {mode}


def test_it_writes_a_file(wavetank: Wavetank, tmp_path: Path) -> None:
    """And says where."""
    file = tmp_path / "docker-stack.yml"
    code, out, _ = wavetank("--topology=swarm", f"--out={file}")
    assert (code, out) == (0, f"{file}\n")
    assert "judge0-lb" in services(file.read_text())


def test_json_has_contents_and_names(wavetank: Wavetank) -> None:
    """Of configs what is in them, of secrets only what they are called."""
    _, out, _ = wavetank("--topology=swarm", "-o", "json")
    document = json.loads(out)
    assert document["run"] is None
    assert any("judge0_servers" in content for content in document["configs"].values())
    assert "${POSTGRES_CA_PEM}" in document["configs"].values()
    assert all(isinstance(name, str) for name in document["secrets"])
    assert {"where", "what", "instead"} == set(document["notes"][0])


def test_a_topology_without_a_swarm_is_refused(wavetank: Wavetank) -> None:
    """With what to take instead."""
    code, out, err = wavetank("--topology=standard")
    assert (code, out) == (4, "")
    assert "there is no swarm" in err


def test_what_no_stack_can_give_is_refused(wavetank: Wavetank, tmp_path: Path) -> None:
    """As for ``up``: the compose file, the key, and what to do."""
    app = tmp_path / "app"
    for directory in (PROJECT / "topologies/app").iterdir():
        (app / directory.name).mkdir(parents=True)
        for file in directory.iterdir():
            if file.is_file():
                (app / directory.name / file.name).write_bytes(file.read_bytes())
    compose = app / "judge0-worker" / "docker-compose.yml"
    compose.write_text(compose.read_text().replace("    cap_add:\n", "    privileged: true\n    cap_add:\n"))
    code, _, err = wavetank("--topology=swarm", f"--app={app}")
    assert code == 4
    assert "services.judge0-worker.privileged" in err
    assert "cap_add: [SYS_ADMIN]" in err


def deployment(topology: Topology) -> Deployment:
    """One of which everything is known."""
    nodes = {
        name: Node(name, number, "active", f"203.0.113.{number}", f"10.9.0.{number}")
        for number, name in enumerate(topology.droplets, 10)
    }
    databases = {}
    for name, each in topology.databases.items():
        port = DATABASE_PORTS[each.engine]
        uri = f"{each.engine}://doadmin:s3cret%2Fwith%2Bsigns-0123@{name}.private:{port}/defaultdb"
        end = Connection(f"{name}.private", port, "doadmin", PASSWORD, "defaultdb", uri)
        databases[name] = DatabaseNode(name, name, each.engine, "online", end, end, f"PEM of {name}\n")
    return Deployment("run-1", "vpc", "10.9.0.0/20", nodes, databases)


class Nothing:
    """What is asked for and never used."""

    def close(self) -> None:
        """As an access is closed."""


@pytest.fixture
def run_that_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run of the swarm's topology, which the API tells all of, and whose nodes have no IPVS."""
    chosen = settings.choose_new(settings.Settings(topology="swarm", state_dir=tmp_path / "state"))
    chosen.run_dir.create()
    settings.remember(chosen)
    (tmp_path / "state" / "emulator").mkdir()
    monkeypatch.setattr(settings, "resolve", lambda *_: Nothing())
    monkeypatch.setattr(provision, "observe", lambda _, topology, __: deployment(topology))
    monkeypatch.setattr(session, "open_access", lambda *_: Nothing())
    monkeypatch.setattr(deploy, "has_ipvs", lambda *_: False)
    return chosen.run


@pytest.mark.parametrize("arguments", [[], ["--topology=swarm"], ["--run=RUN"]])
def test_of_a_run_that_is_up_it_has_the_values(
    wavetank: Wavetank, run_that_is_up: str, arguments: list[str]
) -> None:
    """Without a word about what is to be made: ``up`` makes it. Its nodes are asked for what they can do."""
    code, out, err = wavetank(*(each.replace("RUN", run_that_is_up) for each in arguments), "-o", "json")
    document = json.loads(out)
    assert (code, document["run"]) == (0, run_that_is_up)
    server = services(document["stack"])["judge0-server"]
    assert server["environment"]["POSTGRES_HOST"] == "postgres.private"
    assert server["deploy"]["endpoint_mode"] == "dnsrr"
    assert "s3cret" not in out + err
    assert "docker secret create" not in err


@pytest.mark.parametrize("arguments", [["--topology=swarm-ha"], ["--topology=swarm", "--target=do"]])
def test_a_run_of_another_plan_or_target_is_not_meant(
    wavetank: Wavetank, run_that_is_up: str, arguments: list[str]
) -> None:
    """Then it is as without any."""
    code, out, _ = wavetank(*arguments, "-o", "json")
    assert (code, json.loads(out)["run"]) == (0, None)


def converted(topology: Topology) -> Stack:
    """The plan's own application, as the command converts it for a run that is up."""
    from harness.cli.stack import _convert

    return _convert(topology, deployment(topology), ipvs=False)


def test_the_plans_application_has_real_values_and_no_password() -> None:
    """Of a run that is up: what it knows is in the file, apart from what must not be seen."""
    stack = converted(load(topology_file("swarm")))
    server = stack.document["services"]["judge0-server"]
    assert server["environment"]["POSTGRES_HOST"] == "postgres.private"
    assert "s3cret" not in stack.text
    assert not any("s3cret" in str(note) for note in stack.notes)
    contents = b"".join(stack.secrets.values()).decode()
    assert f"POSTGRES_PASSWORD={PASSWORD}\n" in contents
    assert "MONGO_URL=mongodb://doadmin:s3cret%2Fwith%2Bsigns-0123@mongo.private" in contents


def test_the_plans_application_is_where_the_topology_says() -> None:
    """Names, placement, ports, certificates and capabilities."""
    document = converted(load(topology_file("swarm"))).document
    made = document["services"]
    assert list(made) == ["client", "runner-api", "judge0-lb", "judge0-server", "judge0-worker"]
    assert made["judge0-server"]["deploy"]["placement"]["constraints"] == [
        "node.labels.judge0-server == true",
        "node.role == worker",
    ]
    assert [each["published"] for each in made["client"]["ports"]] == [80, 443]
    assert made["judge0-worker"]["cap_add"] == ["SYS_ADMIN"]
    targets = {each["target"] for each in made["judge0-server"]["configs"]}
    assert {"/run/app/postgres-ca.pem", "/run/app/valkey-ca.pem"} <= targets
    assert document["networks"]["default"]["name"] == "editor-swarm-net"


def test_what_a_topology_adds_is_beside_the_applications_own() -> None:
    """No other service gets another name for it, and it takes the port that it publishes."""
    plans = load(topology_file("swarm"))
    assert plans.swarm is not None
    caddy = {
        "image": "caddy:2",
        "ports": ["8443:443"],
        "environment": {"RUN": "{{ nodes.runner.private_ip }}"},
    }
    services = tuple(
        replace(each, ports=(80, 443, 8443), changes=Changes(add={"caddy": caddy}))
        if each.name == "client"
        else each
        for each in plans.swarm.services
    )
    changed = replace(plans, swarm=replace(plans.swarm, services=services))
    made = converted(changed).document["services"]
    assert list(made)[:3] == ["client", "client-caddy", "runner-api"]
    assert [each["published"] for each in made["client"]["ports"]] == [80, 443]
    assert [each["published"] for each in made["client-caddy"]["ports"]] == [8443]
    assert made["client-caddy"]["environment"]["RUN"].startswith("10.9.0.")
    assert changed.swarm is not None
    assert list(owners(changed.swarm)) == list(made), "checks know it by the same name"


def test_converting_again_gives_the_same() -> None:
    """To the byte, or every ``up`` would be an update."""
    topology = load(topology_file("swarm"))
    one, other = converted(topology), converted(topology)
    assert one.text == other.text
    assert one.configs == other.configs
    assert one.secrets == other.secrets
