"""A small topology, and targets that cost nothing: the mock, and a server with the memory plane."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import emulator
from emulator.cloud.core import Cloud
from harness.progress import Progress
from harness.target import Target
from harness.topology.model import Database, Droplet, Firewall, Management, Rule, Topology

QUIET = Progress(quiet=True)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk wavetank-a"
OPERATORS = ("198.51.100.7/32",)


def droplet(name: str, **changes: object) -> Droplet:
    """A droplet with what a test does not care about filled in."""
    fields = {"size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", "role": name, "user_data": ""}
    return Droplet(**{"name": name, "public_networking": True, **fields, **changes})  # type: ignore[arg-type]


def make_topology(**changes: object) -> Topology:
    """Two droplets, a database one of them may use, and a firewall."""
    fields = {
        "name": "small",
        "file": Path("small.yaml"),
        "region": "fra1",
        "ip_range": None,
        "droplets": {name: droplet(name) for name in ("web", "api")},
        "databases": {"main": Database("main", "pg", "15", "db-s-1vcpu-1gb", 1, ("api",))},
        "firewalls": (
            Firewall("web", ("web",), (Rule("tcp", "80", ("internet",)),), (Rule("tcp", "8000", ("api",)),)),
            Firewall("api", ("api",), (Rule("tcp", "8000", ("web",)),), (Rule("tcp", "25060", ("vpc",)),)),
        ),
        "intent": (),
        "services": (),
        "management": Management("web", ("self",)),
        "app": Path(),
    }
    return Topology(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def topology() -> Topology:
    """The small topology."""
    return make_topology()


@pytest.fixture
def target() -> Target:
    """The mocked cloud as a target."""
    return Target("do", emulator.mock.ENDPOINT if hasattr(emulator.mock, "ENDPOINT") else "https://api.digitalocean.com", "token", operators=OPERATORS)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An empty account behind the mock; what is asked for is done at once."""
    with emulator.mock() as cloud:
        yield cloud
