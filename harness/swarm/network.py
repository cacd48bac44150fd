"""The overlay network that a stack's services share."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError
from harness.core.wait import NotYet, wait_for
from harness.swarm.snapshot import INSPECT_EXISTING, documents
from harness.topology.model import Overlay

SECONDS = 30.0
INSPECT = INSPECT_EXISTING + "inspect_existing network inspect --format '{{json .}}' "
CREATE = "docker network create --driver overlay --attachable{options} {name} >/dev/null"
REMOVE = "docker network rm {name} >/dev/null"
USERS = """\
services=$(docker service ls -q) && [ -n "$services" ] || exit 0
docker service inspect $services \
  --format '{{.Spec.Name}}{{range .Spec.TaskTemplate.Networks}} {{.Target}}{{end}}'
"""


def ensure(access: Access, manager: str, overlay: Overlay) -> tuple[str, ...]:
    """Make sure that the network exists as the topology describes it. Returns a description of what was done.

    One that differs is created again if nothing uses it; else raises ``ResourceError`` that says how it
    differs, and who uses it.
    """
    found = find(access, manager, overlay.name)
    if found is None:
        _create(access, manager, overlay)
        return (f"made {_describe(overlay)}",)
    differs = differences(found, overlay)
    if not differs:
        return ()
    _remove(access, manager, overlay.name, found["Id"], " and ".join(differs))
    _create(access, manager, overlay)
    return (f"made {_describe(overlay)} anew: {' and '.join(differs)}",)


def find(access: Access, manager: str, name: str) -> dict[str, Any] | None:
    """The network as Docker's API describes it, None where there is none of that name."""
    listed = documents(access.run(manager, INSPECT + shlex.quote(name), deadline=SECONDS))
    return next((each for each in listed if each["Name"] == name), None)


def differences(found: Mapping[str, Any], overlay: Overlay) -> list[str]:
    """Descriptions of how a network differs from the topology's."""
    encrypted = "encrypted" in (found.get("Options") or {})
    found_differences = []
    if found["Driver"] != "overlay":
        found_differences.append(f"its driver is {found['Driver']}, not overlay")
    if not found.get("Attachable"):
        found_differences.append("it is not attachable")
    if encrypted != overlay.encrypted:
        found_differences.append(f"it is {'' if encrypted else 'not '}encrypted")
    return found_differences


def _create(access: Access, manager: str, overlay: Overlay) -> None:
    options = " --opt encrypted" if overlay.encrypted else ""
    script = CREATE.format(options=options, name=shlex.quote(overlay.name))

    def probe() -> None:
        try:
            access.run(manager, script, deadline=SECONDS)
        except CommandError as error:
            if "already exists" in error.output:  # the old one is still being removed
                raise NotYet(error.output.strip()) from error
            problem = f"could not be made: {error.output.strip()}"
            raise ResourceError("network", overlay.name, problem) from error

    wait_for(f"network {overlay.name} to be made", probe, deadline=SECONDS)


def _remove(access: Access, manager: str, name: str, found: str, differs: str) -> None:
    try:
        access.run(manager, REMOVE.format(name=shlex.quote(found)), deadline=SECONDS)
    except CommandError as error:
        users = _users(access, manager, found)
        used = f"used by {', '.join(users)}" if users else f"used: {error.output.strip()}"
        problem = (
            f"is there, but {differs}; it cannot be made anew, for it is {used}\n"
            "  remedy: remove what uses it (`docker stack rm`), or change the topology's swarm.network"
        )
        raise ResourceError("network", name, problem) from error


def _users(access: Access, manager: str, found: str) -> list[str]:
    rows = [line.split() for line in access.run(manager, USERS, deadline=SECONDS).splitlines()]
    return [row[0] for row in rows if found in row[1:]]


def _describe(overlay: Overlay) -> str:
    return f"{'encrypted ' if overlay.encrypted else ''}network {overlay.name}"
