"""Bring a stack to its swarm: members, images, configs and secrets, ``docker stack deploy``, and convergence.

The stack file that was deployed last is stored in the swarm itself, as a config: the marker. Whoever deploys
next, from any machine, by any manager, finds it.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.deploy.deploy import saved_images
from harness.deploy.engine import programs
from harness.deploy.gather import Images, gather
from harness.deploy.remote import wait_until_ready
from harness.stack import Source, Stack, convert, secret_names
from harness.swarm import cluster, snapshot
from harness.swarm.converge import State, converge, inspect_stack, shortfall
from harness.swarm.images import distribute
from harness.swarm.kernel import kernel
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import Topology
from harness.topology.rendering import projects
from harness.topology.rendering.render import RenderedStack

Kind = Literal["config", "secret"]

DEPLOY_SECONDS = 120.0
NAMES = "docker config ls --format 'config {{.Name}}'; docker secret ls --format 'secret {{.Name}}'"
STACK_LABEL = "label=com.docker.stack.namespace={stack}"
CREATE = "docker {kind} create --label com.docker.stack.namespace={stack} {name} - >/dev/null"
DEPLOY = "docker stack deploy --compose-file - --resolve-image never --prune {stack}"
MARKER = "stack"


@dataclass(frozen=True)
class DeployedStack:
    """A stack that runs. ``changed``: what was changed in the swarm, and each new ``service@swarm``."""

    stack: Stack
    state: State
    changed: tuple[str, ...]


def deploy(
    topology: Topology, deployment: Deployment, access: Access, *, progress: Progress
) -> DeployedStack:
    """Make the topology's stack run in its swarm and wait until it has converged.

    Where the same stack runs already, nothing is touched, and replicas stay as they were scaled. Raises
    ``TopologyError`` for application files that a stack cannot carry, ``ResourceError`` for an image, member
    or service that failed, with its message.
    """
    swarm = topology.swarm
    assert swarm is not None
    if swarm.overlay.encrypted:
        require_esp(access, topology)
    rendered = {each.name: projects.render_for_stack(topology, deployment, each) for each in swarm.services}
    with progress.step("swarm: images"):
        images = _images(topology, rendered, progress)
    archive = saved_images()
    try:
        with progress.step("swarm: members and images"):
            changed, images = _form_and_distribute(topology, deployment, access, images, progress)
    finally:
        archive.prune()
    stack = convert(
        topology, sources(topology, deployment, rendered, images), ipvs=has_ipvs(access, topology)
    )
    for note in stack.notes:
        progress.note(f"stack: {note}")
    manager = snapshot.a_manager(access, topology)
    before = inspect_stack(access, topology, deployment, manager)
    marker = marker_name(swarm.stack, stack.text)
    if is_deployed(access, manager, marker) and not shortfall(before, [each.name for each in swarm.services]):
        return DeployedStack(stack, before, changed)
    with progress.step("swarm: stack"):
        _deploy_stack(access, manager, swarm.stack, stack)
        state = converge(access, topology, deployment, before=before, progress=progress)
        _store_marker(access, manager, swarm.stack, marker, stack.text)
        _remove_old(access, manager, swarm.stack, {marker, *stack.configs, *stack.secrets})
    return DeployedStack(stack, state, (*changed, *changed_services(before, state)))


def changed_services(before: State, after: State) -> tuple[str, ...]:
    """The services that have a running task that they did not have before."""
    old = {each.id for each in before.tasks}
    new = (
        service.name for service in after.services if {one.id for one in after.running(service.name)} - old
    )
    return tuple(f"{name}@swarm" for name in new)


def sources(
    topology: Topology,
    deployment: Deployment | None,
    rendered: Mapping[str, RenderedStack],
    images: Images,
) -> list[Source]:
    """The input of the conversion, one source for each service."""
    assert topology.swarm is not None
    passwords = secrets_of(deployment) if deployment else ()
    found = []
    for service in topology.swarm.services:
        files, own = rendered[service.name], images[service.name]
        known_programs = programs(tuple({each.reference: each for each in own.values()}.values()))
        known = {
            name: known_programs[image.reference]
            for name, image in own.items()
            if image.reference in known_programs
        }
        found.append(
            Source(
                service=service,
                text=files.text,
                environment=files.environment,
                secret=secret_names(files.environment, passwords),
                files=files.files,
                more=files.more,
                passwords=passwords,
                images=own,
                programs={name: entrypoint + command for name, (entrypoint, command) in known.items()},
                entrypoints={name: entrypoint for name, (entrypoint, _) in known.items()},
            )
        )
    return found


def has_ipvs(access: Access, topology: Topology) -> bool:
    """Whether the kernels of all nodes that run tasks support virtual addresses."""
    assert topology.swarm is not None
    nodes = dict.fromkeys(node for service in topology.swarm.services for node in service.nodes)
    return all(each.ipvs for each in in_parallel([partial(kernel, access, node) for node in nodes]))


def require_esp(access: Access, topology: Topology) -> None:
    """Raise ``ResourceError`` where a member's kernel has no ESP, so an encrypted overlay fails."""
    in_parallel([partial(wait_until_ready, access, node) for node in topology.droplets])
    found = in_parallel([partial(kernel, access, node) for node in topology.droplets])
    lacking = [node for node, each in zip(topology.droplets, found, strict=True) if not each.esp]
    if lacking:
        problem = (
            f"the kernel of {', '.join(lacking)} has no ESP, so nothing would cross its encrypted network: "
            "take `encrypted: false`, or a kernel that has it (`make local-vm` brings one)"
        )
        raise ResourceError("swarm", topology.name, problem)


def _images(topology: Topology, rendered: Mapping[str, RenderedStack], progress: Progress) -> Images:
    assert topology.swarm is not None
    read = [
        partial(projects.stack_project, topology, each, rendered[each.name])
        for each in topology.swarm.services
    ]
    apps = dict(zip(rendered, in_parallel(read, workers=projects.READERS), strict=True))
    return gather(topology.swarm.services, apps, progress)


def _form_and_distribute(
    topology: Topology, deployment: Deployment, access: Access, images: Images, progress: Progress
) -> tuple[tuple[str, ...], Images]:
    """Form the swarm while images are sent to the nodes."""
    assert topology.swarm is not None
    services, archive = topology.swarm.services, saved_images()
    shipped: list[Images] = []
    formed: list[tuple[str, ...]] = []
    in_parallel(
        [
            lambda: shipped.append(distribute(access, services, images, archive, progress)),
            lambda: formed.append(cluster.form(access, topology, deployment, progress=progress)),
        ]
    )
    return formed[0], shipped[0]


def marker_name(stack: str, text: str) -> str:
    """The name of the config that marks exactly this stack file as deployed."""
    return f"{stack}_{MARKER}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _existing(access: Access, manager: str) -> set[tuple[str, str]]:
    """Kind and name of every config and secret."""
    lines = access.run(manager, NAMES).splitlines()
    return {(kind, name) for kind, _, name in (line.partition(" ") for line in lines)}


def is_deployed(access: Access, manager: str, marker: str) -> bool:
    """Whether exactly this stack was the last to be deployed."""
    prefix = marker.rpartition("-")[0]
    found = {
        name for kind, name in _existing(access, manager) if kind == "config" and name.startswith(prefix)
    }
    return found == {marker}


def _deploy_stack(access: Access, manager: str, name: str, stack: Stack) -> None:
    """Create the configs and secrets of the stack that are missing, and deploy it. Contents go by stdin.

    Raises ``ResourceError`` with Docker's message.
    """
    there = _existing(access, manager)
    wanted: Sequence[tuple[Kind, Mapping[str, bytes]]] = (
        ("config", stack.configs),
        ("secret", stack.secrets),
    )
    jobs = [
        partial(create, access, manager, name, kind, name=each, content=content)
        for kind, contents in wanted
        for each, content in contents.items()
        if (kind, each) not in there
    ]
    in_parallel(jobs)
    script = DEPLOY.format(stack=shlex.quote(name))
    try:
        access.run(manager, script, stdin=stack.text.encode(), deadline=DEPLOY_SECONDS)
    except CommandError as error:
        raise ResourceError("stack", name, f"was not deployed: {error.output.strip()[-2000:]}") from error


def create(access: Access, manager: str, stack: str, kind: Kind, *, name: str, content: bytes) -> None:
    """Create one config or secret of the stack."""
    script = CREATE.format(kind=kind, stack=shlex.quote(stack), name=shlex.quote(name))
    try:
        access.run(manager, script, stdin=content)
    except CommandError as error:
        raise ResourceError(kind, name, f"could not be created: {error.output.strip()}") from error


def _store_marker(access: Access, manager: str, stack: str, marker: str, text: str) -> None:
    """Store the stack file in the swarm, as the marker."""
    if ("config", marker) not in _existing(access, manager):
        create(access, manager, stack, "config", name=marker, content=text.encode())


def _remove_old(access: Access, manager: str, stack: str, wanted: set[str]) -> None:
    """Remove configs and secrets of earlier deployments. Those in use by a task stay until the next time."""
    label = shlex.quote(STACK_LABEL.format(stack=stack))
    for kind in ("config", "secret"):
        names = access.run(manager, f"docker {kind} ls --filter {label} --format '{{{{.Name}}}}'").split()
        if old := [name for name in names if name not in wanted]:
            access.run(manager, f"docker {kind} rm {shlex.join(old)} >/dev/null 2>&1 || true")
