"""Which program reads compose files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.compose import binary
from harness.core.errors import CommandError, MissingProgramError
from harness.core.paths import PROJECT


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without any Compose, whose home, cache and path are in here."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(binary, "PLUGINS", (str(tmp_path / "plugins"),))
    binary.find.cache_clear()
    yield tmp_path
    binary.find.cache_clear()


def installed(path: Path, version: str) -> Path:
    """A program that says that it is Compose of this version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(print({version!r}))\n")
    path.chmod(0o755)
    return path


def test_the_machines_own_plugin_reads(machine: Path) -> None:
    """The user's own before the system's; neither engine nor docker command is asked."""
    system = installed(machine / "plugins/docker-compose", "v2.29.1")
    assert binary.find() == system
    binary.find.cache_clear()
    users = installed(machine / "docker/cli-plugins/docker-compose", "2.24.0-desktop.1")
    assert binary.find() == users


def test_a_plugin_that_is_too_old_does_not_read(machine: Path) -> None:
    """It lacks forms of the specification; the one in the cache has them."""
    installed(machine / "plugins/docker-compose", "2.23.3")
    kept = installed(machine / "cache/wavetank/compose/docker-compose-2.26.1-4", "2.26.1-4")
    assert binary.find() == kept


def test_of_several_in_the_cache_the_newest_reads(machine: Path) -> None:
    """By number, not by letter."""
    for version in ("2.9.0", "2.40.3", "2.26.1"):
        installed(machine / f"cache/wavetank/compose/docker-compose-{version}", version)
    assert binary.find().name == "docker-compose-2.40.3"


def test_a_program_of_its_own_reads_if_it_is_of_version_2(machine: Path) -> None:
    """Version 1 is another program."""
    installed(machine / "bin/docker-compose", "1.29.2")
    with pytest.raises(MissingProgramError):
        binary.find()
    standalone = installed(machine / "bin/docker-compose", "2.30.0")
    assert binary.find() == standalone


def test_without_any_the_error_says_what_to_do(machine: Path) -> None:
    """How it comes here."""
    with pytest.raises(MissingProgramError, match=r"docker compose 2\.24 or later") as caught:
        binary.find()
    assert "wavetank setup" in caught.value.remedy


@pytest.mark.parametrize("body", ["", "exit 3", "echo none"])
def test_what_is_no_compose_is_passed_over(machine: Path, body: str) -> None:
    """A file that does not run, fails, or prints something else."""
    path = machine / "plugins/docker-compose"
    path.parent.mkdir()
    path.write_text(f"#!/none\n{body}" if not body else f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    assert binary.version_of(path) is None
    with pytest.raises(MissingProgramError):
        binary.find()


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.26.1-4\n", (2, 26, 1)), ("v2.24.0", (2, 24, 0)), ("2.40", (2, 40, 0)), ("Docker", None), ("", None)],
)
def test_versions_are_read(text: str, version: tuple[int, int, int] | None) -> None:
    """As Debian, Docker and Docker Desktop write them."""
    assert binary.parse_version(text) == version


def test_where_there_is_one_nothing_is_taken_out_of_an_image(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process is started for it but the program itself."""
    found = installed(machine / "plugins/docker-compose", "2.26.0")
    monkeypatch.setattr(binary, "_extract", lambda _: pytest.fail("an image was asked for"))
    assert binary.ensure() == found


def test_where_there_is_none_it_is_taken_out_of_the_droplets_image(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the emulator, as a process; then it is in the cache, and is found."""
    package = machine / "package"
    package.mkdir()
    (package / "extracting.py").write_text(
        "import pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1], 'docker-compose-2.26.1')\n"
        f"path.write_text('#!{sys.executable}\\nprint(\"2.26.1\")\\n')\n"
        "path.chmod(0o755)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), str(PROJECT)]))
    monkeypatch.setattr(binary, "EXTRACT", "extracting")
    assert binary.ensure() == machine / "cache/wavetank/compose/docker-compose-2.26.1"


def test_an_image_that_cannot_be_had_is_an_error(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that failed; its reason went to stderr."""
    monkeypatch.setattr(binary, "EXTRACT", "there_is_no_such_module")
    with pytest.raises(CommandError, match="no Docker Compose could be taken out"):
        binary.ensure()
