"""Three droplets that make a swarm, for tests that form it, heal it, read it and scale what runs in it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from swarm_samples import NAMES, NETWORK, STACK, plan
from tank import Tank, droplet

from emulator.docker.images.build import ensure
from emulator.planes.base import DropletSpec
from harness.access.ssh import Access, open_access
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy.scaling import Scaled
from harness.run.rundir import RunDir
from harness.swarm import cluster, snapshot
from harness.swarm.scale import scale
from harness.swarm.snapshot import Member, Task
from harness.target.target import Target
from harness.topology.deployment import Deployment, Node
from harness.topology.model import Topology

MARKER = "#!/bin/sh\nmkdir -p /var/lib/wavetank\ntouch /var/lib/wavetank/booted\n"


@dataclass
class Site:
    """Three droplets, of which ``boss`` is the bastion and, unless a test says otherwise, the manager.

    ``told`` is what was said on the way.
    """

    tank: Tank
    target: Target
    deployment: Deployment
    access: Access
    told: io.StringIO = field(default_factory=io.StringIO)

    def form(self, topology: Topology | None = None, deployment: Deployment | None = None) -> tuple[str, ...]:
        """Form the swarm."""
        told = Progress(self.told)
        return cluster.form(self.access, topology or plan(), deployment or self.deployment, progress=told)

    def members(self, manager: str = "boss") -> dict[str, Member]:
        """The swarm's list of nodes, which has each droplet once."""
        listed = snapshot.members(self.access, self.deployment, manager)
        found = {each.node: each for each in listed}
        assert len(found) == len(listed), listed
        return found

    def swarm_of(self, node: str) -> dict[str, Any]:
        """What ``docker info`` says of a node's swarm."""
        found: dict[str, Any] = json.loads(self.access.run(node, "docker info --format '{{json .Swarm}}'"))
        return found

    def address(self, node: str) -> str:
        """A droplet's private address."""
        return self.deployment.nodes[node].private_ip or ""

    def await_down(self, name: str) -> None:
        """Until the manager has missed a droplet's heartbeats."""

        def probe() -> None:
            if (seen := self.members()[name].status) != "down":
                raise NotYet(seen)

        wait_for(f"{name} to be down", probe, deadline=60)

    def await_no_tasks(self, node: str) -> None:
        """Until no container of a task is left on a droplet."""

        def probe() -> None:
            if left := self.access.run(node, "docker ps -aq --filter label=com.docker.swarm.task"):
                raise NotYet(left)

        wait_for(f"the tasks of {node} to be gone", probe, deadline=60)

    def rebuild(self, name: str) -> None:
        """Give a droplet a new disk, as the API's action does."""
        self.access.close()
        self.tank.plane.rebuild_droplet(self.tank.nodes[self.deployment.nodes[name].id], self.tank.policy())
        self.access.forget(name)

    def serve(self, name: str, *options: str, image: str, command: str = "exec sleep 1000") -> None:
        """Make a service of the stack."""
        words = [
            f"docker service create --detach --no-resolve-image --endpoint-mode dnsrr --network {NETWORK}",
            f"--constraint node.role==worker --stop-grace-period 1s --name {STACK}_{name}",
            f"--label com.docker.stack.namespace={STACK} --restart-delay 100ms",
            *options,
            f"{image} sh -c '{command}'",
        ]
        self.access.run("boss", " ".join(words))

    def tasks(self, name: str, state: str, count: int) -> tuple[Task, ...]:
        """The tasks of a service in this state, once there are so many."""

        def probe() -> tuple[Task, ...]:
            found = snapshot.tasks(self.access, self.deployment, "boss", STACK, name)
            wanted = tuple(each for each in found if each.state == state)
            if len(wanted) < count:
                raise NotYet(str(found))
            return wanted

        return wait_for(f"{count} {state} tasks of {name}", probe, deadline=60)

    def scale(self, **wanted: int) -> tuple[Scaled, ...]:
        """Scale services."""
        quiet = Progress(quiet=True)
        return scale(self.access, plan(), self.deployment, wanted, progress=quiet, deadline=60)


def named(spec: DropletSpec) -> DropletSpec:
    """A droplet whose host name is the topology's, as in every deployment."""
    name = NAMES[spec.id - 1]
    return replace(spec, name=name, metadata={**spec.metadata, "hostname": name})


@contextmanager
def standing(directory: Path) -> Iterator[Site]:
    """Three droplets that no firewall covers, until the block ends. ``directory`` keeps what is theirs."""
    ensure(["base", "droplet", "fabric"])
    tank = Tank.new(directory / "tank")
    try:
        run_dir = RunDir(directory / "state", "swarm-test")
        run_dir.create()
        keys = [run_dir.public_key()]
        specs = [named(droplet(number, user_data=MARKER, keys=keys)) for number in (1, 2, 3)]
        tank.nodes = {spec.id: spec for spec in specs}
        policy = tank.policy()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda spec: tank.plane.create_droplet(spec, policy), specs))
        nodes = {
            spec.name: Node(
                spec.name, spec.id, "active", spec.public.ip if spec.public else None, spec.private.ip
            )
            for spec in specs
        }
        deployment = Deployment("swarm-test", "0d0c0b0a", "10.1.0.0/20", nodes, {})
        target = Target("local", "https://127.0.0.1:1", "token", proxy=tank.plane.info().proxy)
        made = Site(tank, target, deployment, open_access(run_dir, target, plan(), deployment))
        yield made
        made.access.close()
    finally:
        tank.destroy()
