"""From checked sections to the model: defaults applied, roles expanded, paths made absolute."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from harness.topology import model
from harness.topology.judge0_ids import BY_TEXT
from harness.topology.names import Names
from harness.topology.schema import (
    RawBuild,
    RawDroplet,
    RawFirewall,
    RawFlow,
    RawFrontDoor,
    RawInbound,
    RawJudge0,
    RawObjectives,
    RawOutbound,
    RawRequest,
    RawRunner,
    RawService,
    RawStackService,
    RawSwarm,
    RawTopology,
)
from harness.topology.validation import objectives

COMPOSE_NAMES = ("docker-compose.yml", "docker-compose.yaml", "compose.yaml", "compose.yml")


def build(raw: RawTopology, names: Names, file: Path, app: Path | None) -> model.Topology:
    """The model of a topology whose names and values were checked."""
    root = app or file.parent / raw.app
    root = root.resolve()
    return model.Topology(
        name=raw.name,
        file=file,
        region=raw.region,
        ip_range=raw.vpc.ip_range,
        droplets={name: _droplet(raw, name, droplet) for name, droplet in raw.droplets.items()},
        databases=_databases(raw, names),
        firewalls=tuple(_firewall(name, each, names) for name, each in raw.firewalls.items()),
        intent=tuple(flow for each in raw.intent for flow in flows(each, names)),
        services=tuple(_service(raw, names, name, root) for name in raw.services),
        management=model.Management(raw.management.bastion, tuple(raw.management.operators)),
        app=root,
        emulated_droplets=raw.emulator.droplets,
        checks=_checks(raw, names),
        swarm=_swarm(raw.swarm, names, root) if raw.swarm else None,
        objectives=_objectives(raw.objectives, file) if raw.objectives else None,
        secrets={
            name: model.Secret(name, each.environment or "", file.parent / each.file if each.file else None)
            for name, each in raw.secrets.items()
        },
    )


def flows(raw: RawFlow, names: Names) -> tuple[model.Flow, ...]:
    """One line of the intent as flows between single droplets, databases and places."""
    listed = [("tcp", text) for text in raw.tcp] + [("udp", text) for text in raw.udp]
    if raw.icmp:
        listed.append(("icmp", "0"))
    return tuple(
        model.Flow(source, destination, cast("model.Protocol", protocol), text)
        for source in _ends(raw.sources, names)
        for destination in _ends(raw.destinations, names)
        for protocol, text in listed
        if source != destination
    )


def compose_candidates(name: str, given: Sequence[str] | None, root: Path) -> list[Path]:
    """Where a service's compose file may be: where the topology says, or in a directory of its name."""
    return [root / given[0]] if given else [root / name / each for each in COMPOSE_NAMES]


def _compose(name: str, service: RawService | RawStackService, root: Path) -> Path:
    candidates = compose_candidates(name, service.compose, root)
    return next((path for path in candidates if path.is_file()), candidates[0])


def _flat(service: RawService | RawStackService) -> dict[str, str]:
    """The variables that are not of a single compose service."""
    return {name: value for name, value in service.environment.items() if isinstance(value, str)}


def _changes(service: RawService | RawStackService, names: Names, root: Path) -> model.Changes:
    nodes = names.droplets(service.droplets)
    return model.Changes(
        compose_files=tuple(root / each for each in (service.compose or ())[1:]),
        run=_run(service, names, nodes),
        environment={
            name: values for name, values in service.environment.items() if not isinstance(values, str)
        },
        publish={name: tuple(ports) for name, ports in getattr(service, "publish", {}).items()},
        hosts={host: names.ends(place) for host, place in getattr(service, "hosts", {}).items()},
        upstreams={
            posixpath.normpath(file): {name: names.ends(place) for name, place in given.items()}
            for file, given in getattr(service, "upstreams", {}).items()
        },
        build={name: _build_change(each) for name, each in service.build.items()},
        tls_tunnel=service.tls_tunnel,
        add=service.add,
        override=service.override,
    )


def _run(
    service: RawService | RawStackService, names: Names, nodes: Sequence[str]
) -> dict[str, tuple[str, ...]] | None:
    if service.run is None:
        return None
    if isinstance(service.run, list):
        return dict.fromkeys(nodes, tuple(service.run))
    return {node: tuple(run) for place, run in service.run.items() for node in names.ends(place)}


def _build_change(raw: RawBuild) -> model.BuildChange:
    return model.BuildChange(raw.context or "", raw.dockerfile or "", raw.target or "", dict(raw.args))


def _files(service: RawService | RawStackService, root: Path) -> tuple[model.TemplateFile, ...]:
    return tuple(model.TemplateFile(root / source, target) for target, source in service.files.items())


def _droplet(raw: RawTopology, name: str, droplet: RawDroplet) -> model.Droplet:
    defaults, public = raw.defaults, droplet.public_networking
    return model.Droplet(
        name=name,
        size=droplet.size or defaults.size or "",
        image=droplet.image or defaults.image or "",
        role=droplet.role or name,
        public_networking=defaults.public_networking if public is None else public,
        user_data=defaults.user_data if droplet.user_data is None else droplet.user_data,
    )


def _databases(raw: RawTopology, names: Names) -> dict[str, model.Database]:
    return {
        name: model.Database(
            name=name,
            engine=cast("model.Engine", each.engine),
            version=each.version,
            size=each.size,
            nodes=each.nodes,
            trusted_sources=names.droplets(each.trusted_sources),
        )
        for name, each in raw.databases.items()
    }


def _firewall(name: str, raw: RawFirewall, names: Names) -> model.Firewall:
    return model.Firewall(
        name,
        names.droplets(raw.droplets),
        tuple(_rule(each, names) for each in raw.inbound),
        tuple(_rule(each, names) for each in raw.outbound),
    )


def _rule(raw: RawInbound | RawOutbound, names: Names) -> model.Rule:
    ports = "0" if raw.ports == "all" or raw.protocol == "icmp" else raw.ports
    return model.Rule(cast("model.Protocol", raw.protocol), ports, _ends(raw.peers, names))


def _ends(given: Sequence[str], names: Names) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each for name in given for each in names.ends(name)))


def _service(raw: RawTopology, names: Names, name: str, root: Path) -> model.Service:
    service = raw.services[name]
    return model.Service(
        name=name,
        nodes=names.droplets(service.droplets),
        compose=_compose(name, service, root),
        ports=tuple(service.ports),
        environment=_flat(service),
        files=_files(service, root),
        health=service.health.url,
        health_headers=dict(service.health.headers),
        changes=_changes(service, names, root),
    )


def _swarm(raw: RawSwarm, names: Names, root: Path) -> model.Swarm:
    network = raw.network
    return model.Swarm(
        managers=names.droplets(raw.managers),
        stack=raw.stack,
        overlay=model.Overlay(network.name, network.encrypted, cast("Any", network.esp)),
        services=tuple(_stack_service(name, each, names, root) for name, each in raw.services.items()),
        heartbeat=raw.heartbeat,
    )


def _stack_service(name: str, service: RawStackService, names: Names, root: Path) -> model.StackService:
    return model.StackService(
        name=name,
        nodes=names.droplets(service.droplets),
        compose=_compose(name, service, root),
        ports=tuple(service.ports),
        environment=_flat(service),
        files=_files(service, root),
        changes=_changes(service, names, root),
        replicas=service.replicas,
        constraints=tuple(service.constraints),
        order=cast("model.Order", service.order),
        cap_add=tuple(service.cap_add),
    )


def _checks(raw: RawTopology, names: Names) -> model.Checks:
    judge0, runner = raw.checks.judge0, raw.checks.runner
    door = _front_door(raw.checks.front_door) if raw.checks.front_door else None
    return model.Checks(
        door,
        _judge0(judge0, names) if judge0 else None,
        _runner(runner, door) if runner else None,
        tuple(map(_request, raw.checks.requests)),
    )


def _front_door(raw: RawFrontDoor) -> model.FrontDoor:
    scheme = cast("model.Scheme", raw.scheme)
    port = model.PORTS_OF[scheme] if raw.port is None else raw.port
    given = raw.model_dump(exclude={"scheme", "port", "statuses"})
    return model.FrontDoor(**given, scheme=scheme, port=port, statuses=_statuses(raw.statuses))


def _request(raw: RawRequest) -> model.AppRequest:
    method = next(each for each in model.METHODS if getattr(raw, each) is not None)
    expect = raw.expect
    return model.AppRequest(method, getattr(raw, method), raw.body, expect.status, expect.body)


def _statuses(raw: Mapping[str, str]) -> dict[str, int]:
    return {word: int(meant) if meant.isdecimal() else BY_TEXT[meant] for word, meant in raw.items()}


def _judge0(raw: RawJudge0, names: Names) -> model.Judge0Endpoint:
    workers = names.droplets(raw.workers)
    return model.Judge0Endpoint(
        raw.node or "", raw.port, raw.source or "", workers, raw.service or "", dict(raw.headers)
    )


def _runner(raw: RawRunner, door: model.FrontDoor | None) -> model.RunnerEndpoint:
    """What it does not say itself is as at the front door, but for headers: these are another service's."""
    return model.RunnerEndpoint(
        node=raw.node or "",
        port=raw.port,
        source=raw.source or "",
        path=raw.path or (door.path if door else ""),
        service=raw.service or "",
        request=raw.request or (door.request if door else {}),
        reply=raw.reply or (door.reply if door else {}),
        headers=dict(raw.headers),
        languages=raw.languages or (door.languages if door else {}),
        statuses=_statuses(raw.statuses) or (door.statuses if door else {}),
    )


def _objectives(raw: RawObjectives, file: Path) -> model.Objectives:
    given = raw.model_dump()
    if objectives.is_file(raw.workload):
        given["workload"] = str(objectives.beside(file, raw.workload))
    return model.Objectives(**given)
