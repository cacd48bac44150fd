"""The plan's swarm on a played cloud, in which what is asked for is done at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from failover_rig import PUBLIC_KEY, RUN, SWARM

import emulator
from harness import provision
from harness.core.progress import Progress
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.target.target import Target


@pytest.fixture
def cloud() -> Target:
    """Where it is played."""
    return Target("do", "https://api.digitalocean.com", "token", operators=("198.51.100.7/32",))


@pytest.fixture
def api(cloud: Target) -> Iterator[Api]:
    """The played cloud's API, with the plan's swarm in force."""
    with emulator.mock():
        provision.provision(cloud, SWARM, RUN, public_key=PUBLIC_KEY, progress=Progress(quiet=True))
        provision.lock_down(cloud, RUN)
        with Api(cloud) as api:
            yield api


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    """A run's directory."""
    made = RunDir(tmp_path, RUN)
    made.create()
    return made
