"""The fabric container: made once for each emulator, found again by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import docker

from emulator.docker.engine import Owner, asking, create, find, remove
from emulator.docker.fabric import layout
from emulator.planes.base import PlaneError
from harness.core.errors import WaitTimeoutError
from harness.core.wait import NotYet, scaled, wait_for

READY_SECONDS = 30.0
CAPABILITIES = [
    "NET_ADMIN",
    "NET_RAW",
    "NET_BIND_SERVICE",
    "SYS_ADMIN",
    "SYS_PTRACE",
    "DAC_OVERRIDE",
    "SETUID",
    "SETGID",
    "KILL",
    "MKNOD",
    "CHOWN",
    "FOWNER",
]


def ensure_container(
    engine: docker.DockerClient, owner: Owner, image: str, meanwhile: Callable[[], object]
) -> bool:
    """See that the fabric runs and is ready; return whether it had to be made anew. Raises ``PlaneError``.

    ``meanwhile`` is called while it runs and may not be ready yet.
    """
    name = owner.name("fabric")
    found = find(engine, name)
    if found is not None and found["State"]["Running"] and found["Config"]["Image"] == image:
        meanwhile()
        _await_ready(engine, name)
        return False
    # A stopped fabric has lost its namespaces, and with them everything that was worth keeping; the agent in
    # one of another version speaks another language.
    remove(engine, name)
    _make(engine, owner, image, name, meanwhile)
    return True


def proxies(engine: docker.DockerClient, owner: Owner) -> tuple[str, str]:
    """SOCKS5 URLs on this machine: the operator's and the internet's."""
    found = find(engine, owner.name("fabric"))
    if found is None:
        raise PlaneError("the fabric container is gone; start the emulator again")
    return _published(found, layout.OPERATOR_PORT), _published(found, layout.INTERNET_PORT)


def _published(found: dict[str, Any], port: int) -> str:
    bindings = found["NetworkSettings"]["Ports"].get(f"{port}/tcp")
    if not bindings:
        raise PlaneError(f"the fabric container's port {port} is not published on this machine")
    return f"socks5://127.0.0.1:{bindings[0]['HostPort']}"


def _make(
    engine: docker.DockerClient, owner: Owner, image: str, name: str, meanwhile: Callable[[], object]
) -> None:
    ports = (layout.OPERATOR_PORT, layout.INTERNET_PORT)
    host = {
        "PidMode": "host",
        "CapDrop": ["ALL"],
        "CapAdd": CAPABILITIES,
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "NetworkMode": "bridge",
        "Dns": [layout.RESOLVER],
        "DnsSearch": ["."],
        "PortBindings": {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in ports},
        "Tmpfs": {"/run": ""},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
    }
    create(
        engine,
        image,
        name,
        host=host,
        labels=owner.labels("fabric"),
        environment={"WT_LAYOUT": json.dumps(layout.for_container()), "WT_TIMEOUT_SCALE": f"{scaled(1):g}"},
        ports=list(ports),
    )
    try:
        with asking("starting the fabric container"):
            engine.api.start(name)
        meanwhile()
        _await_ready(engine, name)
    except BaseException:  # stopped, too
        remove(engine, name)
        raise


def _await_ready(engine: docker.DockerClient, name: str) -> None:
    def ready() -> None:
        # Its first process says so in its log; one that ended says why, which is all there after it has.
        runs = engine.api.inspect_container(name)["State"]["Running"]
        log = engine.api.logs(name, tail=20).decode(errors="replace")
        if "wavetank fabric: ready" in log:
            return
        if not runs:
            raise PlaneError(f"the fabric did not start, so no rule would be enforced:\n{log.strip()}")
        raise NotYet(log.strip()[-300:] or "it says nothing yet")

    try:
        with asking("waiting for the fabric"):
            wait_for(
                "the fabric to be ready", ready, deadline=READY_SECONDS, first_pause=0.02, max_pause=0.02
            )
    except WaitTimeoutError as error:
        raise PlaneError(str(error)) from error
