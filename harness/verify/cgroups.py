"""Whether Judge0 has the cgroups that it needs, here and on the image that the topology names.

Up to 1.13.1, its newest release, Judge0's own sandbox (``isolate`` 1) needs cgroup v1: on a machine with v2
every submission ends in Internal Error. Emulated droplets have this machine's cgroups, a cloud's have their
image's, so a Judge0 that needs v1 may do well here and fail there, or the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.compose import ComposeProject, Container, containers
from harness.core.errors import CheckFailedError, InconclusiveError
from harness.deploy.images import bases_of
from harness.provision.machine_images import UNKNOWN, Machine, promised, why_no_v1
from harness.topology.model import Droplet, Service, StackService, Topology

NEWEST = (1, 13, 1)  # the last release of Judge0 whose isolate needs v1; there is none after it
IMAGE = re.compile(r"(?:[\w-]+[.:][\w.:-]*/)?judge0/(?:judge0|api)(?::(?P<tag>[\w.-]+))?(?:@\S+)?")
ISOLATE = re.compile(r"isolator\s+(\d+)")
REFERENCE = "Wavetank"
NEEDED = "v1"


@dataclass(frozen=True)
class Need:
    """Nodes that need cgroup v1, and the reason."""

    nodes: tuple[str, ...]
    why: str


def by_images(topology: Topology, apps: Mapping[str, ComposeProject]) -> tuple[Need, ...]:
    """The needs by the application's compose files and Dockerfiles. ``apps`` by the services' names."""
    services: list[Service | StackService] = [*topology.services, *_stack(topology)]
    found = ((service, name) for service in services for name in _names(containers(apps[service.name])))
    return tuple(
        Need(service.nodes, f"service {service.name} is made from {name}")
        for service, name in found
        if is_old_image(name)
    )


def by_answers(topology: Topology, about: Any, isolate: str) -> tuple[Need, ...]:
    """The needs by a running Judge0's ``/about`` (JSON) and ``/isolate`` (text; empty: no answer)."""
    endpoint = topology.checks.judge0
    if endpoint is None or not needs_v1(about, isolate):
        return ()
    running = next((each.nodes for each in _stack(topology) if each.name == endpoint.service), ())
    nodes = endpoint.workers or running or (endpoint.node,)
    return (Need(nodes, f"Judge0 says that it is {about['version']}"),)


def is_old_image(name: str) -> bool:
    """Whether an image is one of Judge0's releases that need cgroup v1; without a tag it is the newest."""
    found = IMAGE.fullmatch(name)
    return found is not None and _is_old(found["tag"] or "latest")


def needs_v1(about: Any, isolate: str) -> bool:
    """Whether a Judge0 with these answers runs programs with an ``isolate`` that needs cgroup v1."""
    if not isinstance(about, Mapping) or str(about.get("maintainer", "")).startswith(REFERENCE):
        return False
    if match := ISOLATE.search(isolate):
        return int(match[1]) < 2
    return _is_old(str(about.get("version", "")))


def judge(needs: Iterable[Need], topology: Topology, found: Mapping[str, Machine], *, emulated: bool) -> None:
    """Raise ``CheckFailedError`` or ``InconclusiveError`` for the first node without what it needs."""
    for need in needs:
        for node in need.nodes:
            _judge(need, topology.droplets[node], found.get(node, UNKNOWN), emulated=emulated)


def _judge(need: Need, droplet: Droplet, machine: Machine, *, emulated: bool) -> None:
    node, slug, image = droplet.name, droplet.image, promised(droplet)
    what = f"{need.why}, which needs cgroup v1"
    remedy = f"\n  remedy: {why_no_v1(image)}, or take a Judge0 whose isolate is 2"
    if not machine.cgroup:
        raise InconclusiveError(
            f"{what}, and {node} does not show which it has\n  remedy: see `wavetank logs`"
        )
    if not emulated or image.cgroup == machine.cgroup:
        if machine.cgroup != NEEDED:
            raise CheckFailedError(f"{what}, and {node} ({slug}) has {machine.cgroup}{remedy}")
        return
    if not image.cgroup:
        raise InconclusiveError(
            f"{what}; the emulated {node} has {machine.cgroup}, and what {slug} has is not known here\n"
            "  remedy: check it on DigitalOcean (--target do)"
        )
    if image.cgroup == NEEDED:
        raise InconclusiveError(
            f"{what}; {slug} is made to have it, but the emulated {node} has {machine.cgroup}, so what "
            "Judge0 does here says nothing\n  remedy: take a machine with cgroup v1, or --target do"
        )
    raise InconclusiveError(
        f"{what}; the emulated {node} has it, but {slug} has {image.cgroup}: there every submission ends in "
        f"Internal Error{remedy}"
    )


def _names(containers: Iterable[Container]) -> Iterable[str]:
    for each in containers:
        yield from bases_of(each.build) if each.build else (each.image,)


def _stack(topology: Topology) -> tuple[StackService, ...]:
    return topology.swarm.services if topology.swarm else ()


def _is_old(version: str) -> bool:
    """``latest`` and tags without a version are the newest release."""
    numbers = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return numbers is None or tuple(int(each or 0) for each in numbers.groups()) <= NEWEST
