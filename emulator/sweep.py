"""Machines whose emulator is no more: found by their labels, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

from harness.core.errors import EngineError

EMULATOR, STATE = "wavetank.emulator", "wavetank.state"


def sweep() -> Iterator[str]:
    """Remove what belongs to emulators whose state directory is gone; yields a line for each of them.

    Raises ``EngineError`` if the engine cannot be asked, ``PlaneError`` if something cannot be removed.
    """
    from emulator.docker import DockerPlane

    for instance, state in sorted(orphans().items()):
        plane = DockerPlane(instance, state)
        plane.destroy_all()
        plane.close()
        yield f"{instance}: removed what {state} had left"


def orphans() -> dict[str, Path]:
    """The emulators, by instance, whose state directory no longer exists. Raises ``EngineError``."""
    found: dict[str, Path] = {}
    try:
        client = docker.from_env()
        try:
            machines = client.containers.list(all=True, filters={"label": EMULATOR}, ignore_removed=True)
            volumes = client.volumes.list(filters={"label": EMULATOR})
        finally:
            client.close()
    except docker.errors.DockerException as error:
        raise EngineError(f"the Docker engine cannot be asked: {error}") from error
    for labels in [machine.labels for machine in machines] + [
        volume.attrs.get("Labels") or {} for volume in volumes
    ]:
        state = Path(labels.get(STATE, ""))
        if labels.get(STATE) and not state.exists():
            found[labels[EMULATOR]] = state
    return found
