"""Bring every service to its nodes: build, ship, start, wait. What is there already stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.deploy import remote
from harness.deploy.appfiles import AppFiles, Build, read_app
from harness.deploy.bundle import COMPOSE, Bundle, make_bundle
from harness.deploy.engine import Image, local_images
from harness.deploy.images import Archive, bases_of, build_image, reference_of
from harness.deploy.parallel import in_parallel
from harness.deployment import Deployment
from harness.errors import CommandError, EngineError, ResourceError, WaitTimeoutError
from harness.progress import Progress
from harness.ssh import Access
from harness.target import Target
from harness.topology import render
from harness.topology.model import Service, Topology

BUILDERS = 2

Images = Mapping[str, Mapping[str, Image]]  # by service, then by the compose file's services


@dataclass(frozen=True)
class DeployResult:
    """What a deployment changed: ``service@node``, in the topology's order. ``services`` is all there are."""

    changed: tuple[str, ...]
    services: tuple[str, ...]


def deploy(
    target: Target,  # noqa: ARG001 (every step takes it; nothing here depends on where a node is)
    topology: Topology,
    deployment: Deployment,
    access: Access,
    *,
    progress: Progress,
) -> DeployResult:
    """Make every service run on its nodes as the topology says, and wait until all are healthy.

    Where the same bundle runs already nothing is touched. Raises ``TopologyError`` for application files
    that cannot be used, ``ResourceError`` for an image, service or node that failed, with what it printed.
    """
    rendered = _render(topology, deployment)
    apps = {service.name: _app(service, rendered[service.name]) for service in topology.services}
    with progress.step("deploy: images"):
        images = _images(topology.services, apps, progress)
    bundles = [
        make_bundle(service, node, rendered[service.name][node], apps[service.name], images[service.name])
        for service in topology.services
        for node in service.nodes
    ]
    archive = archive_of(access.run_dir.state_dir)
    try:
        done = in_parallel(
            bundles, lambda bundle: _bring(access, bundle, archive, progress), interrupt=access.interrupt
        )
    finally:
        access.resume()
    archive.prune()
    labels = tuple(bundle.label for bundle in bundles)
    return DeployResult(tuple(label for label, new in zip(labels, done, strict=True) if new), labels)


def prepare_images(topology: Topology, state_dir: Path, *, progress: Progress) -> None:
    """Build and save the application's images ahead of time, as while droplets are still being made.

    Only saves time: ``deploy`` does whatever is missing. Raises as ``deploy`` does for images.
    """
    apps = {
        service.name: read_app(service.compose.read_text(), service.compose, service.environment)
        for service in topology.services
    }
    found = _images(topology.services, apps, progress)
    unique = {image.id: image for images in found.values() for image in images.values() if image.id}
    in_parallel(unique.values(), archive_of(state_dir).path, workers=BUILDERS)


def archive_of(state_dir: Path) -> Archive:
    """Where the runs of ``state_dir`` keep saved images."""
    return Archive(state_dir / "images")


def _render(topology: Topology, deployment: Deployment) -> dict[str, dict[str, dict[str, str]]]:
    return {
        service.name: {
            node: dict(render.render_service(topology, deployment, service, node)) for node in service.nodes
        }
        for service in topology.services
    }


def _app(service: Service, rendered: Mapping[str, Mapping[str, str]]) -> AppFiles:
    files = rendered[service.nodes[0]]
    return read_app(files[COMPOSE], service.compose, parse_environment(files.get(".env", "")))


def parse_environment(text: str) -> dict[str, str]:
    """``NAME=value`` lines as a mapping; quotes around a value are taken off."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}


def _images(services: Sequence[Service], apps: Mapping[str, AppFiles], progress: Progress) -> Images:
    """Build what is missing, and find the ids of everything that this machine has."""
    named: dict[str, dict[str, str]] = {service.name: {} for service in services}
    builds: dict[str, tuple[str, Build]] = {}
    bases = _bases(apps)
    for service in services:
        for container in apps[service.name].containers:
            reference = container.image
            if container.build:
                name = service.name
                if container.name != service.name:
                    name += f"-{container.name}"
                reference = reference_of(name, container.build, _ids_of(container.build, bases))
                builds[reference] = (name, container.build)
            named[service.name][container.name] = reference
    references = {reference for images in named.values() for reference in images.values()}
    found = _build_missing(builds, references, progress)
    return {
        service: {name: found.get(reference, Image(reference, "")) for name, reference in images.items()}
        for service, images in named.items()
    }


def _bases(apps: Mapping[str, AppFiles]) -> dict[str, str]:
    builds = [container.build for app in apps.values() for container in app.containers if container.build]
    found = local_images([base for build in builds for base in bases_of(build)])
    return {name: image.id for name, image in found.items()}


def _ids_of(build: Build, bases: Mapping[str, str]) -> dict[str, str]:
    return {base: bases[base] for base in bases_of(build) if base in bases}


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

    in_parallel(missing, build, workers=BUILDERS)
    if missing:
        found |= local_images(missing)
    return found


def _bring(access: Access, bundle: Bundle, archive: Archive, progress: Progress) -> bool:
    """Deploy one service to one node; False when it is there already."""
    try:
        remote.wait_until_ready(access, bundle.node)
        if remote.is_deployed(access, bundle):
            return False
        with progress.step(f"ship {bundle.label}"):
            remote.ship_images(access, bundle, archive)
            remote.install(access, bundle)
        with progress.step(f"start {bundle.label}"):
            remote.start(access, bundle)
        with progress.step(f"healthy {bundle.label}"):
            remote.wait_until_healthy(access, bundle)
        remote.mark_deployed(access, bundle)
    except (CommandError, WaitTimeoutError) as error:
        raise ResourceError("service", bundle.label, str(error)) from error
    return True
