"""The wheel brings all that a clone has, and works in an empty directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Installed
from emulator.docker.images.source import IMAGES, content_hash
from emulator.docker.images.source import files as sources
from harness.core.paths import CHECKS, PROJECT

PACKAGES = ("harness", "emulator", "topologies")

LOAD = """
import sys
from harness.run.settings import topology_file
from harness.topology import load

for name in sys.argv[1:]:
    print(load(topology_file(name)).app.resolve())
"""
CHECK = re.compile(r"(test_\w+)\.py::(test_\w+)")


def test_it_has_every_file_of_the_packages(wheel: Path) -> None:
    """As the clone has them: what is a package and what is not, hidden files, and no compiled ones."""
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    done = subprocess.run(tracked, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert found == {name for name in done.stdout.splitlines() if (PROJECT / name).exists()}


@pytest.mark.parametrize("path", ["emulator/images", "topologies/app"])
def test_images_are_those_of_the_clone(environment: Path, installed: Installed, path: str) -> None:
    """An image's name is a hash over names, modes and contents: the same sources make the same image."""
    ours = [each for each in sorted((PROJECT / path).iterdir()) if each.is_dir() and any(sources(each))]
    assert ours
    assert {each.name: content_hash(each) for each in ours} == {
        each.name: content_hash(installed.site / path / each.name) for each in ours
    }


def test_the_images_to_be_built_are_listed(installed: Installed) -> None:
    """Without an engine, with the hash of each source."""
    done = installed("python", "-m", "emulator.docker.images", "--list")
    assert done.returncode == 0, done.stderr
    listed = dict(line.split() for line in done.stdout.splitlines())
    assert listed["base"] == content_hash(IMAGES / "base")
    assert {"base", "droplet", "fabric", "mongodb", "postgres", "valkey"} <= set(listed)


def test_every_topology_is_found_and_valid(installed: Installed) -> None:
    """By its name, with the application that comes along."""
    names = [file.stem for file in (PROJECT / "topologies").glob("*.yaml")]
    done = installed("python", "-P", "-c", LOAD, *names)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(installed.site / "topologies/app")] * len(names)


def test_setup_leaves_the_environment_alone(installed: Installed, tmp_path: Path) -> None:
    """With all that a machine needs it does nothing: there is an environment, and it is in use."""
    there = tmp_path / "there"
    there.mkdir()
    for name in ("docker", "ssh", "zstd", "mmdebstrap"):
        (there / name).write_text("#!/bin/sh\n")
        (there / name).chmod(0o755)
    path = f"{there}:{os.environ['PATH']}"
    done = replace(installed, variables={**installed.variables, "PATH": path})("wavetank", "setup")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "setup: everything that Wavetank needs is here\n"
    assert not (installed.site / ".venv").exists()


def test_help_and_version(installed: Installed) -> None:
    """As the metadata has it."""
    assert installed("wavetank", "--version").stdout.strip() == "wavetank, version 0.1.0"
    assert "Usage: wavetank" in installed("wavetank", "--help").stdout


def test_without_a_deployment_pytest_says_how_to_get_one(installed: Installed) -> None:
    """And without a target the plugin has no part in what others test."""
    done = installed("pytest", "--target=local")
    assert done.returncode == 4, done.stdout
    assert "create one with `wavetank up`" in done.stdout + done.stderr
    (installed.directory / "test_mine.py").write_text("def test_mine(): pass\n")
    done = installed("pytest", "-W", "error", "--strict-markers", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_checks_are_collected_without_an_argument(standing: Installed) -> None:
    """Those of the topology's kind; in an empty directory, and in that where the environment lies."""
    done = standing("pytest", "--target=do", "--collect-only", "-q", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    found = set(CHECK.findall(done.stdout))
    others = ("test_swarm", "test_requests")  # the topology has no swarm, and no requests of its own
    assert {file for file, _ in found} == {
        file.stem for file in CHECKS.glob("test_*.py") if not file.stem.startswith(others)
    }
    assert len(found) > 80
    assert re.search(r"\d+ deselected", done.stdout)
    at = replace(standing, directory=standing.environment.parent)
    state = f"--state-dir={standing.directory / '.wavetank'}"
    again = at("pytest", "--target=do", "--collect-only", "-q", state, "-p", "no:cacheprovider")
    assert set(CHECK.findall(again.stdout)) == found


def test_checks_run_and_state_is_in_the_directory(standing: Installed) -> None:
    """Those that ask the API pass. What else is in the directory is not taken for ours."""
    (standing.directory / "harness").mkdir()
    (standing.directory / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    done = standing("wavetank", "verify", "-k", "database_is_online", "-o", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    outcomes = {each["id"]: each["outcome"] for each in told["checks"]}
    assert outcomes["machines.database_is_online[mongo]"] == "passed"
    assert not [each for each in outcomes if each.startswith("swarm")]
    assert any("topology standard has no swarm" in note for note in told["notes"])
    there = sorted(each.name for each in standing.directory.iterdir())
    assert there == [".wavetank", "harness", "pytest.ini"]


def test_the_virtual_machine_takes_a_clone(installed: Installed) -> None:
    """It is made from one, and says so."""
    done = installed("wavetank", "run", "--isolation", "vm")
    assert (done.returncode, "a clone of the project" in done.stderr) == (4, True)
