"""Whether a topology's stack can be made, found out before there is a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from harness.compose import ComposeProject
from harness.core.errors import TopologyError, TopologyErrors
from harness.core.parallel import in_parallel
from harness.deploy.engine import REPOSITORY, Image
from harness.stack.convert import convert
from harness.stack.model import Source
from harness.stack.preview import with_programs
from harness.stack.secrecy import secret_names
from harness.topology.deployment import Deployment
from harness.topology.model import StackService, Topology
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.projects import READERS, render_for_stack


def check(topology: Topology, apps: Mapping[str, ComposeProject]) -> None:
    """Raise ``TopologyError`` for what a stack cannot carry, ``TopologyErrors`` for several services.

    ``apps`` are the compose files by the services' names. Addresses and passwords are made up; of images it
    is assumed that they can be had.
    """
    if topology.swarm is None:
        return
    deployment = imagined(topology)
    made = [_source(topology, deployment, each, apps[each.name]) for each in topology.swarm.services]
    refused = [partial(_refused, topology, source) for source in made]
    errors = [error for error in in_parallel(refused, workers=READERS) if error]
    if len(errors) > 1:
        raise TopologyErrors(errors)
    if errors:
        raise errors[0]
    convert(topology, made, ipvs=True)


def _refused(topology: Topology, source: Source) -> TopologyError | None:
    assert topology.swarm is not None
    alone = replace(topology, swarm=replace(topology.swarm, services=(source.service,)))
    try:
        convert(alone, [source], ipvs=True)
    except TopologyError as error:
        return error
    return None


def _source(topology: Topology, deployment: Deployment, service: StackService, app: ComposeProject) -> Source:
    rendered = render_for_stack(topology, deployment, service)
    source = Source(
        service=service,
        text=rendered.text,
        environment=rendered.environment,
        secret=secret_names(rendered.environment, ()),
        files=rendered.files,
        more=rendered.more,
        images={name: Image(app.image(name) or f"{REPOSITORY}/{name}", "") for name in app.started},
        programs={},
    )
    return with_programs(source)
