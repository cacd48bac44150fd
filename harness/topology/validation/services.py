"""Checks of services' own values, of the plain ones and those of a swarm's stack."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from harness.topology import names as naming
from harness.topology import values
from harness.topology.names import Names
from harness.topology.rendering.tunnel import ENGINES
from harness.topology.schema import RawService, RawStackService, RawTopology
from harness.topology.source import Problems, Step, did_you_mean

Path = tuple[Step, ...]

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
OWN_FILES = (".env", "docker-compose.yml")
MANAGER_PORT, MEMBER_PORT = 2377, 7946  # what a swarm itself listens on, TCP


def check(raw: RawTopology, names: Names, problems: Problems) -> None:
    """Note every wrong value of a service, and every port of a droplet that two of them want."""
    for path, service in _all(raw):
        _check_service(path, service, names, problems)
    for name, service in raw.services.items():
        _check_health(name, service, problems)
        _check_tunnels(raw, name, names, problems)


def _check_tunnels(raw: RawTopology, name: str, names: Names, problems: Problems) -> None:
    """Each leads to a database that can be used through one, and that trusts a droplet of the service."""
    service = raw.services[name]
    droplets = {node for each in service.droplets for node in names.ends(each)}
    for database, port in service.tls_tunnel.items():
        path: Path = ("services", name, "tls_tunnel", database)
        values.check_port(problems, path, port)
        if database not in raw.databases:
            remedy = did_you_mean(database, raw.databases)
            problems.add(path, f"no database is called {database!r}", remedy)
            continue
        cluster = raw.databases[database]
        if cluster.engine in values.ENGINES and cluster.engine not in ENGINES:
            problem = f"there is no tunnel to {cluster.engine}, whose clients all speak TLS and need it"
            remedy = f"have the application use TLS: {database}-ca.pem is beside its compose file"
            problems.add(path, problem, remedy)
        if not droplets & {node for each in cluster.trusted_sources for node in names.ends(each)}:
            problem = f"{database!r} trusts no droplet of the service"
            remedy = f"add {service.droplets[0] if service.droplets else 'one'!r} to its trusted_sources"
            problems.add(path, problem, remedy)


def _check_health(name: str, service: RawService, problems: Problems) -> None:
    """The URL stands by itself, or is one of the section's keys."""
    path: Path = ("services", name, "health")
    short = isinstance(problems.source.data["services"][name].get("health"), str)
    url = service.health.url
    if (url or ("health" in service.model_fields_set and not short)) and not re.match(r"https?://", url):
        remedy = "write a URL as asked on the node itself, like http://127.0.0.1:80/healthz"
        problems.add(path if short else (*path, "url"), f"{url!r} is no URL", remedy)
    values.check_headers(problems, (*path, "headers"), service.health.headers)


def check_ports_once(raw: RawTopology, names: Names, problems: Problems) -> None:
    """Two services of a droplet cannot have the same port; in a swarm, some are its own."""
    owners: dict[tuple[str, int], str] = {}
    if raw.swarm is not None:
        owners = {(name, port): "the swarm" for name in raw.droplets for port in (MANAGER_PORT, MEMBER_PORT)}
    for path, service in _all(raw):
        name = f"service {str(path[-1])!r}"
        nodes = [each for droplet in service.droplets for each in names.ends(droplet)]
        for index, port in enumerate(service.ports):
            for node in dict.fromkeys(nodes):
                owner = owners.setdefault((node, port), name)
                if owner != name or Counter(service.ports)[port] > 1:
                    problem = f"port {port} of {node!r} is already taken by {owner}"
                    remedy = "give one of the two another port or droplet"
                    problems.add((*path, "ports", index), problem, remedy)
                    break


def _all(raw: RawTopology) -> Iterator[tuple[Path, RawService | RawStackService]]:
    """Every service with its path in the file."""
    for name, service in raw.services.items():
        yield ("services", name), service
    if raw.swarm is not None:
        for name, each in raw.swarm.services.items():
            yield ("swarm", "services", name), each


def _check_service(
    path: Path, service: RawService | RawStackService, names: Names, problems: Problems
) -> None:
    naming.check_droplets(problems, names, (*path, "droplets"), service.droplets)
    if not service.droplets:
        problems.add((*path, "droplets"), "it runs nowhere", "name a droplet or a role")
    for index, port in enumerate(service.ports):
        values.check_port(problems, (*path, "ports", index), port)
    for place in _variables(path, service):
        if not VARIABLE.fullmatch(str(place[-1])):
            remedy = "take letters, digits and underscores, not beginning with a digit"
            problems.add(place, f"{place[-1]!r} cannot be a variable", remedy)
    _check_compose_files(path, service, problems)
    _check_run(path, service, names, problems)
    if isinstance(service, RawService):
        _check_hosts((*path, "hosts"), service.hosts, names, problems)
        _check_upstreams((*path, "upstreams"), service, names, problems)
    elif service.tls_tunnel:
        problem = (
            "a stack's services share one network, so it would be used without TLS from droplet to droplet"
        )
        remedy = "have the service as a compose project on its droplets: `services:` beside `swarm:`"
        problems.add((*path, "tls_tunnel"), problem, remedy)
    for target in service.files:
        _check_target(problems, (*path, "files", target), target)


def _check_hosts(path: Path, hosts: Mapping[str, str], names: Names, problems: Problems) -> None:
    """Host names, and the droplet or role of each."""
    for host, droplet in hosts.items():
        if droplet not in names.groups:
            remedy = did_you_mean(droplet, names.groups)
            problems.add((*path, host), f"no droplet or role is called {droplet!r}", remedy)
        if not HOST.fullmatch(host):
            remedy = "write one like 'judge0-server-1'"
            problems.add((*path, host), f"{host!r} cannot be a host name", remedy)


def _check_upstreams(path: Path, service: RawService, names: Names, problems: Problems) -> None:
    """Files of the application that no template takes the place of, and the servers in them."""
    for file, hosts in service.upstreams.items():
        _check_target(problems, (*path, file), file)
        if posixpath.normpath(file) in map(posixpath.normpath, service.files):
            problem = f"{file!r} is rendered from a template, by 'files'"
            problems.add(
                (*path, file), problem, "write the addresses into the template, or leave one of the two out"
            )
        _check_hosts((*path, file), hosts, names, problems)


def _variables(path: Path, service: RawService | RawStackService) -> Iterator[Path]:
    """Each variable of the environment with its path in the file."""
    for name, value in service.environment.items():
        if isinstance(value, str):
            yield (*path, "environment", name)
        else:
            yield from ((*path, "environment", name, variable) for variable in value)


def _check_compose_files(path: Path, service: RawService | RawStackService, problems: Problems) -> None:
    """All lie in the directory of the first one, or below: that directory is what a node gets."""
    if service.compose is None:
        return
    if not service.compose:
        problems.add((*path, "compose"), "there is none", "name a compose file, or leave the key out")
        return
    first = PurePosixPath(posixpath.normpath(service.compose[0])).parent
    for index, name in enumerate(service.compose[1:], 1):
        if not PurePosixPath(posixpath.normpath(name)).is_relative_to(first):
            problem = f"{name} lies outside of the directory of {service.compose[0]}"
            problems.add((*path, "compose", index), problem, "put it beside the first one, or below")


def _check_run(path: Path, service: RawService | RawStackService, names: Names, problems: Problems) -> None:
    run = service.run
    listed = {(): run} if isinstance(run, list) else {(each,): given for each, given in (run or {}).items()}
    for step, given in listed.items():
        if not given:
            problems.add((*path, "run", *step), "nothing runs", "name a service of the compose file")
    if not isinstance(run, dict):
        return
    droplets = {node for each in service.droplets for node in names.ends(each)}
    seen: set[str] = set()
    for place in run:
        for node in names.ends(place):
            if node not in droplets:
                remedy = f"name one of {', '.join(sorted(droplets))}, or add it to 'droplets'"
                problems.add((*path, "run", place), f"the service has no droplet {node!r}", remedy)
            elif node in seen:
                problems.add((*path, "run", place), f"{node!r} is named twice", "name each droplet once")
            seen.add(node)
    for node in sorted(droplets - seen):
        problems.add((*path, "run"), f"what runs on {node!r} is not said", f"add {node!r}")


def _check_target(problems: Problems, path: Path, target: str) -> None:
    parts = PurePosixPath(target)
    if parts.is_absolute() or ".." in parts.parts or not parts.name:
        remedy = "name a file beside the compose file, like 'nginx.conf'"
        problems.add(path, f"{target!r} is outside the service's directory", remedy)
    elif target in OWN_FILES:
        remedy = "use 'environment' for .env, and the application's own compose file"
        problems.add(path, f"{target!r} is written by Wavetank itself", remedy)
