"""Targets that cost nothing: the mock, and a real server whose plane runs nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_topology import OPERATORS, QUIET, Serve, make_topology

import emulator
from emulator.cloud.core import Cloud
from harness.target import emulator_process
from harness.target.target import Target, resolve_target
from harness.topology.model import Topology


@pytest.fixture
def topology() -> Topology:
    """Two droplets and a database."""
    return make_topology()


@pytest.fixture
def target() -> Target:
    """The mocked cloud."""
    return Target("do", "https://api.digitalocean.com", "token", operators=OPERATORS)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An empty account behind the mock, in which what is asked for is done at once."""
    with emulator.mock() as cloud:
        yield cloud


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start an emulator over TLS, with faults; the target is ``local``. Stopped at the end."""
    state_dir = tmp_path / "state"

    def start(*, delay: float = 0.0, **faults: str) -> Target:
        monkeypatch.setenv("WAVETANK_PLANE", "memory")
        monkeypatch.setenv("WAVETANK_MEMORY_DELAY", str(delay))
        named = {name.replace("_", ":", 1): text for name, text in faults.items()}
        monkeypatch.setenv("WAVETANK_MEMORY_FAULTS", json.dumps(named))
        return resolve_target("local", state_dir=state_dir, progress=QUIET, operators=OPERATORS)

    yield start
    emulator_process.stop(state_dir, destroy=True)
