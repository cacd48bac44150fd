"""The standard plan on a played cloud, in which what is asked for is done at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mutation_rig import PUBLIC_KEY, RUN

import emulator
from harness import provision
from harness.core.progress import Progress
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT
from harness.target.api import Api
from harness.target.target import Target
from harness.topology import load

STANDARD = load(PROJECT / "topologies" / "standard.yaml")


@pytest.fixture
def api() -> Iterator[Api]:
    """The played cloud's API, with the standard plan in force."""
    target = Target("do", "https://api.digitalocean.com", "token", operators=("198.51.100.7/32",))
    with emulator.mock():
        provision.provision(target, STANDARD, RUN, public_key=PUBLIC_KEY, progress=Progress(quiet=True))
        provision.lock_down(target, RUN)
        with Api(target) as api:
            yield api


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run's directory."""
    made = RunDir(tmp_path, RUN)
    made.create()
    return made
