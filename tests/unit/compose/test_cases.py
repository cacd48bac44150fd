"""Small compose files as they are found in public, and the right answer to each.

Those that are about a swarm's stack are in tests/unit/stack/test_stack_cases.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.compose import ComposeProject, build_of, read
from harness.compose.networks import lost
from harness.core.errors import TopologyError
from harness.deploy.bundle import OVERRIDE, Bundle, make_bundle
from harness.deploy.engine import Image
from harness.topology.model import Service


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's directory."""
    return tmp_path


def project(app: Path, text: str, **environment: str) -> ComposeProject:
    """The compose file ``text``, with what `.env` holds."""
    env = {".env": "".join(f"{name}={value}\n" for name, value in environment.items())}
    return read(app / "docker-compose.yml", text=text, files=env if environment else {})


def bundled(app: Path, text: str) -> Bundle:
    """What goes to a node."""
    compose = app / "docker-compose.yml"
    service = Service("web", ("n",), compose, (), {}, (), "")
    found = project(app, text)
    return make_bundle(
        service, "n", {compose.name: text}, found, {name: Image("i", "") for name in found.started}
    )


def test_a_service_behind_a_profile_is_not_waited_for(app: Path) -> None:
    """Of `api` and `adminer`, one container is."""
    text = "services: {api: {image: a}, adminer: {image: b, profiles: [debug]}}"
    made = bundled(app, text)
    assert made.containers == 1
    (override,) = (each.data for each in made.entries if each.name == OVERRIDE)
    assert json.loads(override) == {"services": {"api": {}}}


def test_what_another_file_brings_by_extends_is_shipped(app: Path) -> None:
    """Image, variables and mounts of `base.yml`, and the file itself without its networks."""
    base = """\
services:
  base:
    image: b
    env_file: base.env
    volumes: ['./conf:/c']
    networks: [x]
"""
    (app / "base.yml").write_text(base)
    (app / "base.env").write_text("A=1\n")
    (app / "conf").mkdir()
    (app / "conf" / "c.conf").write_text("c\n")
    text = "services: {api: {extends: {file: base.yml, service: base}, ports: ['80:80']}}"
    found = {entry.name: entry.data for entry in bundled(app, text).entries}
    assert found["base.yml"].decode() == base.replace("    networks: [x]\n", "")
    assert found["base.env"] == b"A=1\n"
    assert found["conf/c.conf"] == b"c\n"
    api = project(app, text).services["api"]
    assert (api["image"], api["environment"]) == ("b", {"A": "1"})


def test_an_included_file_goes_along_without_networks(app: Path) -> None:
    """Its service is waited for, too."""
    (app / "db.yml").write_text("services:\n  db:\n    image: d\n    networks: [x]\nnetworks:\n  x: {}\n")
    made = bundled(app, "include: [db.yml]\nservices: {web: {image: w}}\n")
    assert made.containers == 2
    (shipped,) = (entry.data for entry in made.entries if entry.name == "db.yml")
    assert shipped == b"services:\n  db:\n    image: d\n"


def test_a_variable_that_must_be_set_is_set_by_the_applications_env(app: Path) -> None:
    """`.env` is read in one way everywhere."""
    text = "services: {j: {image: 'judge0/judge0:${TAG:?which}'}}"
    assert project(app, text, TAG="1.13.1").image("j") == "judge0/judge0:1.13.1"


def test_odd_names_of_variables_reach_the_container(app: Path) -> None:
    """With dots and dashes, and the first one behind a byte order mark."""
    (app / "a.env").write_text("\ufeffFIRST=1\ndiscovery.type=single-node\nX-TRACE=on\n")
    found = project(app, "services: {a: {image: x, env_file: a.env}}").services["a"]["environment"]
    assert found == {"FIRST": "1", "discovery.type": "single-node", "X-TRACE": "on"}


def test_a_number_sign_begins_a_comment_only_after_a_blank(app: Path) -> None:
    """A colour and a channel are values."""
    (app / "a.env").write_text("ROOM=#alerts\nCOLOUR=#1e90ff\nPLAIN=v#1 # c\n")
    found = project(app, "services: {a: {image: x, env_file: a.env}}").services["a"]["environment"]
    assert found == {"ROOM": "#alerts", "COLOUR": "#1e90ff", "PLAIN": "v#1"}


def test_a_mount_from_the_projects_directory_by_its_variable_is_shipped(app: Path) -> None:
    """`${PWD}` is where the compose file is."""
    (app / "nginx.conf").write_text("listen 80;\n")
    made = bundled(app, "services: {a: {image: x, volumes: ['${PWD}/nginx.conf:/etc/nginx/nginx.conf:ro']}}")
    assert "nginx.conf" in {entry.name for entry in made.entries}


BUILDS = """
services:
  a:
    build:
      context: .
      additional_contexts: {shared: ./shared, debian: "docker-image://debian:12"}
      secrets: [key]
      ssh: [default]
      extra_hosts: ["db:10.0.0.1"]
      labels: [team=shop]
      platforms: [linux/amd64]
      shm_size: 64m
      ulimits: {nofile: {soft: 5, hard: 6}}
      network: none
      cache_from: [x]
secrets: {key: {file: ./key.txt}}
"""


def test_every_key_of_a_build_has_its_effect(app: Path) -> None:
    """As options of `docker build`; how fast it is built is no matter."""
    (app / "Dockerfile").write_text("FROM scratch\n")
    (app / "shared").mkdir()
    (app / "key.txt").write_text("k")
    build = build_of(project(app, BUILDS), "a")
    assert build is not None
    assert build.network == "none"
    assert dict(build.contexts) == {"shared": str(app / "shared"), "debian": "docker-image://debian:12"}
    assert build.buildkit == ("--secret", f"id=key,src={app / 'key.txt'}", "--ssh", "default")
    assert build.options == (
        "--add-host", "db:10.0.0.1", "--label", "team=shop", "--platform", "linux/amd64",
        "--shm-size", "67108864", "--ulimit", "nofile=5:6",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("{context: ., privileged: true}", "services.a.build.privileged"),
        ("{context: ., platforms: [linux/amd64, linux/arm64]}", "services.a.build.platforms"),
        ("{context: ., additional_contexts: {x: ./none}}", "services.a.build.additional_contexts"),
        (
            "{context: ., additional_contexts: {x: 'https://example.com/a.git'}}",
            "services.a.build.additional_contexts",
        ),
        ("{context: ., secrets: [key]}", "services.a.build.secrets"),
        ("'https://example.com/team/web.git#main'", "services.a.build"),
    ],
)
def test_a_build_that_cannot_be_is_refused_by_name(app: Path, said: str, field: str) -> None:
    """With what to do instead; `key` is a secret without a file here."""
    (app / "Dockerfile").write_text("FROM scratch\n")
    text = f"services: {{a: {{build: {said}}}}}\nsecrets: {{key: {{file: ./none}}}}\n"
    with pytest.raises(TopologyError) as caught:
        build_of(project(app, text), "a")
    assert caught.value.field == field
    assert caught.value.remedy


def test_a_dockerfile_in_the_compose_file_is_built(app: Path) -> None:
    """It needs no file of that name."""
    build = build_of(
        project(app, "services: {a: {build: {context: ., dockerfile_inline: 'FROM alpine'}}}"), "a"
    )
    assert build is not None
    assert (build.context, build.inline) == (app, "FROM alpine")


def test_names_and_addresses_that_go_with_their_networks_are_told(app: Path) -> None:
    """Each with its place; a name that is the service's own stays."""
    text = """
    services:
      db: {image: d, networks: {back: {aliases: [database, db], ipv4_address: 172.28.0.10}}}
      api: {image: a, networks: [back]}
    networks: {back: {internal: true, ipam: {config: [{subnet: 172.28.0.0/24}]}}}
    """
    told = list(lost(project(app, text)))
    assert "services.db.networks.back.aliases: the name database leads nowhere" in told[0]
    assert "services.db.networks.back.ipv4_address: it has not the address 172.28.0.10" in told[1]
    assert [each.partition(": ")[0] for each in told[2:]] == [
        "services.db.networks.back",
        "services.api.networks.back",
    ]
    assert not list(lost(project(app, "services: {a: {image: a, networks: [x]}}\nnetworks: {x: {}}")))


@pytest.mark.parametrize(
    ("written", "value"), [("${A:-${B:-${C:-d}}}/z", "d/z"), ("${A:-${SET:+${SET}}}", "1")]
)
def test_braces_within_braces_are_matched(app: Path, written: str, value: str) -> None:
    """However deep."""
    found = project(app, f"services: {{a: {{image: x, labels: {{l: '{written}'}}}}}}", SET="1")
    assert found.services["a"]["labels"] == {"l": value}
