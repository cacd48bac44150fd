"""Small compose files as they are found in public, and what is right of each as a stack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stack_helpers import ID, a_service, a_source, a_topology, compose, converted, notes_of, refusal, web

from harness.compose import read
from harness.core.errors import TopologyError, TopologyErrors
from harness.deploy.engine import Image
from harness.stack import convert, preview
from harness.stack.check import check
from harness.topology.model import Topology
from harness.verify.swarm.discovery import listening


def topology_of(app: Path, text: str, **more: Any) -> Topology:
    """A topology with one service, whose compose file is in ``app``."""
    file = app / "web" / "docker-compose.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return replace(a_topology(a_service(compose=file, **more)), app=app)


def checked(topology: Topology) -> None:
    """Look at the stack as `up` and `up --dry-run` do, before anything is made."""
    assert topology.swarm is not None
    services = topology.swarm.services
    check(topology, {each.name: read(each.compose, root=topology.app) for each in services})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (compose("privileged: true"), "ignores `privileged: true`"),
        (compose("volumes: ['./pages:/pages']"), "is a directory"),
        (compose("volumes: ['../shared/j.conf:/j.conf']"), r"there is no .*/shared/j\.conf"),
        (compose("env_file: judge0.conf"), r"there is no .*judge0\.conf"),
        ("configs: {c: {file: ./c.txt}}\n" + compose("configs: [c]"), r"c\.txt, and that is not there"),
    ],
)
def test_what_no_stack_can_carry_is_refused_before_anything_is_made(
    tmp_path: Path, text: str, problem: str
) -> None:
    """It can be known without a deployment."""
    (tmp_path / "web" / "pages").mkdir(parents=True)
    with pytest.raises(TopologyError, match=problem):
        checked(topology_of(tmp_path, text))


def test_of_several_services_each_is_told(tmp_path: Path) -> None:
    """All at once, so that nobody has to try again and again."""
    topology = topology_of(tmp_path, compose("privileged: true"))
    assert topology.swarm is not None
    (one,) = topology.swarm.services
    two = (one, replace(one, name="other"))
    with pytest.raises(TopologyErrors) as caught:
        checked(replace(topology, swarm=replace(topology.swarm, services=two)))
    assert len(caught.value.errors) == 2


def test_a_stack_that_can_be_is_not_refused(tmp_path: Path) -> None:
    """Its images need not be here."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "j.conf").write_text("a = b\n")
    checked(topology_of(tmp_path, compose("volumes: ['../shared/j.conf:/j.conf:ro']\nrestart: always")))


def test_odd_names_and_values_of_variables_reach_the_stack(tmp_path: Path) -> None:
    """As they reach a container of compose."""
    text = "\ufeffFIRST=1\ndiscovery.type=single-node\nX-TRACE=on\nROOM=#alerts\nPLAIN=v#1 # c\n"
    (tmp_path / "a.env").write_text(text)
    body, _ = web("env_file: a.env", a_service(compose=tmp_path / "docker-compose.yml"))
    assert body["environment"] == {
        "FIRST": "1", "discovery.type": "single-node", "X-TRACE": "on", "ROOM": "#alerts", "PLAIN": "v#1",
    }  # fmt: skip


def test_a_service_that_is_to_end_is_refused() -> None:
    """A swarm would run it again every second."""
    waits = "depends_on: {migrate: {condition: service_completed_successfully}}"
    error = refusal(compose(waits) + "  migrate: {image: m}\n")
    assert error.field == "services.web.depends_on"
    assert "migrate" in error.remedy


def test_a_service_without_a_restart_policy_is_told_to_have_one() -> None:
    """Compose would leave it alone."""
    body, stack = web("")
    assert body["deploy"]["restart_policy"]["condition"] == "any"
    assert "a swarm starts it again" in notes_of(stack, "restart")[0]
    for said in ("restart: always", "deploy: {restart_policy: {condition: any}}"):
        assert notes_of(web(said)[1], "restart") == []


def test_a_mount_from_the_projects_directory_by_its_variable_is_a_config(tmp_path: Path) -> None:
    """Not a path of the node."""
    (tmp_path / "nginx.conf").write_text("listen 80;\n")
    service = a_service(compose=tmp_path / "docker-compose.yml")
    body, stack = web("volumes: ['${PWD}/nginx.conf:/etc/nginx/nginx.conf:ro']", service)
    assert [each["target"] for each in body["configs"]] == ["/etc/nginx/nginx.conf"]
    assert list(stack.configs.values()) == [b"listen 80;\n"]


def test_what_other_files_bring_is_in_the_stack(tmp_path: Path) -> None:
    """By extends and by include."""
    (tmp_path / "base.yml").write_text("services: {base: {image: b, environment: {A: '1'}}}")
    (tmp_path / "db.yml").write_text("services: {db: {image: d}}")
    text = "include: [db.yml]\nservices: {web: {extends: {file: base.yml, service: base}}}\n"
    service = a_service(compose=tmp_path / "docker-compose.yml")
    source = a_source(text, service)
    known = replace(source, images={name: Image(name, ID) for name in ("web", "db")})
    made = convert(a_topology(service), [known], ipvs=False).document["services"]
    assert made["web"]["environment"] == {"A": "1"}
    assert "web-db" in made


def test_a_password_that_is_also_a_name_hides_nothing() -> None:
    """`postgres` is a user, an image and a host; a note calls it weak."""
    text = """
services:
  web: {image: w}
  db:
    image: 'postgres:16'
    environment: {POSTGRES_USER: postgres, POSTGRES_PASSWORD: postgres}
"""
    stack = converted(text)
    body = stack.document["services"]["web-db"]
    assert body["deploy"]["labels"]["wavetank.image"].startswith("wavetank-app/")
    assert body["environment"] == {"POSTGRES_USER": "postgres"}
    assert any("POSTGRES_PASSWORD" in note.where and "guess" in note.what for note in stack.notes)


def test_a_password_that_is_no_name_is_still_looked_for() -> None:
    """Also where a name is a part of it."""
    lines = "environment: {DB_USER: hunter, DB_PASSWORD: hunter2222}\ncommand: [run, hunter2222]"
    assert refusal(compose(lines)).field.startswith("services.web.command")


@pytest.mark.parametrize(
    ("constraint", "problem"),
    [
        ("node.role == manager", "no droplet can take a task of it"),
        ("node.rule == worker", "Docker knows no 'node.rule'"),
        ("worker", "is not a constraint"),
    ],
)
def test_a_constraint_of_the_compose_file_that_no_droplet_meets_is_refused(
    constraint: str, problem: str
) -> None:
    """As the topology's own would be; the task would be pending for ever."""
    error = refusal(compose(f"deploy: {{placement: {{constraints: ['{constraint}']}}}}"))
    assert problem in error.problem
    assert error.field == "services.web.deploy.placement.constraints"


def test_a_constraint_that_a_droplet_meets_is_kept() -> None:
    """After the topology's own."""
    body, _ = web("deploy: {placement: {constraints: ['node.role == worker']}}")
    assert body["deploy"]["placement"]["constraints"] == ["node.labels.web == true", "node.role == worker"]


def test_a_wall_that_goes_with_its_network_is_told() -> None:
    """`internal: true` is no matter to the stack's one network."""
    stack = converted("networks: {back: {internal: true}}\n" + compose("networks: [back]"))
    assert any("internal: true" in each for each in notes_of(stack, "networks.back"))


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        ("env_file: .env", "${WEB_WEB_PROGRAM}"),
        ("env_file: .env\ncommand: [run, 'a b']", "${WEB_WEB_ENTRYPOINT} run 'a b'"),
    ],
)
def test_a_program_to_be_filled_in_may_be_several_words(lines: str, command: str) -> None:
    """So it is a part of a text, which Docker splits, and not an item of a list."""
    source = a_source(compose(lines), environment={"DB_PASSWORD": "abc"}, known=False)
    stack = convert(a_topology(source.service), [preview.with_programs(source)], ipvs=False)
    assert stack.document["services"]["web"]["command"] == command


def test_hosts_with_several_addresses_are_kept() -> None:
    """Also such as are longer."""
    body, _ = web("extra_hosts: {db: [10.0.0.1, 10.0.0.2], six: '::1'}")
    assert sorted(body["extra_hosts"]) == ["db:10.0.0.1", "db:10.0.0.2", "six:::1"]


def test_an_empty_command_takes_the_images_away() -> None:
    """Its entry point alone does that in a stack; unknown, it is refused."""
    body, _ = web("command: []")
    assert body["entrypoint"] == ["/entry"]
    assert "command" not in body
    assert refusal(compose("command: []"), known=False).field == "services.web.command"
    wrapped, _ = web("command: []\nenv_file: .env", environment={"DB_PASSWORD": "abc"})
    assert wrapped["command"] == ["/entry"]


def test_a_template_of_a_config_is_refused_by_name() -> None:
    """A stack would not expand it."""
    error = refusal("configs: {c: {template_driver: golang, file: ./c}}\n" + compose("configs: [c]"))
    assert "template_driver" in str(error)


def test_every_form_of_a_port_is_found_by_the_check_of_a_swarms_ports(tmp_path: Path) -> None:
    """A default, a range, an address of version 6, and the long form; UDP is not asked."""
    ports = "['${P:-4000}:4000', '8000-8001:90-91', '[::1]:81:81', {target: 5, published: 6}, '53:53/udp']"
    topology = topology_of(tmp_path, compose(f"ports: {ports}"))
    assert topology.swarm is not None
    assert listening(topology.swarm) == {"web": (5, 81, 90, 91, 4000)}
