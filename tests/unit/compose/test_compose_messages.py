"""What Compose prints about a wrong file, as errors of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compose import ComposeProject, build_of
from harness.compose.messages import translate

FILE = Path("/app/docker-compose.yml")
VALIDATING = f"validating {FILE}: "
TEXT = """\
services:
  web:
    image: w
    ports: ["eighty:80"]
    env_file: some.env
    volumes_from: [db]
    healthcheck: {test: [probe]}
"""


@pytest.mark.parametrize(
    ("said", "place", "line", "problem"),
    [
        (VALIDATING + "services.web.user must be a string", "services.web.user", None, "must"),
        (VALIDATING + "services.web.ports.0 must be a number", "services.web.ports", None, "must"),
        (
            VALIDATING + "services.web Additional property colour is not allowed",
            "services.web.colour", None, "colour is not allowed",
        ),
        (
            VALIDATING + "(root) Additional property modles is not allowed",
            "modles", None, "modles is not allowed",
        ),
        (
            "decoding failed due to the following error(s):\n\n"
            "error decoding 'services[web].shm_size': invalid size: 'big'",
            "services.web.shm_size", None, "invalid size",
        ),
        (
            'service "web" refers to undefined volume data: invalid compose project',
            "services.web.volumes", None, "undefined volume data",
        ),
        (
            'service "web" depends on undefined service "db": invalid compose project',
            "services.web.volumes_from", 6, "undefined service",
        ),
        (
            'cannot extend service "web" in /app/docker-compose.yml: service "x" not found',
            "services.web.extends", None, "cannot extend",
        ),
        (
            "env file /app/some.env not found: stat /app/some.env: no such file or directory",
            "services.web.env_file", 5, "there is no /app/some.env",
        ),
        ("Invalid hostPort: eighty", "services.web.ports", 4, "Invalid hostPort"),
        ('healthcheck.test must start by "CMD"', "services.web.healthcheck.test", 7, "must"),
        ("yaml: line 3: did not find expected key", "", 3, "did not find"),
        ("json: error calling MarshalJSON for type types.SSHKey: x", "build.ssh", None, "SSHKey"),
        ("", "", None, "does not say why"),
    ],
)  # fmt: skip
def test_an_error_has_its_place(said: str, place: str, line: int | None, problem: str) -> None:
    """Field, line where it can be known, and a remedy; without warnings that stand before it."""
    error = translate(f'time="now" level=warning msg="not this"\n{said}\n', TEXT, FILE)
    assert (error.field, error.line) == (place, line)
    assert problem in error.problem
    assert "not this" not in str(error)
    assert error.remedy


def test_an_error_of_another_file_names_that() -> None:
    """The one that is extended, or included."""
    error = translate("validating /app/base.yml: services.b.user must be a string", TEXT, FILE)
    assert (error.file, error.field) == ("/app/base.yml", "services.b.user")


def test_keys_for_ssh_lie_beside_the_compose_file(tmp_path: Path) -> None:
    """As newer Composes show them."""
    (tmp_path / "Dockerfile").touch()
    body = {"build": {"context": ".", "ssh": ["default", "deploy=./id"]}}
    project = ComposeProject(tmp_path / "docker-compose.yml", {}, {"web": body}, ("web",))
    build = build_of(project, "web")
    assert build is not None
    assert build.buildkit == ("--ssh", "default", "--ssh", f"deploy={tmp_path / 'id'}")
