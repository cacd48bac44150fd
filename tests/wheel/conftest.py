"""Wavetank as its users have it: a wheel in an environment of its own, used outside of a clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.compose import binary
from harness.core.paths import PROJECT

sys.path.insert(0, str(PROJECT / "tests/emulator"))  # where the small topology is

PARTS = ("pyproject.toml", "README.md", "LICENSE", "harness", "emulator", "topologies")
LEFT_OUT = shutil.ignore_patterns("__pycache__")
PIP = ("pip", "--disable-pip-version-check", "--quiet")
SECONDS = 600
OPERATOR = "198.51.100.7/32"

# ``up`` where there are no machines: all but what would log in to them.
UP = """
import sys
from harness.cli import main as cli
from harness.run import run, up
from harness.deploy import DeployResult

up.deploy = lambda *_, **__: DeployResult((), ())
up.prepare_images = up.first_submission = up.gather_logs = run.gather_logs = lambda *_, **__: None
sys.exit(cli.run(["up", *sys.argv[1:]]))
"""
# Of Wavetank and Python: what would lead the installed one back to this clone, or elsewhere.
OURS = ("WAVETANK_", "DIGITALOCEAN_", "PYTEST_", "PYTHONPATH", "VIRTUAL_ENV", "COVERAGE_", "COV_CORE_")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, the directory in which its user works, and what is set there."""

    environment: Path
    directory: Path
    variables: Mapping[str, str]

    @property
    def site(self) -> Path:
        """Where the packages are."""
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found

    def __call__(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the user's directory."""
        given = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return subprocess.run(
            [self.environment / "bin" / program, *map(str, arguments)],
            cwd=self.directory,
            env={**given, **self.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built from a copy: what an earlier build left in this clone is not in it."""
    source, into = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (PROJECT / part).is_dir():
            shutil.copytree(PROJECT / part, source / part, ignore=LEFT_OUT)
        else:
            shutil.copy2(PROJECT / part, source)
    run(sys.executable, "-m", *PIP, "wheel", "--no-deps", "--wheel-dir", into, source)
    (found,) = into.iterdir()
    return found


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel and what it depends on, in the directory that its user works in."""
    made = tmp_path_factory.mktemp("user") / ".venv"
    run(sys.executable, "-m", "venv", "--without-pip", made)
    # Not compiled: of what comes along, most is never imported here.
    run(sys.executable, "-m", *PIP, "--python", made / "bin/python", "install", "--no-compile", wheel)
    return made


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    """The installed programs, in an empty directory, over an emulator that runs no machines."""
    return beginning(environment, tmp_path)


@pytest.fixture(scope="session")
def standing(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The standard topology, up. The emulator is as if it were the cloud: without machines nobody logs in."""
    made = beginning(environment, tmp_path_factory.mktemp("standing"))
    started = made("wavetank", "emulator", "start")
    assert started.returncode == 0, started.stderr
    told = json.loads((made.directory / ".wavetank/emulator/endpoint.json").read_text())
    variables = {
        "DIGITALOCEAN_TOKEN": told["token"],
        "DIGITALOCEAN_API_URL": told["https"],
        "WAVETANK_CA_FILE": told["ca_file"],
        "WAVETANK_OPERATORS": OPERATOR,
    }
    cloud = replace(made, variables={**made.variables, **variables})
    done = cloud("python", "-P", "-c", UP, "--target=do", "--topology=standard", "--yes")
    assert done.returncode == 0, done.stderr
    yield cloud
    stopped = made("wavetank", "emulator", "stop", "--destroy")
    assert stopped.returncode == 0, stopped.stderr


def beginning(environment: Path, directory: Path) -> Installed:
    """An empty directory in ``directory``, and caches beside it: `wavetank setup` was run."""
    empty = directory / "empty"
    empty.mkdir()
    program = directory / "cache/wavetank/compose/docker-compose-2.24.0"
    program.parent.mkdir(parents=True)
    program.symlink_to(binary.ensure())
    variables = {"WAVETANK_PLANE": "memory", "XDG_CACHE_HOME": str(directory / "cache")}
    return Installed(environment, empty, variables)


def run(*command: object) -> None:
    """Run a command, showing what it says if it fails."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
