"""What is gathered for one service on one node."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from harness.compose import read
from harness.core.errors import TopologyError
from harness.deploy.bundle import OVERRIDE, Bundle, make_bundle
from harness.deploy.engine import Image
from harness.topology.model import Service

COMPOSE = """\
version: "3.8"
services:
  web: {build: ./src, env_file: .env, volumes: ["./conf:/conf:ro", "./later:/later"]}
  side: {image: "redis:7"}
"""
IMAGES = {"web": Image("wavetank-app/web:1", "sha256:aa"), "side": Image("redis:7", "")}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The user's directory of the service."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "src" / "main.c").write_text("source\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.conf").write_text("a\n")
    (tmp_path / "conf" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "conf" / "run.sh").chmod(0o755)
    (tmp_path / "conf" / "link").symlink_to("a.conf")
    (tmp_path / "docker-compose.yml").write_text("the user's own, with networks\n")
    return tmp_path


def bundle(app: Path, text: str = COMPOSE, images: dict[str, Image] = IMAGES, **rendered: str) -> Bundle:
    """The bundle of service ``web`` on node ``n``."""
    compose = app / "docker-compose.yml"
    service = Service("web", ("n",), compose, (80,), {}, (), "")
    files = {"docker-compose.yml": text, ".env": "PASSWORD=secret\n", **rendered}
    project = read(
        compose, text=text, files={name: each for name, each in files.items() if name != compose.name}
    )
    return make_bundle(service, "n", files, project, images)


def members(made: Bundle) -> dict[str, tarfile.TarInfo]:
    """The tar's members by name."""
    with tarfile.open(fileobj=io.BytesIO(made.tar())) as archive:
        return {member.name: member for member in archive.getmembers()}


def test_holds_compose_files_rendered_files_and_mounts(app: Path) -> None:
    """But not what images are built from."""
    found = members(bundle(app))
    assert set(found) == {
        ".env", OVERRIDE, "docker-compose.yml", "conf", "conf/a.conf", "conf/link", "conf/run.sh",
    }  # fmt: skip


def test_env_is_private_and_modes_and_links_stay(app: Path) -> None:
    """Containers that are not root must read the rest."""
    found = members(bundle(app))
    assert found[".env"].mode == 0o600
    assert found["docker-compose.yml"].mode == 0o644
    assert found["conf/run.sh"].mode == 0o755
    assert found["conf/link"].linkname == "a.conf"


def test_second_compose_file_names_built_images_only(app: Path) -> None:
    """Nothing is built on a node."""
    entry = next(entry for entry in bundle(app).entries if entry.name == OVERRIDE)
    assert json.loads(entry.data) == {"services": {"web": {"image": "wavetank-app/web:1"}}}


def test_what_does_not_start_is_neither_waited_for_nor_shipped(app: Path) -> None:
    """It is behind a profile: no container, no image and none of its files."""
    debug = "{build: ./src, profiles: [debug], volumes: ['./conf:/conf'], env_file: debug.env}"
    made = bundle(app, f"services: {{web: {{image: x}}, debug: {debug}}}", {"web": Image("x", "")})
    assert made.containers == 1
    found = {entry.name: entry.data for entry in made.entries}
    assert set(found) == {".env", OVERRIDE, "docker-compose.yml"}
    assert json.loads(found[OVERRIDE]) == {"services": {"web": {}}}


def test_a_service_of_which_none_is_wanted_is_not_waited_for(app: Path) -> None:
    """`scale: 0` starts none."""
    text = "services: {web: {image: x}, a: {image: a, scale: 0}, b: {image: b, deploy: {replicas: 0}}}"
    assert bundle(app, text, {}).containers == 1


def test_rendered_file_takes_the_place_of_the_users(app: Path) -> None:
    """Even inside a mounted directory."""
    made = bundle(app, **{"conf/a.conf": "rendered\n"})
    assert next(entry.data for entry in made.entries if entry.name == "conf/a.conf") == b"rendered\n"


def test_whole_directory_can_be_mounted(app: Path) -> None:
    """`.` is all there is beside the compose file, and the rendered compose file stands."""
    made = bundle(app, "services: {web: {image: x, volumes: ['.:/app']}}", {"web": Image("x", "")})
    assert {"src/main.c", "conf/a.conf"} <= {entry.name for entry in made.entries}
    assert b"networks" not in next(e.data for e in made.entries if e.name == "docker-compose.yml")


def test_mount_from_outside_is_refused(app: Path) -> None:
    """It would have no place on the node."""
    with pytest.raises(TopologyError, match=r"\.\./shared lies outside"):
        bundle(app, "services: {web: {image: x, volumes: ['../shared:/x']}}", {"web": Image("x", "")})


def test_hash_is_of_content_not_of_time(app: Path) -> None:
    """A fresh checkout changes nothing."""
    before = bundle(app).digest
    (app / "conf" / "a.conf").touch()
    assert bundle(app).digest == before


@pytest.mark.parametrize("change", ["content", "mode", "image", "env"])
def test_hash_changes_with_what_matters(app: Path, change: str) -> None:
    """Anything that would run differently."""
    before = bundle(app).digest
    images, rendered = dict(IMAGES), {}
    if change == "content":
        (app / "conf" / "a.conf").write_text("b\n")
    elif change == "mode":
        (app / "conf" / "a.conf").chmod(0o600)
    elif change == "image":
        images["web"] = Image("wavetank-app/web:1", "sha256:bb")
    else:
        rendered[".env"] = "PASSWORD=other\n"
    assert bundle(app, images=images, **rendered).digest != before


def test_override_has_a_service_also_where_nothing_is_built(app: Path) -> None:
    """Compose 1.29 takes one without version and services for a file of another version."""
    made = bundle(app, "services: {side: {image: 'redis:7'}}\n", {"side": IMAGES["side"]})
    text = next(each.data for each in made.entries if each.name == OVERRIDE)
    assert json.loads(text) == {"services": {"side": {}}}
