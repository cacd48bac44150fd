"""Somebody else's deployment of the standard topology, behind the mock, in which requests are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hand_made
import pydo
import pytest
import responses
from hand_made import OPERATOR, TAG, HandMade

import emulator
from harness.existing.place import ExistingDir, existing_dir
from harness.existing.view import Found, inspect
from harness.run.settings import topology_file
from harness.target.target import Target
from harness.topology import load
from harness.topology.model import Topology


@pytest.fixture(scope="session")
def topology() -> Topology:
    """The standard topology."""
    return load(topology_file("standard"))


@pytest.fixture(scope="module")
def counts() -> Iterator[Counter[str]]:
    """How many requests of each method got to the server."""
    counted: Counter[str] = Counter()
    find = responses.RequestsMock._on_request

    def count(self: responses.RequestsMock, adapter: object, request: object, **rest: object) -> object:
        counted[request.method] += 1  # type: ignore[attr-defined]
        return find(self, adapter, request, **rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responses.RequestsMock, "_on_request", count)
        yield counted


@pytest.fixture
def arrived(made: HandMade, counts: Counter[str]) -> Counter[str]:
    """The same, from the beginning of a test."""
    counts.clear()
    return counts


@pytest.fixture(scope="module")
def target() -> Target:
    """The mocked cloud, as a session with ``--existing`` gets it."""
    return Target("do", "https://api.digitalocean.com", "token", operators=(OPERATOR,), read_only=True)


@pytest.fixture(scope="module")
def made(counts: Counter[str], topology: Topology) -> Iterator[HandMade]:
    """The standard topology, made by hand, for as long as a module's tests last."""
    with emulator.mock():
        yield hand_made.make(pydo.Client("token"), topology)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ExistingDir:
    """Where its reports go."""
    state_dir: Path = tmp_path_factory.mktemp("state")
    return existing_dir(state_dir, TAG, None, "root")


@pytest.fixture(scope="module")
def found(made: HandMade, target: Target, topology: Topology, place: ExistingDir) -> Found:
    """What is found of it."""
    return inspect(target, topology, place)
