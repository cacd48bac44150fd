"""Changing a service of a running swarm, and waiting for the result."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import tarfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, CommandError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.run.session import Session
from harness.swarm import converge, snapshot
from harness.swarm.converge import State
from harness.swarm.snapshot import ServiceState

UPDATED_SECONDS = 120.0
NO_LEADER = (CommandError,)  # for the moment in which the managers elect one
COMPLETED, ROLLED_BACK, PAUSED = "completed", "rollback_completed", "paused"
ENDED = (COMPLETED, ROLLED_BACK, PAUSED, "rollback_paused")
NOWHERE = "/nowhere/to/be/found"
UPDATE = ("docker", "service", "update", "--detach", "--no-resolve-image")


@dataclass(frozen=True)
class Image:
    """An image as ``docker load`` takes it; ``id`` is what engines call it, the same on each."""

    id: str
    archive: bytes


def update(session: Session, service: str, *options: str) -> ServiceState:
    """``docker service update OPTIONS``, and a wait for its end, successful or not.

    Raises ``CommandError`` where the engine refuses, ``WaitTimeoutError`` where it does not end.
    """
    order(session, service, *options)
    return ended(session, service)


def replace(session: Session, *services: str) -> dict[str, int]:
    """Have every task of these services replaced, at the same time; returns how many each had.

    None of the old ones is left then. The updates go on: they watch the new ones for a while. Raises
    ``CheckFailedError`` where one stopped.
    """
    manager = snapshot.a_manager(session.access, session.topology)
    before = _read_state(session, manager)
    old = {name: {each.id for each in before.running(name)} for name in services}
    for name in services:
        order(session, name, "--force")

    def probe() -> dict[str, int]:
        state = _read_state(session, manager)
        if missing := [text for name in services if (text := _unreplaced(state, name, old[name]))]:
            raise NotYet("; ".join(missing))
        return {name: len(tasks) for name, tasks in old.items()}

    awaited = f"the tasks of {' and '.join(services)} to be replaced"
    return wait_for(awaited, probe, deadline=UPDATED_SECONDS, max_pause=0.5, tolerate=NO_LEADER)


def _unreplaced(state: State, service: str, old: Collection[str]) -> str:
    """What is missing until a service runs without its ``old`` tasks; empty if nothing is."""
    found = state_of(state, service)
    if found.update in ENDED and found.update != COMPLETED:
        raise CheckFailedError(f"the update of {service} ended as {found.update}: {found.message}")
    new = {each.id for each in state.running(service)}.difference(old)
    left = [each for each in (*state.running(service), *state.leaving(service)) if each.id in old]
    if left or len(new) != found.desired:
        return f"{len(new)} of {found.desired} new tasks of {service} run, {len(left)} old ones are left"
    return ""


def order(session: Session, service: str, *options: str) -> None:
    """``docker service update OPTIONS`` on a manager. Raises ``CommandError`` where the engine refuses."""
    swarm = session.topology.swarm
    assert swarm is not None
    words = shlex.join([*UPDATE, *options, f"{swarm.stack}_{service}"])
    session.access.run(snapshot.a_manager(session.access, session.topology), words)


def ended(session: Session, service: str) -> ServiceState:
    """A service's state once its update has ended, and its tasks have settled."""
    manager = snapshot.a_manager(session.access, session.topology)

    def probe() -> ServiceState:
        state = _read_state(session, manager)
        found = state_of(state, service)
        if found.update not in ENDED:
            raise NotYet(f"{found.update or 'not begun'}: {found.message}")
        if missing := converge.shortfall(state, [service]):
            raise NotYet("; ".join(missing))
        return found

    return wait_for(
        f"the update of {service}", probe, deadline=UPDATED_SECONDS, max_pause=0.5, tolerate=NO_LEADER
    )


def _read_state(session: Session, manager: str) -> State:
    return converge.inspect_stack(session.access, session.topology, session.deployment, manager)


def state_of(state: State, service: str) -> ServiceState:
    """A service's state. Raises ``CheckFailedError`` where the stack has none of that name."""
    for each in state.services:
        if each.name == service:
            return each
    there = ", ".join(each.name for each in state.services) or "none"
    raise CheckFailedError(f"the stack has no service {service!r}; there are {there}")


def broken_image() -> Image:
    """An image whose command does not exist: made here of nothing, so that its id is the same everywhere."""
    layer = io.BytesIO()
    tarfile.open(fileobj=layer, mode="w").close()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": [NOWHERE], "Labels": {"wavetank.broken": "on purpose"}},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
            "history": [{"created": "1970-01-01T00:00:00Z"}],
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    files = {"config.json": config, "layer.tar": layer.getvalue(), "manifest.json": manifest}
    return Image(_digest(config), _tar(files))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@contextmanager
def loaded(access: Access, nodes: Sequence[str], image: Image) -> Iterator[None]:
    """Have an image on ``nodes`` for as long as the block takes."""
    in_parallel([partial(access.run, node, "docker load -q", stdin=image.archive) for node in nodes])
    try:
        yield
    finally:
        in_parallel([partial(_remove, access, node, image.id) for node in nodes])


def _remove(access: Access, node: str, image: str) -> None:
    """Containers that never started use an image, too: they are removed first."""
    access.run(
        node,
        f"docker ps -aq --filter ancestor={image} | xargs -r docker rm -f >/dev/null; "
        f"docker image rm -f {image} >/dev/null",
    )
