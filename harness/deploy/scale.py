"""Scale a compose project's service on its nodes: ``compose up --scale``, spread evenly."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from harness.access.ssh import Access
from harness.compose import ComposeProject
from harness.core.errors import CommandError, ResourceError, UsageError, WaitTimeoutError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy.bundle import compose_command
from harness.deploy.remote import (
    CONTAINERS,
    HEALTHY_SECONDS,
    REQUIRE_COMPOSE,
    ROOT,
    UP_SECONDS,
    parse_containers,
)
from harness.deploy.scaling import Scaled, check
from harness.topology.deployment import Deployment
from harness.topology.model import Service, Topology
from harness.topology.rendering.projects import read_declared

LIST = f"{CONTAINERS} --filter label=com.docker.compose.service={{container}}"
SCALE = """\
{require}cd {directory} || exit 1
{compose}compose up -d --no-build --no-recreate --scale {order}
"""


def scale(
    access: Access,
    topology: Topology,
    deployment: Deployment,  # noqa: ARG001 (as for a swarm's services)
    wanted: Mapping[str, int],
    *,
    progress: Progress,
) -> tuple[Scaled, ...]:
    """Run the number of containers in ``wanted`` of each service, and wait until they are healthy.

    The first nodes get one more where it does not come out even. Raises ``UsageError``, and changes nothing,
    for a service that there is not, or whose compose file does not let a node run so many of it.
    """
    services = {each.name: each for each in topology.services}
    check(wanted, list(services), f"topology {topology.name}")
    shares = {name: spread(services[name], count) for name, count in wanted.items()}
    projects = {name: read_declared(services[name]) for name in wanted}
    for name, share in shares.items():
        check_share(services[name], projects[name], share)
    with progress.step(f"scale {', '.join(f'{name} to {count}' for name, count in wanted.items())}"):
        return tuple(_scale(access, services[name], projects[name], share) for name, share in shares.items())


def count(access: Access, topology: Topology, name: str) -> int:
    """How many containers of the service there are now, on all its nodes."""
    service = next(each for each in topology.services if each.name == name)
    container = _body(service, read_declared(service))[0]
    return sum(in_parallel([partial(_count, access, service, container, node) for node in service.nodes]))


def spread(service: Service, count: int) -> dict[str, int]:
    """How many of ``count`` containers each of the service's nodes runs."""
    each, rest = divmod(count, len(service.nodes))
    return {node: each + (place < rest) for place, node in enumerate(service.nodes)}


def check_share(service: Service, project: ComposeProject, share: Mapping[str, int]) -> None:
    """Raise ``UsageError`` where a node would run more than its compose file lets it."""
    most, limit = max(share.values()), len(share)
    body = _body(service, project)[1]
    bound = [key for key in ("ports", "container_name") if body.get(key)]
    if str(body.get("network_mode", "")) == "host":
        bound.append("network_mode: host")
    if most > 1 and bound:
        raise UsageError(
            f"{service.name}={sum(share.values())}: a node runs one of it, for {service.compose.name} has "
            f"{' and '.join(bound)}, and it has {limit} {'node' if limit == 1 else 'nodes'}\n"
            f"  remedy: say {service.name}={limit} or less, or have more droplets in services.{service.name}"
        )


def _body(service: Service, project: ComposeProject) -> tuple[str, Mapping[str, Any]]:
    """The compose file's service with the same name as the topology's, or the only one that starts."""
    bodies = project.running()
    name = service.name if service.name in bodies or len(bodies) > 1 else next(iter(bodies))
    if name not in bodies:
        raise UsageError(
            f"{service.name}: which of {', '.join(bodies)} in {service.compose} is to be scaled?\n"
            f"  remedy: call that one {service.name!r}"
        )
    return name, bodies[name]


def _scale(access: Access, service: Service, project: ComposeProject, share: Mapping[str, int]) -> Scaled:
    container = _body(service, project)[0]
    before = in_parallel([partial(_count, access, service, container, node) for node in share])
    in_parallel(
        [partial(_scale_node, access, service, container, node, count) for node, count in share.items()]
    )
    nodes = tuple(node for node, count in share.items() for _ in range(count))
    return Scaled(service.name, sum(before), sum(share.values()), nodes)


def _list(service: Service, container: str) -> str:
    return LIST.format(project=shlex.quote(service.name), container=shlex.quote(container))


def _count(access: Access, service: Service, container: str, node: str) -> int:
    return len(parse_containers(access.run(node, _list(service, container))))


def _scale_node(access: Access, service: Service, container: str, node: str, count: int) -> None:
    label = f"{service.name}@{node}"
    script = SCALE.format(
        require=REQUIRE_COMPOSE,
        directory=shlex.quote(f"{ROOT}/{service.name}"),
        compose=compose_command(service),
        order=shlex.quote(f"{container}={count}"),
    )

    def probe() -> None:
        found = parse_containers(access.run(node, _list(service, container)))
        if len(found) != count or not all(each.healthy for each in found):
            raise NotYet("; ".join(map(str, found)) or "no containers")

    try:
        access.run(node, script, deadline=UP_SECONDS)
        wait_for(f"{count} containers of {label}", probe, deadline=HEALTHY_SECONDS)
    except CommandError as error:
        problem = f"compose did not scale it: {error.output.strip()[-2000:]}"
        raise ResourceError("service", label, problem) from error
    except WaitTimeoutError as error:
        raise ResourceError("service", label, str(error)) from error
