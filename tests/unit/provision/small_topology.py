"""A small topology, and what a run of it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.progress import Progress
from harness.target.target import Target
from harness.topology.model import Database, Droplet, Firewall, Management, Rule, Topology

Serve = Callable[..., Target]

QUIET = Progress(quiet=True)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk wavetank-a"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvIhWzUJ1KUdEbtj3KyhQRPvyA4HUKbkKmnhbN8b6n2 somebody"
OPERATORS = ("198.51.100.7/32",)


def droplet(name: str, **changes: Any) -> Droplet:
    """A droplet with what a test does not care about filled in."""
    fields = {"size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64", "role": name, "user_data": ""}
    return Droplet(**{"name": name, "public_networking": True, **fields, **changes})


def make_topology(**changes: Any) -> Topology:
    """Two droplets, a database that one of them may use, and two firewalls."""
    web = Firewall("web", ("web",), (Rule("tcp", "80", ("internet",)),), (Rule("tcp", "8000", ("api",)),))
    api = Firewall("api", ("api",), (Rule("tcp", "8000", ("web",)),), (Rule("tcp", "25060", ("vpc",)),))
    fields: dict[str, Any] = {
        "name": "small",
        "file": Path("small.yaml"),
        "region": "fra1",
        "ip_range": None,
        "droplets": {name: droplet(name) for name in ("web", "api")},
        "databases": {"main": Database("main", "pg", "15", "db-s-1vcpu-1gb", 1, ("api",))},
        "firewalls": (web, api),
        "intent": (),
        "services": (),
        "management": Management("web", ("self",)),
        "app": Path(),
    }
    return Topology(**{**fields, **changes})
