"""The compose files of a topology's services, read by Compose with all that the topology adds to them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from harness.compose import ComposeProject, read
from harness.core import yaml
from harness.core.documents import read_text
from harness.core.parallel import in_parallel
from harness.topology.deployment import Deployment
from harness.topology.model import Service, StackService, Topology
from harness.topology.rendering import changes, render, upstreams
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.upstreams import Changed

READERS = 4
# What the topology adds and what it changes lies beside the compose file under these names.
ADDED = "docker-compose.wavetank-add.yml"
CHANGES = ("docker-compose.wavetank-1.yml", "docker-compose.wavetank-2.yml")


@dataclass(frozen=True)
class NodeProject:
    """A service on one node: ``files`` are all that are rendered for it, ``project`` what they mean."""

    files: Mapping[str, str]
    project: ComposeProject


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
    """What a service's compose files say, with all that runs on any of its nodes."""
    if isinstance(service, StackService):
        return stack_project(topology, service, render_for_stack(topology, deployment, service))
    # Where it is the same everywhere, one node speaks for all.
    nodes = service.nodes if service.changes.run else service.nodes[:1]
    return everywhere(node_project(topology, deployment, service, node).project for node in nodes)


def everywhere(projects: Iterable[ComposeProject]) -> ComposeProject:
    """One project with the services that start in any of them, each as it is where it starts."""
    first, *others = projects
    started, services = dict.fromkeys(first.started), dict(first.services)
    for each in others:
        _check_alike(each, {name: services[name] for name in started})
        services |= {name: body for name, body in each.running().items() if name not in started}
        started |= dict.fromkeys(each.started)
    return replace(first, services=services, started=tuple(name for name in services if name in started))


def _check_alike(project: ComposeProject, known: Mapping[str, Mapping[str, object]]) -> None:
    """One image is built, or had, for all droplets of a service."""
    for name, body in project.running().items():
        for key in ("build", "image"):
            if name in known and body.get(key) != known[name].get(key):
                problem = "it is another one on another droplet"
                remedy = "leave out of it what differs, such as `node`: all droplets get the same image"
                raise project.error(f"services.{name}.{key}", problem, remedy)


def read_declared(service: Service | StackService) -> ComposeProject:
    """As :func:`read_one`, with the topology's expressions in place of their values.

    Of what the topology changes, it has which services run.
    """
    environment = render.environment_of(service, service.environment)
    around = service.compose.parent.parent
    found = read(
        service.compose, root=around, environment=environment, project=service.name, more=_more(service)
    )
    if service.changes.run is None:
        return found
    chosen = {name for names in service.changes.run.values() for name in names}
    return replace(found, started=tuple(name for name in found.services if name in chosen))


def node_project(topology: Topology, deployment: Deployment, service: Service, node: str) -> NodeProject:
    """What the compose files say on a node. Raises ``TopologyError``."""
    rendered = render.render_service(topology, deployment, service, node)
    files = {name: text for name, text in rendered.items() if name != render.COMPOSE}
    ask = partial(read, service.compose, root=topology.app, project=service.name)
    project = ask(files=files, more=_more(service))
    if render.COMPOSE in map(posixpath.normpath, project.compose_files):
        problem = f"the first compose file is called {render.COMPOSE} on a node, and this is another one"
        raise project.error(
            "", problem, f"name the first one {render.COMPOSE}, or give this one another name"
        )
    place = changes.Place(topology, service, node, project, render.make_context(topology, deployment, node))
    written, project = _changed(
        place, lambda written: ask(files={**files, **written}, more=(*_more(service), *written))
    )
    return NodeProject({**rendered, **written, **upstreams.render(place, project)}, project)


def changed_files(topology: Topology, deployment: Deployment) -> list[Changed]:
    """The application's files of which droplets get a changed copy, those with the same copy together."""
    found: list[Changed] = []
    for service in (each for each in topology.services if each.changes.upstreams):
        for node in service.nodes:
            files = node_project(topology, deployment, service, node).files
            for name in service.changes.upstreams:
                if name in files:
                    _note(found, service, node, name, files[name])
    return found


def _note(found: list[Changed], service: Service, node: str, name: str, after: str) -> None:
    for at, each in enumerate(found):
        if (each.service, each.name, each.after) == (service.name, name, after):
            found[at] = replace(each, nodes=(*each.nodes, node))
            return
    before = read_text(service.compose.parent / name)
    found.append(Changed(service.name, (node,), name, before, after))


def _changed(
    place: changes.Place, ask: Callable[[Mapping[str, str]], ComposeProject]
) -> tuple[dict[str, str], ComposeProject]:
    """What the topology merges into a service's compose files, by file name, and what all of it means.

    ``ask`` returns what Compose says with these merged in.
    """
    written = _written([ADDED], changes.additions(place))
    if written:
        place = replace(place, project=ask(written))
    written |= (changed := _written(CHANGES, changes.documents(place)))
    return written, ask(written) if changed else place.project


def render_for_stack(
    topology: Topology, deployment: Deployment, service: StackService
) -> render.RenderedStack:
    """What :func:`render.render_stack_service` gives, with what the topology changes of the compose files."""
    rendered = render.render_stack_service(topology, deployment, service)
    rendered = replace(rendered, more=_more(service))
    project = stack_project(topology, service, rendered)
    place = changes.Place(topology, service, "", project, render.make_context(topology, deployment, None))

    def merged(written: Mapping[str, str]) -> render.RenderedStack:
        return replace(rendered, files={**rendered.files, **written}, more=(*rendered.more, *written))

    return merged(_changed(place, lambda written: stack_project(topology, service, merged(written)))[0])


def stack_project(
    topology: Topology, service: StackService, rendered: render.RenderedStack
) -> ComposeProject:
    """What the compose files say with the variables and files of the stack."""
    return read(
        service.compose,
        root=topology.app,
        text=rendered.text,
        files=rendered.files,
        environment=rendered.environment,
        project=service.name,
        more=rendered.more,
    )


def compose_files(service: Service) -> tuple[str, ...]:
    """The names of the compose files that a node may have of a service, in the order of their merging."""
    return (render.COMPOSE, *_more(service), ADDED, *CHANGES)


def _more(service: Service | StackService) -> tuple[str, ...]:
    directory = service.compose.parent
    return tuple(os.path.relpath(file, directory) for file in service.changes.compose_files)


def _written(names: Iterable[str], documents: Iterable[Mapping[str, object]]) -> dict[str, str]:
    return {name: yaml.dump(each) for name, each in zip(names, documents, strict=False)}
