"""What Compose, as droplets have it, makes of the files that are written for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tank import Tank

from harness.compose import read
from harness.core.paths import PROJECT
from harness.deploy.bundle import OVERRIDE, make_bundle
from harness.deploy.engine import Image
from harness.topology.model import Service
from harness.topology.rendering import dotenv
from harness.topology.rendering.compose import strip_networks

pytestmark = pytest.mark.docker

CONFIG = """
import json, pathlib, subprocess, sys, tempfile
files, folder, options = json.loads(sys.argv[1])
with tempfile.TemporaryDirectory() as root:
    for name, text in files.items():
        path = pathlib.Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = ["docker", "compose", *options, "config", "--format", "json"]
    done = subprocess.run(command, cwd=pathlib.Path(root, folder), capture_output=True, text=True)
    print(done.stderr if done.returncode else done.stdout)  # it warns of variables that are not set
    sys.exit(done.returncode)
"""


def services(tank: Tank, files: Mapping[str, str], folder: str = ".", *options: str) -> dict[str, Any]:
    """The services that Compose reads in ``folder`` of these files."""
    code, output = tank.run(2, "python3", "-Ic", CONFIG, json.dumps([files, folder, options]))
    assert code == 0, output
    found: dict[str, Any] = json.loads(output)["services"]
    return found


def test_written_variables_arrive_as_they_are(tank: Tank) -> None:
    """Both as ``env_file`` and as the file that Compose fills variables from."""
    values = {
        "A": "p4$$w0rd $x",
        "B": "it's",
        "C": "a # b",
        "D": 'say "hi" \\o/',
        "E": "",
        "F": "x=y?a=b&c#d",
        "G": "${HOME} and $(HOME)",
        "H": "two\\\\ backslashes, \\n and \\t",
        "I": 'two\nlines "quoted"',
    }
    web = {"image": "x", "env_file": ".env", "labels": {key: f"${{{key}}}" for key in values}}
    files = {
        ".env": dotenv.merge("", values),
        "docker-compose.yml": json.dumps({"version": "3.7", "services": {"web": web}}),
    }
    read = services(tank, files)["web"]
    assert {key: value.replace("$$", "$") for key, value in read["environment"].items()} == values
    assert {key: value.replace("$$", "$") for key, value in read["labels"].items()} == values


@pytest.mark.parametrize("name", ["client", "runner", "judge0-lb", "judge0-server", "judge0-worker"])
def test_the_reference_applications_files_are_still_valid(tank: Tank, name: str) -> None:
    """Compose accepts what is left of them without their networks."""
    source = PROJECT / "topologies/app" / name / "docker-compose.yml"
    text = strip_networks(source.read_text(), file=source)
    assert "networks:" not in text
    found = services(tank, {f"{name}/docker-compose.yml": text, f"{name}/.env": ""}, name)
    assert found
    assert all(set(body["networks"]) == {"default"} for body in found.values())


@pytest.mark.parametrize("build", ["./src", "../shared", "{context: ../shared, dockerfile: web.Dockerfile}"])
def test_a_node_needs_no_build_context(tank: Tank, tmp_path: Path, build: str) -> None:
    """Compose takes what the node gets, also where services are built from one directory."""
    web = tmp_path / "app/web"
    for name in ("web/src/Dockerfile", "shared/Dockerfile", "shared/web.Dockerfile"):
        file = tmp_path / "app" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("FROM scratch\n")
    text, compose = f"services: {{web: {{build: {build}}}}}\n", web / "docker-compose.yml"
    compose.write_text(text)
    service = Service("web", ("n",), compose, (80,), {}, (), "")
    images = {"web": Image("wavetank-app/web:1", "sha256:aa")}
    made = make_bundle(service, "n", {"docker-compose.yml": text}, read(compose, text=text), images)
    files = {entry.name: entry.data.decode() for entry in made.entries}
    found = services(tank, files, ".", "-f", "docker-compose.yml", "-f", OVERRIDE)
    assert found["web"]["image"] == "wavetank-app/web:1"
