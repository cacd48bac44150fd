"""A small swarm as a topology has it: ``boss``, who manages, and two hands."""

from __future__ import annotations

from pathlib import Path

from harness.topology.model import Droplet, Management, Overlay, StackService, Swarm, Topology

NAMES = ("boss", "one", "two")
ROLES = {"boss": "boss", "one": "hand", "two": "hand"}
STACK, NETWORK = "stack", "net"


def plan(
    *services: StackService,
    managers: tuple[str, ...] = ("boss",),
    encrypted: bool = False,
    heartbeat: int = 2,
    droplets: tuple[str, ...] = NAMES,
) -> Topology:
    """A topology of these droplets, all members."""
    machines = {
        name: Droplet(name, "s-1vcpu-1gb", "ubuntu-24-04-x64", ROLES[name], True, "") for name in droplets
    }
    swarm = Swarm(managers, STACK, Overlay(NETWORK, encrypted), services, heartbeat)
    return Topology(
        "three", Path("three.yaml"), "fra1", None, machines, {}, (), (), (), Management("boss", ("self",)),
        Path(), swarm=swarm,
    )  # fmt: skip


def service(name: str, *nodes: str) -> StackService:
    """A service of the stack that may run on ``nodes``."""
    return StackService(name, nodes, Path("docker-compose.yml"), (), {}, ())
