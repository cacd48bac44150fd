"""Deploy every service to its nodes: build, ship, start, wait. What is there already stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from threading import Event

from harness.access.ssh import Access
from harness.compose import ComposeProject, containers
from harness.core import programs
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.parallel import in_parallel
from harness.core.paths import cache_dir
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy import order, remote
from harness.deploy.bundle import Bundle, make_bundle
from harness.deploy.gather import BUILDERS, gather
from harness.deploy.images import Archive
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Service, StackService, Topology
from harness.topology.rendering import changes, headers, projects

NEEDED_SECONDS = 3600.0  # each of them ends before, for its steps have deadlines
WORKERS = 32  # services wait for each other's health, so they are deployed in parallel


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
    keys = [(each, node) for each in topology.services for node in each.nodes]
    read = [partial(projects.node_project, topology, deployment, each, node) for each, node in keys]
    found = in_parallel(read, workers=projects.READERS)
    places = {(each.name, node): one for (each, node), one in zip(keys, found, strict=True)}
    apps = {
        each.name: projects.everywhere(places[each.name, node].project for node in each.nodes)
        for each in topology.services
    }
    with progress.step("deploy: images"):
        images = gather(topology.services, apps, progress)
    bundles = [
        make_bundle(service, node, found.files, found.project, images[service.name])
        for service in topology.services
        for node in service.nodes
        for found in [places[service.name, node]]
    ]
    archive, needs = saved_images(), order.needs(topology, bundles)
    # One that waits for another is begun after it: so all go on, however many there are.
    ordered = order.first_the_needed(bundles, needs)
    ended = {each.label: Event() for each in bundles}
    jobs = [
        partial(
            _deploy_bundle,
            _Job(access, archive, progress, ended, needs[bundle.label]),
            bundle,
            headers.health(topology, deployment, bundle.service, bundle.node),
        )
        for bundle in ordered
    ]
    try:
        new = in_parallel(jobs, workers=WORKERS, interrupt=access.interrupt)
    finally:
        access.resume()
    archive.prune()
    changed = {bundle.label for bundle, one in zip(ordered, new, strict=True) if one}
    labels = tuple(bundle.label for bundle in bundles)
    return DeployResult(tuple(label for label in labels if label in changed), labels)


def prepare_images(topology: Topology, *, progress: Progress) -> None:
    """Build and save the application's images ahead of time, as while droplets are still being made.

    Only saves time: ``deploy`` does whatever is missing, and whatever is built with values of a deployment
    that is not there yet. Raises as ``deploy`` does for images.
    """
    services = [each for each in _all_services(topology) if not changes.builds_with_expressions(each.changes)]
    apps = read_apps(topology)
    found = gather(services, {each.name: apps[each.name] for each in services}, progress)
    unique = {image.id: image for images in found.values() for image in images.values() if image.id}
    archive = saved_images()
    in_parallel([partial(archive.path, image) for image in unique.values()], workers=BUILDERS)


def read_apps(topology: Topology) -> dict[str, ComposeProject]:
    """What the compose files of all services say, by the services' names. Raises ``TopologyError``."""
    return projects.read_all(topology)


def require_programs(topology: Topology) -> None:
    """Raise ``MissingProgramError`` where this machine lacks what deploying the topology takes."""
    built = any(each.build for app in read_apps(topology).values() for each in containers(app))
    programs.require("ssh", *(["docker"] if built else []))


def _all_services(topology: Topology) -> list[Service | StackService]:
    return [*topology.services, *(topology.swarm.services if topology.swarm else ())]


def saved_images() -> Archive:
    """Where all runs of this user keep saved images."""
    return Archive(cache_dir() / "images")


@dataclass(frozen=True)
class _Job:
    """What deploying a bundle takes. ``ended`` are set as bundles end, well or not; ``needs`` names some."""

    access: Access
    archive: Archive
    progress: Progress
    ended: Mapping[str, Event]
    needs: frozenset[str]

    def await_needed(self) -> None:
        """Wait until those that this one connects to have ended; each has deadlines of its own."""

        def probe() -> None:
            if left := sorted(label for label in self.needs if not self.ended[label].is_set()):
                raise NotYet(f"{', '.join(left)} is under way")

        wait_for("services that it connects to", probe, deadline=NEEDED_SECONDS, max_pause=0.1)


def _deploy_bundle(job: _Job, bundle: Bundle, asked: Mapping[str, str]) -> bool:
    """Deploy one service to one node; False when it is there already. ``asked``: its health headers."""
    try:
        return _deployed_anew(job, bundle, asked)
    finally:
        job.ended[bundle.label].set()


def _deployed_anew(job: _Job, bundle: Bundle, asked: Mapping[str, str]) -> bool:
    access, progress = job.access, job.progress
    try:
        remote.wait_until_ready(access, bundle.node)
        if remote.is_deployed(access, bundle):
            return False
        with progress.step(f"ship {bundle.label}"):
            remote.ship_images(access, bundle.node, bundle.images.values(), job.archive)
            remote.install(access, bundle)
        with progress.step(f"start {bundle.label}"):
            remote.start(access, bundle)
        if bundle.service.health:
            job.await_needed()
        with progress.step(f"healthy {bundle.label}"):
            remote.wait_until_healthy(access, bundle, asked)
        remote.mark_deployed(access, bundle)
    except (CommandError, WaitTimeoutError) as error:
        raise ResourceError("service", bundle.label, str(error)) from error
    return True
