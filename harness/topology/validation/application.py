"""Checks of the application a topology deploys: every compose file and template is there and can be used."""

from __future__ import annotations

from functools import partial

from harness.compose import containers
from harness.core.errors import TopologyError
from harness.core.parallel import in_parallel
from harness.topology.build import compose_candidates
from harness.topology.deployment import Deployment
from harness.topology.model import Service, StackService, Topology
from harness.topology.rendering import dotenv, render, upstreams
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.projects import READERS, read_one
from harness.topology.schema import RawTopology
from harness.topology.source import Problems, Step, field_name

Path = tuple[Step, ...]


def check(raw: RawTopology, topology: Topology, problems: Problems, *, compose: bool) -> None:
    """Note every compose file, template and expression that cannot be used; with ``compose``, by Compose."""
    if not topology.app.is_dir():
        remedy = "correct 'app' (relative to this file), or give --app DIR"
        problems.add(("app",), f"there is no directory {topology.app}", remedy)
        return
    stand_in = imagined(topology)
    before = len(problems.errors)
    for service in topology.services:
        path: Path = ("services", service.name)
        _check_compose(topology, path, service, raw.services[service.name].compose, problems)
        for node in service.nodes:
            context = render.make_context(topology, stand_in, node)
            _check_rendered(topology, path, service, context, problems)
    if topology.swarm and raw.swarm:
        for each in topology.swarm.services:
            path = ("swarm", "services", each.name)
            _check_compose(topology, path, each, raw.swarm.services[each.name].compose, problems)
            context = render.make_context(topology, stand_in, None)
            _check_rendered(topology, path, each, context, problems)
    if compose and len(problems.errors) == before:
        _check_projects(topology, stand_in, problems)


def _check_projects(topology: Topology, stand_in: Deployment, problems: Problems) -> None:
    """What Compose and a node would refuse of each compose file, with the files that are rendered for it."""
    services: list[Service | StackService] = [*topology.services]
    services += topology.swarm.services if topology.swarm else ()
    found = in_parallel([partial(_refused, topology, stand_in, each) for each in services], workers=READERS)
    problems.errors += [error for error in found if error]


def _refused(
    topology: Topology, stand_in: Deployment, service: Service | StackService
) -> TopologyError | None:
    try:
        project = read_one(topology, stand_in, service)
        containers(project)
        if isinstance(service, Service):
            upstreams.check_mounted(topology, service, project)
            project.shipped(render.render_service(topology, stand_in, service, service.nodes[0]))
    except TopologyError as error:
        return error
    return None


def _check_compose(
    topology: Topology,
    path: Path,
    service: Service | StackService,
    given: list[str] | None,
    problems: Problems,
) -> None:
    if service.compose.is_file():
        for check_one in (render.render_compose, render.check_environment):
            try:
                check_one(service)
            except TopologyError as error:
                problems.errors.append(error)
        return
    looked = ", ".join(map(str, compose_candidates(service.name, given, topology.app)))
    remedy = f"put it there, or name it as '{field_name(path)}.compose', relative to {topology.app}"
    problems.add((*path, "compose"), f"no compose file; looked for {looked}", remedy)


def _check_rendered(
    topology: Topology,
    path: Path,
    service: Service | StackService,
    context: render.Context,
    problems: Problems,
) -> None:
    """Problems of one context; what was found in another context of the service already is not repeated."""
    found = Problems(problems.source)
    _check_expressions(path, service, context, found)
    for each in service.files:
        if not each.template.is_file():
            remedy = f"put it there, or correct the path, which is relative to {topology.app}"
            found.add((*path, "files", each.target), f"there is no template {each.template}", remedy)
            continue
        try:
            render.render_template(each, context)
        except TopologyError as error:
            found.errors.append(error)
    known = {str(error) for error in problems.errors}
    problems.errors += [error for error in found.errors if str(error) not in known]


def _check_expressions(
    path: Path, service: Service | StackService, context: render.Context, problems: Problems
) -> None:
    """A stack's values go through no ``.env``, so nothing of them is refused for its sake."""
    for key, expression in service.environment.items():
        try:
            value = render.evaluate(expression, context)
            if isinstance(service, Service):
                dotenv.quote(value)
        except ValueError as error:
            problems.add((*path, "environment", key), str(error), render.LOCATIONS)
