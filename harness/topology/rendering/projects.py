"""The compose files of a topology's services, read by Compose with the files that the topology renders."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from harness.compose import ComposeProject, read
from harness.core.parallel import in_parallel
from harness.topology.deployment import Deployment
from harness.topology.model import Service, StackService, Topology
from harness.topology.rendering import render
from harness.topology.rendering.imagined import imagined

READERS = 4


def read_all(topology: Topology, deployment: Deployment | None = None) -> dict[str, ComposeProject]:
    """What the compose files of all services say, by the services' names. Raises ``TopologyError``.

    Without a deployment, values that only one has are made up.
    """
    services: list[Service | StackService] = [*topology.services]
    services += topology.swarm.services if topology.swarm else ()
    known = deployment or imagined(topology)
    found = in_parallel([partial(read_one, topology, known, each) for each in services], workers=READERS)
    return {each.name: project for each, project in zip(services, found, strict=True)}


def read_one(topology: Topology, deployment: Deployment, service: Service | StackService) -> ComposeProject:
    """What a service's compose file says; on the first of its nodes, where it runs on some."""
    if isinstance(service, StackService):
        return stack_project(topology, service, render.render_stack_service(topology, deployment, service))
    rendered = render.render_service(topology, deployment, service, service.nodes[0])
    return service_project(topology, service, rendered)


def read_declared(service: Service | StackService) -> ComposeProject:
    """As :func:`read_one`, with the topology's expressions in place of their values."""
    environment = render.environment_of(service, service.environment)
    around = service.compose.parent.parent
    return read(service.compose, root=around, environment=environment, project=service.name)


def service_project(topology: Topology, service: Service, rendered: Mapping[str, str]) -> ComposeProject:
    """What the compose file says on a node that has these files."""
    files = {name: text for name, text in rendered.items() if name != render.COMPOSE}
    return read(service.compose, root=topology.app, files=files, project=service.name)


def stack_project(
    topology: Topology, service: StackService, rendered: render.RenderedStack
) -> ComposeProject:
    """What the compose file says with the variables and files of the stack."""
    return read(
        service.compose,
        root=topology.app,
        text=rendered.text,
        files=rendered.files,
        environment=rendered.environment,
        project=service.name,
    )
