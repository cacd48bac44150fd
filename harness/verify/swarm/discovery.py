"""What services find of each other, tested from inside tasks: names, in Docker's resolver, and ports.

A task is asked in its network namespace, by Python on its droplet, so that its image need not hold anything.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.access.ssh import Access
from harness.compose.model import is_beside
from harness.stack.services import titles
from harness.topology.model import StackService, Swarm
from harness.topology.rendering.projects import read_declared

RESOLVER = ("127.0.0.11", 53)  # Docker's own, in each container's network namespace
SECONDS = 3
DEADLINE = 60.0
PORTS = re.compile(r"(?:[\d.]+:)?(?:\d+:)?(\d+)(?:/tcp)?")
# Docker's resolver also has a service's tasks under `tasks.NAME`.
BEFORE = r"(?<![\w.-])(?:tasks\.)?"
COMMENT = re.compile(r"^\s*#.*", re.MULTILINE)
NAMESPACE = "--net=$(docker inspect --format '{{{{.NetworkSettings.SandboxKey}}}}' {container})"
INSIDE = f"nsenter {NAMESPACE} python3 - '{{asked}}'"

ASK = """\
import json, os, socket, struct, sys
asked = json.loads(sys.argv[1])

def resolve(name):
    question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\\0\\0\\1\\0\\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(asked["seconds"])
        asking.connect(tuple(asked["resolver"]))
        asking.send(os.urandom(2) + b"\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + question)
        answer = asking.recv(65535)
    at, found = 12 + len(question), []
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        while 0 < answer[at] < 192:
            at += 1 + answer[at]
        at += 2 if answer[at] else 1
        kind, _, _, size = struct.unpack("!HHIH", answer[at:at + 10])
        found += [socket.inet_ntoa(answer[at + 10:at + 14])] if kind == 1 else []
        at += 10 + size
    return sorted(found)

def knock(address, port):
    try:
        socket.create_connection((address, port), asked["seconds"]).close()
    except OSError as error:
        return str(error)
    return ""

told = {}
for name, ports in asked["ports"].items():
    try:
        addresses, said = resolve(name), ""
    except OSError as error:
        addresses, said = [], str(error)
    ends = [(address, port) for address in addresses for port in ports]
    told[name] = {"addresses": addresses, "said": said, "ports": [[*end, knock(*end)] for end in ends]}
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Found:
    """What one task finds under a name: ``addresses``, sorted, or the resolver's ``error``.

    ``silent`` are the ports that did not answer, in words.
    """

    addresses: tuple[str, ...]
    error: str = ""
    silent: tuple[str, ...] = ()


def find(access: Access, node: str, container: str, ports: Mapping[str, Sequence[int]]) -> dict[str, Found]:
    """What the task in ``container`` on ``node`` finds of each service by its name, and at its ports.

    Raises ``CommandError`` where the droplet lacks Python 3, or the container is gone.
    """
    wanted = {name: list(each) for name, each in ports.items()}
    asked = json.dumps({"ports": wanted, "seconds": SECONDS, "resolver": RESOLVER})
    output = inside(access, node, container, ASK, asked)
    return {name: _found(each) for name, each in json.loads(output).items()}


def inside(access: Access, node: str, container: str, script: str, asked: str) -> str:
    """Run Python on ``node`` in the network namespace of ``container``; ``asked`` is its argument, JSON."""
    command = INSIDE.format(container=container, asked=asked)
    return access.run(node, command, stdin=script.encode(), deadline=DEADLINE)


def _found(output: Mapping[str, Any]) -> Found:
    silent = tuple(f"{address}:{port} {said}" for address, port, said in output["ports"] if said)
    return Found(tuple(output["addresses"]), output["said"], silent)


def wrong(found: Mapping[str, Found], expected: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Descriptions of what is not as expected. ``expected`` are the addresses by name."""
    for name, addresses in expected.items():
        seen = found[name]
        if seen.addresses != tuple(sorted(addresses)):
            output = ", ".join(seen.addresses) or seen.error or "nothing"
            yield f"{name} resolves to {output}, not to {', '.join(sorted(addresses))}"
        yield from (f"{name} at {each}" for each in seen.silent)


def listening(swarm: Swarm) -> dict[str, tuple[int, ...]]:
    """The TCP ports on which the stack's services listen, by their names; empty for one that takes nothing.

    Known from their compose files, and from whoever names them: ``http://runner-api:4000`` in an environment,
    ``judge0-server:2358`` in a file that is rendered.
    """
    own = dict(pair for service in swarm.services for pair in _own(service))
    named = re.compile(rf"{BEFORE}({'|'.join(map(re.escape, own))}):(\d+)\b")
    for text in (text for service in swarm.services for text in _texts(service)):
        for name, port in named.findall(text):
            own[name].add(int(port))
    return {name: tuple(sorted(ports)) for name, ports in own.items()}


def owners(swarm: Swarm) -> dict[str, StackService]:
    """The topology's services by the names of what the stack makes of them."""
    return {called: service for service in swarm.services for called, _ in _own(service)}


def refers_to(swarm: Swarm, name: str) -> tuple[str, ...]:
    """The services that ``name`` refers to: those that its environment and its files name."""
    known = [called for called in owners(swarm) if called != name]
    texts = [text for service in swarm.services if service.name == name for text in _texts(service)]
    return tuple(
        called
        for called in known
        if any(re.search(rf"{BEFORE}{re.escape(called)}(?![\w-])", text) for text in texts)
    )


def referred_to(swarm: Swarm) -> list[str]:
    """The services that another one refers to, in the topology's order."""
    output = {called for service in swarm.services for called in refers_to(swarm, service.name)}
    return [called for called in owners(swarm) if called in output]


def independent(swarm: Swarm) -> list[list[str]]:
    """The services of :func:`referred_to`, in groups that do not refer to each other, small ones first."""
    groups: list[list[str]] = []
    for name in referred_to(swarm):
        others = (each for each in groups if not any(_are_related(swarm, name, one) for one in each))
        found = next(others, None)
        if found is None:
            groups.append([name])
        else:
            found.append(name)
    return sorted(groups, key=len)


def _are_related(swarm: Swarm, one: str, other: str) -> bool:
    return one in refers_to(swarm, other) or other in refers_to(swarm, one)


def _own(service: StackService) -> Iterator[tuple[str, set[int]]]:
    """The names and ports of what one compose file makes."""
    bodies = {**read_declared(service).running(), **service.changes.add}
    for name, called in titles(service, bodies).items():
        ports = bodies[name].get("ports")
        yield called, set(container_ports(ports if isinstance(ports, list) else ()))


def container_ports(given: Iterable[Any]) -> Iterator[int]:
    """The container's side of a compose file's ``ports``; what is not plain TCP and a number is left out."""
    for each in given:
        if isinstance(each, Mapping):
            if each.get("protocol", "tcp") == "tcp" and str(each.get("target", "")).isdigit():
                yield int(each["target"])
        elif found := PORTS.fullmatch(str(each)):
            yield int(found[1])


def _texts(service: StackService) -> Iterator[str]:
    """What may name another service: its environment, and the files that it mounts, rendered or its own."""
    yield from {**_written(service), **service.environment}.values()
    rendered = {posixpath.normpath(each.target): each.template for each in service.files}
    for path in {**_mounted(service), **rendered}.values():
        if path.is_file():
            yield COMMENT.sub("", path.read_text(errors="replace"))


def _written(service: StackService) -> dict[str, str]:
    """The variables that its compose file has written out."""
    bodies = read_declared(service).running().values()
    return {name: value for body in bodies for name, value in body.get("environment", {}).items() if value}


def _mounted(service: StackService) -> dict[str, Path]:
    """The files beside its compose file that containers mount one by one, by their paths from there."""
    mounts = [each for body in read_declared(service).running().values() for each in body.get("volumes", ())]
    names = [posixpath.normpath(each["source"]) for each in mounts if is_beside(each.get("source", ""))]
    return {name: service.compose.parent / name for name in names}
