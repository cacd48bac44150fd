"""The engine, and what every container of an emulator has in common: labels, and errors made ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

from emulator.planes.base import PlaneError
from harness.core.errors import WaitTimeoutError
from harness.core.wait import NotYet, scaled, wait_for

API_SECONDS = 120
REMEDY = "start Docker (or run `wavetank setup`), and see that you may use it (group `docker`)"


@dataclass(frozen=True)
class Owner:
    """Whose containers these are: an emulator's name and its state directory."""

    instance: str
    state_dir: Path

    def labels(self, kind: str, ref: str = "") -> dict[str, str]:
        """Labels of a container or volume of this emulator."""
        labels = {
            "wavetank.emulator": self.instance,
            "wavetank.kind": kind,
            "wavetank.state": str(self.state_dir),
        }
        return labels | ({"wavetank.ref": ref} if ref else {})

    def name(self, what: str) -> str:
        """A container's name."""
        return f"wt-{self.instance}-{what}"

    @property
    def filter(self) -> dict[str, str]:
        """The engine's filter for all that is this emulator's."""
        return {"label": f"wavetank.emulator={self.instance}"}


def connect() -> docker.DockerClient:
    """Connect to the engine. Raises ``PlaneError`` with the remedy when none answers."""
    try:
        engine = docker.from_env(timeout=round(scaled(API_SECONDS)))
        engine.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise PlaneError(f"no Docker engine answers: {error}; {REMEDY}") from error
    return engine


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn the engine's errors into ``PlaneError``, with the operation that failed."""
    try:
        yield
    except docker.errors.APIError as error:
        raise PlaneError(f"{what}: the engine says: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise PlaneError(f"{what}: the engine does not answer: {error}; {REMEDY}") from error


def create(
    engine: docker.DockerClient, image: str, name: str, *, host: Mapping[str, Any], **config: Any
) -> str:
    """Create a container from a raw host configuration (the SDK's own knows less) and return its id."""
    with asking(f"creating the container {name}"):
        base = engine.api.create_host_config()
        made = engine.api.create_container(image, name=name, host_config=base | dict(host), **config)
    return str(made["Id"])


def find(engine: docker.DockerClient, name: str) -> dict[str, Any] | None:
    """What the engine knows of a container, or None."""
    with asking(f"looking at the container {name}"):
        try:
            found: dict[str, Any] = engine.api.inspect_container(name)
        except docker.errors.NotFound:
            return None
    return found


def remove(engine: docker.DockerClient, name: str) -> None:
    """Remove a container with its anonymous volumes; nothing happens if there is none."""
    with asking(f"removing the container {name}"):
        try:
            engine.api.remove_container(name, v=True, force=True)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if "already in progress" not in str(error):
                raise


def execute(
    engine: docker.DockerClient,
    container: str,
    argv: Sequence[str],
    environment: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Run a program in a container: its exit code, and what it wrote to both of its streams.

    Not the SDK's ``exec_start``: it reads the bare socket, and loses what came together with the headers.
    A plain response, without an upgrade of the connection, is read to its end by the HTTP client.
    """
    api: Any = engine.api
    made = api.exec_create(container, list(argv), environment=dict(environment or {}))["Id"]
    url, body = api._url("/exec/{0}/start", made), {"Tty": False, "Detach": False}
    response = api._post_json(url, data=body, stream=True)
    output = b"".join(api._multiplexed_buffer_helper(response))

    def ended() -> int:
        code = api.exec_inspect(made)["ExitCode"]
        if code is None:
            raise NotYet(f"{argv[0]} has closed its output, and runs")
        return int(code)

    try:
        return wait_for(f"the end of {argv[0]} in {container}", ended, deadline=API_SECONDS), output
    except WaitTimeoutError as error:
        raise PlaneError(str(error)) from error


@dataclass(frozen=True)
class Owned:
    """A container that carries an emulator's label."""

    id: str
    kind: str
    ref: str
    running: bool


def owned(engine: docker.DockerClient, owner: Owner) -> list[Owned]:
    """All containers of an emulator, whatever their state."""
    with asking("listing containers"):
        listed = engine.api.containers(all=True, filters=owner.filter)
    return [_owned(entry) for entry in listed]


def _owned(entry: Mapping[str, Any]) -> Owned:
    labels = entry["Labels"]
    running = entry["State"] == "running"
    return Owned(entry["Id"], labels.get("wavetank.kind", ""), labels.get("wavetank.ref", ""), running)


def anonymous_volume(target: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A volume that goes with its container, labelled all the same."""
    return {"Type": "volume", "Target": target, "VolumeOptions": {"Labels": dict(labels)}}
