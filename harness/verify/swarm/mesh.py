"""What only a kernel with IPVS does for a swarm: one address for many tasks, and one port on every member.

A small service is made beside the stack's, asked, and removed again. Its tasks run that image of the stack's
which has Python, and answer every connection with their name.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.verify.swarm.discovery import inside
from harness.verify.swarm.view import View

PORT = 8000
PUBLISHED = range(20000, 30000)  # below what a kernel takes by itself, and beside what topologies publish
TASKS = 3
ROUNDS = 6
DEADLINE = 60.0
ANSWERED_SECONDS = 90.0
LABEL = "wavetank.check=mesh"

ANSWER = f"""\
import socket
server = socket.create_server(("", {PORT}))
while True:
    connection, _ = server.accept()
    connection.sendall(socket.gethostname().encode())
    connection.close()
"""

ASK = """\
import json, socket, sys
asked = json.loads(sys.argv[1])
told = []
for _ in range(asked["times"]):
    try:
        with socket.create_connection((asked["address"], asked["port"]), 3) as made:
            made.settimeout(3)
            told.append(made.recv(256).decode() or "closed in silence")
    except OSError as error:
        told.append(f"no answer: {error}")
print(json.dumps(told))
"""

CREATE = """\
docker service create --detach --quiet --no-resolve-image --name {name} --label {label} --network {network} \
  --constraint {constraint} --replicas {replicas} --replicas-max-per-node 1 --stop-grace-period 1s \
  --publish mode=ingress,published={published},target={port} \
  --entrypoint python3 {image} -c {script} >/dev/null
"""
VIP = "docker service inspect --format '{{{{json .Endpoint.VirtualIPs}}}}' {name}"
NETWORK = "docker network inspect --format '{{{{.Id}}}}' {network}"
HAS_PYTHON = "docker exec {container} python3 -c 'import socket'"


@dataclass(frozen=True)
class Material:
    """What the service needs: an image by its id, and where that is: a label, and nodes that have it."""

    image: str
    label: str
    nodes: tuple[str, ...]
    network: str


@dataclass(frozen=True)
class End:
    """An address and port to connect to."""

    address: str
    port: int


@dataclass(frozen=True)
class Mesh:
    """The service: ``published`` on every member, ``virtual`` on the overlay network, ``tasks`` of them."""

    published: int
    virtual: End
    tasks: int


def material(access: Access, view: View) -> Material | None:
    """The image of the stack that has Python and may run on most nodes; None where none has."""
    for service in sorted(view.swarm.services, key=lambda each: -len(each.nodes)):
        for task in view.running(service.name)[:1]:
            try:
                access.run(task.node, HAS_PYTHON.format(container=task.container), deadline=DEADLINE)
            except CommandError:
                continue
            spec = view.specs[service.name]["Spec"]["TaskTemplate"]["ContainerSpec"]
            return Material(
                spec["Image"], f"node.labels.{service.name}==true", service.nodes, view.swarm.overlay.name
            )
    return None


@contextmanager
def mesh(access: Access, manager: str, made_of: Material) -> Iterator[Mesh]:
    """The service, from its creation on ``manager`` until the block ends. It need not answer at once."""
    name = f"wavetank-mesh-{secrets.token_hex(3)}"
    published, tasks = secrets.choice(PUBLISHED), min(TASKS, len(made_of.nodes))
    create = CREATE.format(
        name=name,
        label=LABEL,
        network=shlex.quote(made_of.network),
        constraint=shlex.quote(made_of.label),
        replicas=tasks,
        published=published,
        port=PORT,
        image=shlex.quote(made_of.image),
        script=shlex.quote(ANSWER),
    )
    try:
        access.run(manager, create, deadline=DEADLINE)
        yield Mesh(published, End(_virtual(access, manager, name, made_of.network), PORT), tasks)
    finally:
        access.run(manager, f"docker service rm {name} >/dev/null 2>&1 || true", deadline=DEADLINE)


def _virtual(access: Access, manager: str, name: str, network: str) -> str:
    identity = access.run(manager, NETWORK.format(network=shlex.quote(network)), deadline=DEADLINE).strip()
    addresses = json.loads(access.run(manager, VIP.format(name=name), deadline=DEADLINE)) or ()
    for each in addresses:
        if each["NetworkID"] == identity:
            return str(each["Addr"]).partition("/")[0]
    raise ResourceError("service", name, f"has no address on {network}; it has {addresses}")


def ask(access: Access, node: str, at: End, times: int, *, container: str = "") -> Counter[str]:
    """Connect ``times`` times from ``node``, or from inside a container there, one after the other.

    Who answered how often, or what was said instead.
    """
    asked = json.dumps({"address": at.address, "port": at.port, "times": times})
    if container:
        output = inside(access, node, container, ASK, asked)
    else:
        output = access.run(node, f"python3 - {shlex.quote(asked)}", stdin=ASK.encode(), deadline=DEADLINE)
    return Counter(json.loads(output))


def settled(access: Access, addresses: Mapping[str, str], found: Mesh) -> None:
    """Wait until every task answers at every member: a port that was just published is not yet everywhere.

    ``addresses`` are the members' private ones. Raises ``WaitTimeoutError`` with the last answers of each.
    """

    def probe() -> None:
        answers = everywhere(access, addresses, found, found.tasks * 2)
        missing = [
            f"{node}: {shown(counts)}"
            for node, counts in answers.items()
            if uneven(counts, found.tasks, slack=found.tasks)
        ]
        if missing:
            raise NotYet("; ".join(missing))

    wait_for("every task to answer on every member", probe, deadline=ANSWERED_SECONDS)


def everywhere(
    access: Access, addresses: Mapping[str, str], found: Mesh, times: int
) -> dict[str, Counter[str]]:
    """Each member asks its own published port; who answered it."""
    jobs = [
        partial(ask, access, node, End(address, found.published), times)
        for node, address in addresses.items()
    ]
    return dict(zip(addresses, in_parallel(jobs), strict=True))


def uneven(counts: Counter[str], tasks: int, *, slack: int = 1) -> str:
    """What is wrong with the distribution of connections over ``tasks``, which IPVS takes in turn.

    Empty where each was answered, by all tasks, and their shares differ by ``slack`` at most.
    """
    bad = [text for text in counts if text.startswith(("no answer", "closed"))]
    if bad:
        return f"{counts[bad[0]]} of {counts.total()}: {bad[0]}"
    if len(counts) != tasks:
        return f"{len(counts)} of {tasks} tasks answered: {shown(counts)}"
    if max(counts.values()) - min(counts.values()) > slack:
        return f"shared out as {shown(counts)}"
    return ""


def shown(counts: Counter[str]) -> str:
    """Who answered how often, in words."""
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
