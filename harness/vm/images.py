"""Which images a run of a topology needs: the emulator's own and the application's."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.core.errors import EngineError
from harness.core.progress import Progress
from harness.deploy import base, read_apps
from harness.deploy.engine import Image, local_images
from harness.deploy.gather import gather
from harness.topology.model import Service, StackService, Topology
from harness.vm.command import run

BUILD_SECONDS = 1800.0


def emulators(project: Path) -> list[Image]:
    """The emulator's images, built from ``project`` where missing. Raises ``CommandError``."""
    built = run(
        [sys.executable, "-m", "emulator.docker.images"], deadline=BUILD_SECONDS, directory=project
    ).split()
    return list(local_images([*built, base.NAME]).values())


def applications(topology: Topology, progress: Progress) -> list[Image]:
    """The application's images, built where they are missing. Raises as ``deploy`` does for images.

    Raises ``EngineError`` for an image that is not here: a guest cannot pull.
    """
    services: list[Service | StackService] = [*topology.services]
    services += topology.swarm.services if topology.swarm else ()
    found = gather(services, read_apps(topology), progress)
    images = {image.reference: image for each in found.values() for image in each.values()}
    for image in images.values():
        if not image.id:
            raise EngineError(f"{image.reference} is not on this machine: `docker pull` it, the guest cannot")
    return list(images.values())
