"""The images of a stack, on every node that may run them, and the ids by which the stack names them.

An engine asks a registry for an image that a service names by a name, even if it has the image; it does not
ask for one that is named by its id. And an id says exactly which bytes run, on every node.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import ResourceError
from harness.core.parallel import in_parallel
from harness.core.progress import Progress
from harness.deploy import remote
from harness.deploy.engine import Image
from harness.deploy.gather import Images
from harness.deploy.images import Archive
from harness.topology.model import StackService

WORKERS = 16
IDS = "docker image inspect --format '{{{{.Id}}}}' {references}"


def distribute(
    access: Access, services: Sequence[StackService], images: Images, archive: Archive, progress: Progress
) -> Images:
    """Ship each service's images to all of its nodes; returns them with the ids that the nodes have.

    Raises ``ResourceError`` for an image that does not reach a node, or that differs between nodes, as it may
    when nodes pulled the same name at different times.
    """
    wanted = by_node(services, images)

    def ship(node: str) -> Mapping[str, str]:
        remote.wait_until_ready(access, node)
        with progress.step(f"images {node}"):
            remote.ship_images(access, node, wanted[node], archive)
        return _ids(access, node, wanted[node])

    found = dict(
        zip(wanted, in_parallel([partial(ship, node) for node in wanted], workers=WORKERS), strict=True)
    )
    ids = _agreed(found)
    return {
        service: {name: replace(image, id=ids[image.reference]) for name, image in listed.items()}
        for service, listed in images.items()
    }


def by_node(services: Sequence[StackService], images: Images) -> dict[str, list[Image]]:
    """The images that each node needs, each once."""
    wanted: dict[str, dict[str, Image]] = {}
    for service in services:
        for node in service.nodes:
            wanted.setdefault(node, {}).update(
                (image.reference, image) for image in images[service.name].values()
            )
    return {node: list(listed.values()) for node, listed in wanted.items()}


def _ids(access: Access, node: str, images: Sequence[Image]) -> dict[str, str]:
    references = [image.reference for image in images]
    script = IDS.format(references=" ".join(map(shlex.quote, references)))
    return dict(zip(references, access.run(node, script).split(), strict=True))


def _agreed(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The id of each image by its reference, the same on all nodes."""
    ids: dict[str, str] = {}
    for node, listed in found.items():
        for reference, each in listed.items():
            if ids.setdefault(reference, each) != each:
                other = next(name for name, them in found.items() if them.get(reference) == ids[reference])
                problem = f"is {each[:19]} on {node} and {ids[reference][:19]} on {other}"
                remedy = "have it on this machine, from where it is shipped to all, or name it by its digest"
                raise ResourceError("image", reference, f"{problem}: {remedy}")
    return ids
