"""Bring a stack to its swarm: members, images, configs and secrets, ``docker stack deploy``, and convergence.

What was deployed last is kept in the swarm itself, as a config that holds the stack file: whoever comes next,
from whichever machine, to whichever manager, finds it.
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
from harness.deploy.appfiles import read_app
from harness.deploy.deploy import saved_images
from harness.deploy.engine import programs
from harness.deploy.gather import Images, gather
from harness.deploy.remote import wait_until_ready
from harness.stack import Source, Stack, convert, secret_names
from harness.swarm import cluster, snapshot
from harness.swarm.converge import State, converge, look_at, short_of
from harness.swarm.images import spread
from harness.swarm.kernel import kernel
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import Topology
from harness.topology.rendering import render
from harness.topology.rendering.render import RenderedStack

Kind = Literal["config", "secret"]

DEPLOY_SECONDS = 120.0
NAMES = "docker config ls --format 'config {{.Name}}'; docker secret ls --format 'secret {{.Name}}'"
OURS = "label=com.docker.stack.namespace={stack}"
CREATE = "docker {kind} create --label com.docker.stack.namespace={stack} {name} - >/dev/null"
DEPLOY = "docker stack deploy --compose-file - --resolve-image never --prune {stack}"
KEPT = "stack"


@dataclass(frozen=True)
class Stacked:
    """A stack that runs. ``changed``: what was done about the swarm, in words, and ``service@swarm`` anew."""

    stack: Stack
    state: State
    changed: tuple[str, ...]


def deploy(topology: Topology, deployment: Deployment, access: Access, *, progress: Progress) -> Stacked:
    """Make the topology's stack run in its swarm and wait until it has converged.

    Where the same stack runs already, nothing is touched, and replicas stay as they were scaled. Raises
    ``TopologyError`` for application files that a stack cannot carry, ``ResourceError`` for an image, member
    or service that failed, with what it said.
    """
    swarm = topology.swarm
    assert swarm is not None
    if swarm.overlay.encrypted:
        insist_on_esp(access, topology)
    rendered = {each.name: render.render_stack_service(topology, deployment, each) for each in swarm.services}
    with progress.step("swarm: images"):
        images = _images(topology, rendered, progress)
    archive = saved_images()
    try:
        with progress.step("swarm: members and images"):
            changed, images = _both(topology, deployment, access, images, progress)
    finally:
        archive.prune()
    stack = convert(
        topology, sources(topology, deployment, rendered, images), ipvs=has_ipvs(access, topology)
    )
    for note in stack.notes:
        progress.note(f"stack: {note}")
    manager = snapshot.a_manager(access, topology)
    before = look_at(access, topology, deployment, manager)
    kept = kept_name(swarm.stack, stack.text)
    if is_deployed(access, manager, kept) and not short_of(before, [each.name for each in swarm.services]):
        return Stacked(stack, before, changed)
    with progress.step("swarm: stack"):
        order(access, manager, swarm.stack, stack)
        state = converge(access, topology, deployment, before=before, progress=progress)
        remember(access, manager, swarm.stack, kept, stack.text)
        forget(access, manager, swarm.stack, {kept, *stack.configs, *stack.secrets})
    return Stacked(stack, state, (*changed, *changed_services(before, state)))


def changed_services(before: State, after: State) -> tuple[str, ...]:
    """The services that have a running task that they had not before."""
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
    """What the conversion is made from, a service each."""
    assert topology.swarm is not None
    passwords = secrets_of(deployment) if deployment else ()
    found = []
    for service in topology.swarm.services:
        said, own = rendered[service.name], images[service.name]
        does = programs(tuple({each.reference: each for each in own.values()}.values()))
        known = {name: does[image.reference] for name, image in own.items() if image.reference in does}
        found.append(
            Source(
                service=service,
                text=said.text,
                environment=said.environment,
                secret=secret_names(said.environment, passwords),
                files=said.files,
                images=own,
                programs={name: entrypoint + command for name, (entrypoint, command) in known.items()},
                entrypoints={name: entrypoint for name, (entrypoint, _) in known.items()},
            )
        )
    return found


def has_ipvs(access: Access, topology: Topology) -> bool:
    """Whether the kernels of all nodes that run tasks have what virtual addresses need."""
    assert topology.swarm is not None
    nodes = dict.fromkeys(node for service in topology.swarm.services for node in service.nodes)
    return all(each.ipvs for each in in_parallel([partial(kernel, access, node) for node in nodes]))


def insist_on_esp(access: Access, topology: Topology) -> None:
    """Raise ``ResourceError`` where an encrypted overlay carries nothing: a member's kernel has no ESP."""
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
    apps = {
        each.name: read_app(rendered[each.name].text, each.compose, rendered[each.name].environment)
        for each in topology.swarm.services
    }
    return gather(topology.swarm.services, apps, progress)


def _both(
    topology: Topology, deployment: Deployment, access: Access, images: Images, progress: Progress
) -> tuple[tuple[str, ...], Images]:
    """Form the swarm while images are on their way."""
    assert topology.swarm is not None
    services, archive = topology.swarm.services, saved_images()
    shipped: list[Images] = []
    formed: list[tuple[str, ...]] = []
    in_parallel(
        [
            lambda: shipped.append(spread(access, services, images, archive, progress)),
            lambda: formed.append(cluster.form(access, topology, deployment, progress=progress)),
        ]
    )
    return formed[0], shipped[0]


def kept_name(stack: str, text: str) -> str:
    """The name of the config that says that exactly this was deployed."""
    return f"{stack}_{KEPT}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _existing(access: Access, manager: str) -> set[tuple[str, str]]:
    """Kind and name of every config and secret."""
    lines = access.run(manager, NAMES).splitlines()
    return {(kind, name) for kind, _, name in (line.partition(" ") for line in lines)}


def is_deployed(access: Access, manager: str, kept: str) -> bool:
    """Whether this very stack was the last to be deployed."""
    prefix = kept.rpartition("-")[0]
    found = {
        name for kind, name in _existing(access, manager) if kind == "config" and name.startswith(prefix)
    }
    return found == {kept}


def order(access: Access, manager: str, name: str, stack: Stack) -> None:
    """Create what is missing of the stack's configs and secrets, and deploy it. Contents go by stdin.

    Raises ``ResourceError`` with what Docker said.
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


def remember(access: Access, manager: str, stack: str, kept: str, text: str) -> None:
    """Keep the stack file in the swarm."""
    if ("config", kept) not in _existing(access, manager):
        create(access, manager, stack, "config", name=kept, content=text.encode())


def forget(access: Access, manager: str, stack: str, wanted: set[str]) -> None:
    """Remove configs and secrets of earlier deployments. What a task still uses stays until the next time."""
    label = shlex.quote(OURS.format(stack=stack))
    for kind in ("config", "secret"):
        names = access.run(manager, f"docker {kind} ls --filter {label} --format '{{{{.Name}}}}'").split()
        if old := [name for name in names if name not in wanted]:
            access.run(manager, f"docker {kind} rm {shlex.join(old)} >/dev/null 2>&1 || true")
