"""The images of an application: built here where they are missing, found where they are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from harness.compose import Build, ComposeProject, containers
from harness.core.errors import EngineError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.deploy import base
from harness.deploy.engine import REPOSITORY, Image, local_images
from harness.deploy.images import bases_of, build_image, reference_of

BUILDERS = 2

Images = Mapping[str, Mapping[str, Image]]  # by service, then by the compose file's services


class Named(Protocol):
    """A service of a topology, be it a plain one or a swarm's."""

    @property
    def name(self) -> str: ...


def gather(services: Sequence[Named], apps: Mapping[str, ComposeProject], progress: Progress) -> Images:
    """Build what is missing, and find the ids of everything that this machine has.

    ``apps`` are the services' compose files, by the services' names.
    """
    base.ensure(_base_names(apps), progress)
    named, builds = _named(services, apps)
    references = {reference for images in named.values() for reference in images.values()}
    return _with_ids(named, _build_missing(builds, references, progress))


def look_up(services: Sequence[Named], apps: Mapping[str, ComposeProject]) -> Images:
    """As ``gather``, but builds nothing: what is not here has no id."""
    named, _ = _named(services, apps)
    return _with_ids(named, local_images([each for images in named.values() for each in images.values()]))


def names(services: Sequence[Named], apps: Mapping[str, ComposeProject]) -> Images:
    """As ``look_up``; where no engine can be asked, what is built has a name without a hash."""
    try:
        return look_up(services, apps)
    except EngineError:
        return {
            service.name: {
                each.name: Image(f"{REPOSITORY}/{service.name}" if each.build else each.image, "")
                for each in containers(apps[service.name])
            }
            for service in services
        }


def _named(
    services: Sequence[Named], apps: Mapping[str, ComposeProject]
) -> tuple[dict[str, dict[str, str]], dict[str, tuple[str, Build]]]:
    """References by service and compose service; and those that are built here, with their names."""
    named: dict[str, dict[str, str]] = {service.name: {} for service in services}
    builds: dict[str, tuple[str, Build]] = {}
    bases = _bases(apps)
    for service in services:
        for container in containers(apps[service.name]):
            reference = container.image
            if container.build:
                name = service.name
                if container.name != service.name:
                    name += f"-{container.name}"
                reference = reference_of(name, container.build, _ids_of(container.build, bases))
                builds[reference] = (name, container.build)
            named[service.name][container.name] = reference
    return named, builds


def _with_ids(named: Mapping[str, Mapping[str, str]], found: Mapping[str, Image]) -> Images:
    return {
        service: {name: found.get(reference, Image(reference, "")) for name, reference in images.items()}
        for service, images in named.items()
    }


def _base_names(apps: Mapping[str, ComposeProject]) -> list[str]:
    builds = [each.build for app in apps.values() for each in containers(app) if each.build]
    return [name for build in builds for name in bases_of(build)]


def _bases(apps: Mapping[str, ComposeProject]) -> dict[str, str]:
    found = local_images(_base_names(apps))
    return {name: image.id for name, image in found.items()}


def _ids_of(build: Build, bases: Mapping[str, str]) -> dict[str, str]:
    return {name: bases[name] for name in bases_of(build) if name in bases}


def _build_missing(
    builds: Mapping[str, tuple[str, Build]], references: set[str], progress: Progress
) -> dict[str, Image]:
    try:
        found = local_images(sorted(references))
    except EngineError:
        if builds:
            raise
        return {}  # nothing to build, and nodes can pull
    missing = [reference for reference in builds if reference not in found]

    def build(reference: str) -> None:
        name, section = builds[reference]
        with progress.step(f"build {name}"):
            build_image(name, section, reference)

    in_parallel([partial(build, reference) for reference in missing], workers=BUILDERS)
    if missing:
        found |= local_images(missing)
    return found
