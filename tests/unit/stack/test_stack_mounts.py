"""Mounts: no node has a directory of yours, so its files come as configs or secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stack_helpers import (
    PASSWORD,
    a_service,
    a_source,
    a_topology,
    compose,
    converted,
    notes_of,
    refusal,
    web,
)

from harness.stack import convert
from harness.stack.objects import LIMIT, object_name

KEY = "-----BEGIN PRIVATE KEY-----\nMIIabc==\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An application's directory."""
    (tmp_path / "docker-compose.yml").touch()
    (tmp_path / "app.conf").write_text("a = b\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "pages").mkdir()
    return tmp_path


def mounted(lines: str, app: Path, **more: Any) -> tuple[dict[str, Any], Any]:
    """The service of a compose file in that directory."""
    return web(lines, a_service(compose=app / "docker-compose.yml"), **more)


def test_of_ones_own_directory_what_the_topology_renders_is_there(app: Path) -> None:
    """At the places where it would have been; the note names what is not."""
    files = {"nginx.conf": "listen 80;", "ca.pem": "PEM"}
    body, stack = mounted("volumes: ['./:/run/app:ro']", app, files=files)
    assert [each["target"] for each in body["configs"]] == ["/run/app/nginx.conf", "/run/app/ca.pem"]
    assert "volumes" not in body
    contents = {each["target"]: stack.configs[each["source"]] for each in body["configs"]}
    assert contents["/run/app/nginx.conf"] == b"listen 80;"
    (note,) = notes_of(stack, "volumes")
    assert "app.conf, pages, run.sh will not be at /run/app" in note
    assert "there will be ca.pem, nginx.conf" in note


def test_a_directory_to_write_to_is_told_to_be_none(app: Path) -> None:
    """What the program writes there does not come back."""
    _, stack = mounted("volumes: ['.:/run/app']", app)
    assert any("does not come back" in each for each in notes_of(stack, "volumes"))


def test_a_single_file_is_a_config_with_its_mode(app: Path) -> None:
    """A script stays one that can be executed."""
    body, stack = mounted("volumes: [./app.conf:/etc/app.conf:ro, ./run.sh:/run.sh:ro]", app)
    conf, script = body["configs"]
    assert "mode" not in conf  # 0444 is what Docker takes by itself
    assert script["mode"] == 0o555
    assert stack.configs[conf["source"]] == b"a = b\n"
    assert conf["source"].startswith("app_web-app.conf-")
    assert stack.document["configs"] == {name: {"external": True} for name in sorted(stack.configs)}


def test_what_the_topology_renders_wins_over_what_lies_there(app: Path) -> None:
    """As it does where compose files are deployed as they are."""
    _, stack = mounted("volumes: [./app.conf:/etc/app.conf:ro]", app, files={"app.conf": "rendered"})
    assert list(stack.configs.values()) == [b"rendered"]


@pytest.mark.parametrize("content", [KEY, f"login: {PASSWORD}\n", "API_TOKEN=abc\n"])
def test_a_file_that_must_not_be_seen_is_a_secret(app: Path, content: str) -> None:
    """Private keys, known passwords, and files of variables that say so; where it would have been."""
    (app / "app.conf").write_text(content)
    body, stack = mounted(
        "volumes: [./app.conf:/etc/app.conf:ro]", app, environment={"DB_PASSWORD": PASSWORD}
    )
    assert stack.configs == {}
    (reference,) = body["secrets"]
    assert reference["target"] == "/etc/app.conf"
    assert stack.secrets[reference["source"]] == content.encode()


def test_the_env_file_itself_is_what_the_topology_makes_of_it(app: Path) -> None:
    """Mounted as a file it has the deployment's values, and being full of passwords it is a secret."""
    (app / ".env").write_text("DB_PASSWORD=old\n")
    _, stack = mounted("volumes: ['./.env:/app/.env:ro']", app, environment={"DB_PASSWORD": PASSWORD})
    assert list(stack.secrets.values()) == [f"DB_PASSWORD={PASSWORD}\n".encode()]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("./pages", "copy it into the image"),
        ("./none", "have the topology render it"),
        ("~/x", "absolute path"),
    ],
)
def test_what_no_node_has_is_refused(app: Path, source: str, says: str) -> None:
    """A directory, a file that is not there, somebody's home: each with what to do."""
    service = a_service(compose=app / "docker-compose.yml")
    error = refusal(compose(f"volumes: ['{source}:/there:ro']"), service)
    assert error.field == "services.web.volumes"
    assert says in error.remedy


@pytest.mark.parametrize(("size", "says"), [(LIMIT, "500 kB"), (0, "empty")])
def test_what_a_swarm_cannot_hold_is_refused(app: Path, size: int, says: str) -> None:
    """Too much, and nothing at all."""
    (app / "app.conf").write_bytes(b"x" * size)
    service = a_service(compose=app / "docker-compose.yml")
    assert says in str(refusal(compose("volumes: [./app.conf:/etc/app.conf]"), service))


def test_paths_of_the_node_stay_with_a_note() -> None:
    """A swarm does not make them, so every node must have them."""
    lines = (
        "volumes: ['/sys/fs/cgroup:/sys/fs/cgroup:rw', {type: bind, source: /a, target: /b, read_only: true}]"
    )
    body, stack = web(lines)
    assert body["volumes"] == [
        {"type": "bind", "source": "/sys/fs/cgroup", "target": "/sys/fs/cgroup"},
        {"type": "bind", "source": "/a", "target": "/b", "read_only": True},
    ]
    assert "on every node it may run on: one, two" in notes_of(stack, "volumes")[0]


def test_named_volumes_are_the_services_own() -> None:
    """Two files may both have a ``data``; each node has its own, and the note says so."""
    text = "volumes: {data: {driver: local, labels: {a: b}}}\n"
    first = a_source(text + compose("volumes: [data:/data]"))
    second = a_source(f"{text}services: {{api: {{image: a, volumes: ['data:/d']}}}}", a_service("api"))
    sources = [first, second]
    stack = convert(a_topology(*(each.service for each in sources)), sources, ipvs=False)
    wanted = {"driver": "local", "labels": {"a": "b"}}
    assert stack.document["volumes"] == {"web_data": wanted, "api_data": wanted}
    body = stack.document["services"]["web"]
    assert body["volumes"] == [{"type": "volume", "source": "web_data", "target": "/data"}]
    assert "finds an empty one" in notes_of(stack, "volumes")[0]
    assert body["deploy"]["update_config"]["order"] == "stop-first"
    assert "same volume" in notes_of(stack, "deploy.update_config.order")[0]


@pytest.mark.parametrize(
    "said", ["{external: true}", "{external: {name: data}}", "{external: true, name: data}"]
)
def test_an_external_volume_keeps_its_name(said: str) -> None:
    """It is there already."""
    stack = converted(f"volumes: {{data: {said}}}\n" + compose("volumes: ['data:/data:nocopy']"))
    assert stack.document["volumes"] == {"web_data": {"external": True, "name": "data"}}
    (mount,) = stack.document["services"]["web"]["volumes"]
    assert mount["volume"] == {"nocopy": True}


def test_a_volume_without_a_name_stays_one() -> None:
    """Docker makes it for each task."""
    body, _ = web("volumes: [/cache]")
    assert body["volumes"] == [{"type": "volume", "target": "/cache"}]


def test_memory_is_mounted() -> None:
    """Stacks ignore ``tmpfs:`` and ``shm_size:``, but mount memory like anything else."""
    lines = """\
tmpfs: [/run, '/tmp:size=64m,mode=1777']
shm_size: 128mb
volumes: [{type: tmpfs, target: /x, tmpfs: {size: 1024}}]
"""
    body, stack = web(lines)
    assert body["volumes"] == [
        {"type": "tmpfs", "target": "/x", "tmpfs": {"size": 1024}},
        {"type": "tmpfs", "target": "/run"},
        {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 64 << 20}},
        {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 128 << 20}},
    ]
    assert "mode of /tmp" in notes_of(stack, "tmpfs")[0]
    assert "tmpfs" not in body
    assert "shm_size" not in body


@pytest.mark.parametrize(
    ("said", "unsupported"),
    [
        ("/a:/b:z", "z"),
        ("{type: bind, source: /a, target: /b, bind: {recursive: disabled}}", "bind.recursive"),
        ("{type: volume, target: /b, volume: {subpath: x}}", "volume.subpath"),
    ],
)
def test_what_a_mount_loses_is_told(said: str, unsupported: str) -> None:
    """Labels of SELinux, and what came after version 3.8."""
    quoted = said if said.startswith("{") else f"'{said}'"
    _, stack = web(f"volumes: [{quoted}]")
    assert any(f"{unsupported} of the mount at /b" in each for each in notes_of(stack, "volumes"))


def test_bind_propagation_stays() -> None:
    """Stacks have it."""
    body, _ = web("volumes: ['/a:/b:ro,rslave']")
    wanted = {
        "type": "bind",
        "source": "/a",
        "target": "/b",
        "read_only": True,
        "bind": {"propagation": "rslave"},
    }
    assert body["volumes"] == [wanted]


@pytest.mark.parametrize(
    "said", ["{type: npipe, source: a, target: b}", "{type: bind, source: /a}", "'a:b:c:d'", "'data:/data'"]
)
def test_what_is_no_mount_is_refused(said: str) -> None:
    """Kinds that stacks do not have, no target, and a volume that is not declared."""
    assert refusal(compose(f"volumes: [{said}]")).field.startswith("services.web.volumes")


def test_names_of_objects_are_such_as_docker_takes() -> None:
    """64 characters at the most, and the end of a long one still tells contents and names apart."""
    long = object_name("s" * 30, "t" * 30, "some/very long name.conf", b"x")
    assert len(long) <= 64
    assert long != object_name("s" * 30, "t" * 30, "some/very long name.txt", b"x")
    assert object_name("app", "web", "a/b c.conf", b"x").startswith("app_web-a-b-c.conf-")


def test_declared_configs_and_secrets_are_read_here(app: Path) -> None:
    """From a file, from the environment or from the text itself; the short form has Docker's own targets."""
    text = """\
configs:
  conf: {file: ./app.conf}
  said: {content: "user ${WHO}"}
  theirs: {external: true, name: outer}
secrets:
  key: {environment: DB_PASSWORD}
services:
  web:
    image: w
    configs:
      - conf
      - {source: said, target: /etc/said, uid: "103", mode: 0440}
      - {source: theirs, target: /etc/theirs}
    secrets: [key]
"""
    environment = {"DB_PASSWORD": PASSWORD, "WHO": "me"}
    service = a_service(compose=app / "docker-compose.yml")
    stack = converted(text, service, environment=environment)
    body = stack.document["services"]["web"]
    assert [each["target"] for each in body["configs"]] == ["/conf", "/etc/said", "/etc/theirs"]
    said = body["configs"][1]
    assert (said["uid"], said["mode"]) == ("103", 0o440)
    assert stack.configs[said["source"]] == b"user me"
    assert body["configs"][2]["source"] == "outer"
    assert stack.document["configs"]["outer"] == {"external": True}
    assert "outer" not in stack.configs
    (key,) = body["secrets"]
    assert key["target"] == "key"
    assert stack.secrets[key["source"]] == PASSWORD.encode()


@pytest.mark.parametrize("password", [PASSWORD, "abc"])
def test_a_declared_config_with_a_password_is_a_secret(password: str) -> None:
    """Whoever may look at the swarm sees configs."""
    text = "configs: {c: {content: 'login ${DB_PASSWORD}'}}\n" + compose("configs: [c]")
    stack = converted(text, environment={"DB_PASSWORD": password})
    assert list(stack.secrets.values()) == [f"login {password}".encode()]
    assert stack.document["services"]["web"]["secrets"][0]["target"] == "/c"


@pytest.mark.parametrize(
    ("top", "lines"),
    [
        ("", "configs: [none]"),
        ("configs: {c: {file: ./none}}\n", "configs: [c]"),
        ("secrets: {c: {environment: NOBODY}}\n", "secrets: [c]"),
        ("secrets: {c: {}}\n", "secrets: [c]"),
        ("configs: {c: {template_driver: golang, content: x}}\n", "configs: [c]"),
        ("configs: {c: {content: x}}\n", "configs: [{source: c, mode: rw}]"),
        ("configs: {c: {content: x}}\n", "configs: [{target: /c}]"),
    ],
)
def test_a_declared_object_without_content_is_refused(top: str, lines: str) -> None:
    """Undeclared, or with nothing in it, or with keys that would be lost."""
    kind = lines.partition(":")[0]
    assert refusal(top + compose(lines)).field.startswith((f"services.web.{kind}", f"{kind}.c"))
