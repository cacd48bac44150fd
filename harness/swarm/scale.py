"""Change the number of a service's replicas."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, UsageError
from harness.core.progress import Progress
from harness.deploy.scaling import Scaled, check
from harness.swarm import snapshot
from harness.swarm.capacity import capacity, problem
from harness.swarm.converge import DEADLINE, converge, inspect_stack
from harness.swarm.snapshot import INSPECT_EXISTING, NODES, documents
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

INSPECT = "echo ---\ninspect_existing service inspect --format '{{{{json .}}}}' {names}"
SCALE = "docker service scale --detach {orders} >/dev/null"


def scale(
    access: Access,
    topology: Topology,
    deployment: Deployment,
    wanted: Mapping[str, int],
    *,
    progress: Progress,
    deadline: float = DEADLINE,
) -> tuple[Scaled, ...]:
    """Give each service in ``wanted`` that many replicas, and wait until they run.

    Raises ``UsageError``, and changes nothing, for an unknown service and an impossible number;
    ``ResourceError`` with the failing task's own error when ``deadline`` seconds have passed.
    """
    swarm = topology.swarm
    assert swarm is not None
    manager = snapshot.a_manager(access, topology)
    before = inspect_stack(access, topology, deployment, manager)
    counts = {each.name: each.desired for each in before.services}
    check(wanted, list(counts), swarm.stack)
    _check_capacity(access, manager, swarm.stack, wanted)
    with progress.step(f"scale {', '.join(f'{name} to {count}' for name, count in wanted.items())}"):
        _set_replicas(access, manager, swarm.stack, wanted)
        after = converge(
            access,
            topology,
            deployment,
            services=list(wanted),
            before=before,
            deadline=deadline,
            progress=progress,
        )
    return tuple(
        Scaled(name, counts[name], count, tuple(sorted(each.node for each in after.running(name))))
        for name, count in wanted.items()
    )


def _check_capacity(access: Access, manager: str, stack: str, wanted: Mapping[str, int]) -> None:
    names = shlex.join(f"{stack}_{name}" for name in wanted)
    output = access.run(manager, INSPECT_EXISTING + NODES + INSPECT.format(names=names))
    nodes, services = (documents(part) for part in output.split("---\n"))
    by_name = {each["Spec"]["Name"].removeprefix(f"{stack}_"): each for each in services}
    found = (problem(name, count, capacity(by_name[name], nodes)) for name, count in wanted.items())
    if problems := [each for each in found if each]:
        raise UsageError("\n".join(problems))


def _set_replicas(access: Access, manager: str, stack: str, wanted: Mapping[str, int]) -> None:
    orders = shlex.join(f"{stack}_{name}={count}" for name, count in wanted.items())
    try:
        access.run(manager, SCALE.format(orders=orders))
    except CommandError as error:
        raise ResourceError("stack", stack, f"was not scaled: {error.output.strip()}") from error
