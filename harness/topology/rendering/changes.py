"""What the topology changes of a service's compose file: compose documents that Compose merges into it.

The user's own files stay as they are. https://docs.docker.com/reference/compose-file/merge/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.compose import ComposeProject
from harness.core import yaml
from harness.core.errors import TopologyError
from harness.topology.model import BuildChange, Changes, Service, StackService, Topology
from harness.topology.rendering import render, tunnel
from harness.topology.source import did_you_mean

Body = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A service as it is to be on one droplet; ``node`` is "" for a swarm's, whose tasks run on any.

    ``project`` is what its compose files say without any changes, but for services that were added.
    """

    topology: Topology
    service: Service | StackService
    node: str
    project: ComposeProject
    context: render.Context

    @property
    def field(self) -> str:
        """The service's place in the topology's file."""
        swarm = "swarm." if isinstance(self.service, StackService) else ""
        return f"{swarm}services.{self.service.name}"

    @property
    def running(self) -> tuple[str, ...]:
        """The compose services that are to run there."""
        run = self.service.changes.run
        if run is None:
            return self.project.started
        node = self.node or next(iter(run), "")
        tunnels = map(tunnel.name, self.tunnels)
        return tuple(dict.fromkeys((*run.get(node, ()), *self.service.changes.added(node), *tunnels)))

    @property
    def own(self) -> tuple[str, ...]:
        """Those of :attr:`running` that are the application's."""
        return tuple(each for each in self.running if each not in self.added)

    @property
    def added(self) -> frozenset[str]:
        """The compose services that the topology brings along."""
        return frozenset(added_names(self.service.changes))

    @property
    def tunnels(self) -> Mapping[str, int]:
        """The databases that there is a tunnel to, each with its port."""
        return tunnel.databases(self.topology, self.service.changes.tls_tunnel, self.node)

    def error(self, key: str, problem: str, remedy: str) -> TopologyError:
        """An error about a key of the service."""
        return TopologyError(problem, file=self.topology.file, field=f"{self.field}.{key}", remedy=remedy)

    def value(self, key: str, text: str) -> str:
        """An expression's value, as a compose file writes it."""
        try:
            return render.evaluate(text, self.context, compose=True)
        except render.ExpressionError as error:
            raise self.error(key, str(error), render.LOCATIONS) from error


def added_names(changes: Changes) -> tuple[str, ...]:
    """The compose services that run beside the application's own."""
    return (*changes.add, *map(tunnel.name, changes.tls_tunnel))


def additions(place: Place) -> tuple[Mapping[str, Any], ...]:
    """The document with the services that the topology adds; none where it adds nothing.

    Raises ``TopologyError`` for a name that the application has itself.
    """
    given = place.service.changes.add
    for name, body in given.items():
        if name in place.project.services:
            problem = f"{place.project.file} has a service {name!r} already"
            remedy = (
                f"change that one with `override: {{services: {{{name}: ...}}}}`, or give this another name"
            )
            raise place.error(f"add.{name}", problem, remedy)
        if isinstance(body, Mapping) and "networks" in body:
            raise _no_networks(place, f"add.{name}.networks")
    services = {**_evaluated(place, "add", given), **_tunnels(place)}
    return ({"services": services},) if services else ()


def _tunnels(place: Place) -> dict[str, Body]:
    """A tunnel to each database, and the application's services, which wait until it is healthy."""
    found: dict[str, Body] = {}
    for database, port in place.tunnels.items():
        _check_tunnel(place, database)
        end = place.context["databases"][database].private
        found[tunnel.name(database)] = tunnel.body(database, port, end)
    waits = {name: {"condition": "service_healthy"} for name in found}
    waiting = [name for name in place.own if waits and name in place.project.services]
    return {**found, **{name: {"depends_on": waits} for name in waiting}}


def _check_tunnel(place: Place, database: str) -> None:
    """Its name is free, and known to all of the application's services."""
    bodies = {name: place.project.services[name] for name in place.own if name in place.project.services}
    names = {each for name, body in bodies.items() for each in (name, body.get("container_name", name))}
    if database in names:
        problem = f"a container of {place.project.file} is called {database!r}, too"
        remedy = "leave that one out with `run`, or give the database another name"
        raise place.error(f"tls_tunnel.{database}", problem, remedy)
    for name, body in bodies.items():
        if body.get("network_mode") == "host":
            problem = f"{name} is in the droplet's own network, where the name {database!r} is not known"
            remedy = "take its `network_mode` out, with `override` and `!reset`"
            raise place.error(f"tls_tunnel.{database}", problem, remedy)


def documents(place: Place) -> tuple[Mapping[str, Any], ...]:
    """The documents to merge, in their order. Raises ``TopologyError`` with the key that is wrong."""
    _check_names(place)
    _check_networks(place)
    services: dict[str, Any] = {}
    for part in (_run, _environment, _hosts, _ports, _build):
        for name, body in part(place):
            services.setdefault(name, {}).update(body)
    absent = _left_out(place)
    services |= dict.fromkeys(absent, yaml.Tagged(yaml.RESET, None))
    own = {"services": services} if services else {}
    override = _evaluated(place, "override", _without(place.service.changes.override, absent))
    return tuple(each for each in (own, override) if each)


def _without(override: Mapping[str, Any], absent: Sequence[str]) -> Mapping[str, Any]:
    """The override of the services that are there: naming another one would make it again."""
    bodies = override.get("services")
    if not isinstance(bodies, Mapping):
        return override
    return {**override, "services": {name: body for name, body in bodies.items() if name not in absent}}


def builds_with_expressions(changes: Changes) -> bool:
    """Whether how an image is built depends on values that only a deployment has."""
    override = _plain(changes.override)
    services = _plain(override.get("services")) if isinstance(override, Mapping) else None
    changed = services.values() if isinstance(services, Mapping) else ()
    bodies = map(_plain, (*changes.add.values(), *changed))
    sections = [body.get("build") for body in bodies if isinstance(body, Mapping)]
    texts = [
        text
        for each in changes.build.values()
        for text in (each.context, each.dockerfile, each.target, *each.arguments.values())
    ]
    return _has_expression([*texts, *sections])


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, yaml.Tagged) else value


def _has_expression(value: Any) -> bool:
    value = _plain(value)
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(map(_has_expression, value.values()))
    return isinstance(value, Sequence) and any(map(_has_expression, value))


def _check_names(place: Place) -> None:
    changes, known = place.service.changes, place.project.services
    named = {
        "run": {name for names in (changes.run or {}).values() for name in names},
        "environment": set(changes.environment),
        "publish": set(changes.publish),
        "build": set(changes.build),
    }
    for key, names in named.items():
        for name in sorted(names - set(known)):
            problem = f"{place.project.file} has no service {name!r}"
            raise place.error(key, problem, did_you_mean(name, known))


def _check_networks(place: Place) -> None:
    """Networks are removed from compose files, so none can be named."""
    override = place.service.changes.override
    bodies = override.get("services")
    named = bodies if isinstance(bodies, Mapping) else {}
    places = ["override.networks"] if "networks" in override else []
    places += [
        f"override.services.{name}.networks"
        for name, body in named.items()
        if isinstance(body, Mapping) and "networks" in body
    ]
    for key in places:
        raise _no_networks(place, key)


def _no_networks(place: Place, key: str) -> TopologyError:
    return place.error(key, "there are no networks on a node", "leave it out; `network_mode` can be set")


def _left_out(place: Place) -> list[str]:
    """The compose services that are not to run there: Compose is not to know them, and removes what ran."""
    if place.service.changes.run is None:
        return []
    return [name for name in place.project.services if name not in place.running]


def _run(place: Place) -> Iterator[tuple[str, Body]]:
    """A service that is to run has no profile, and waits for none that is not there."""
    if place.service.changes.run is None:
        return
    for name in place.running:
        body = place.project.services[name]
        if body.get("profiles"):
            yield name, {"profiles": yaml.Tagged(yaml.RESET, [])}
        needed = body.get("depends_on", {})
        kept = {each: needed[each] for each in needed if each in place.running}
        if kept != needed:
            yield name, {"depends_on": yaml.Tagged(yaml.OVERRIDE, kept)}


def _environment(place: Place) -> Iterator[tuple[str, Body]]:
    """A variable of the topology takes the place of a literal value.

    It goes to the services that have it; where none has it, and no ``${NAME}`` either, to all that run. What
    the topology adds has its own.
    """
    values: dict[str, dict[str, str]] = {name: {} for name in place.running}
    for key, text in place.service.environment.items():
        value = place.value(f"environment.{key}", text)
        for name in _takers(place, key):
            values[name][key] = value
    for name, given in place.service.changes.environment.items():
        if name in values:
            for key, text in given.items():
                values[name][key] = place.value(f"environment.{name}.{key}", text)
    for name, changed in values.items():
        known = place.project.services[name].get("environment", {})
        new = {key: value for key, value in changed.items() if known.get(key) != value.replace("$$", "$")}
        if new:
            yield name, {"environment": new}


def _takers(place: Place, variable: str) -> Sequence[str]:
    """Of those that run here; where one that runs on another droplet has the variable, no other is meant."""
    elsewhere = {name for names in (place.service.changes.run or {}).values() for name in names}
    having = [
        name
        for name in {*place.own, *elsewhere} - place.added
        if variable in place.project.services[name].get("environment", {})
    ]
    if having or variable in place.project.variables:
        return [name for name in place.own if name in having]
    return place.own


def hosts(place: Place) -> dict[str, Sequence[str]]:
    """Names with the droplets that they lead to: those of the topology, and of services that run there."""
    return {**_elsewhere(place), **place.service.changes.hosts}


def names_elsewhere(place: Place) -> set[str]:
    """The names that lead from any of the service's droplets to another one."""
    if not place.node or not place.service.changes.run:
        return set(hosts(place))
    return {name for node in place.service.nodes for name in hosts(replace(place, node=node))}


def _hosts(place: Place) -> Iterator[tuple[str, Body]]:
    known, nodes = hosts(place), place.context["nodes"]
    lines = [f"{name}={nodes[droplet].private_ip}" for name, there in known.items() for droplet in there]
    for name in place.running if lines else ():
        body = place.project.services[name]
        if str(body.get("network_mode", "")).startswith(("service:", "container:")):
            continue  # it has the names of the other one
        own = [each for each in body.get("extra_hosts", ()) if each.partition("=")[0] not in known]
        yield name, {"extra_hosts": yaml.Tagged(yaml.OVERRIDE, [*own, *lines])}


def _elsewhere(place: Place) -> dict[str, list[str]]:
    run = place.service.changes.run
    if run is None or not place.node:
        return {}
    found: dict[str, list[str]] = {}
    for name, body in place.project.services.items():
        droplets = [droplet for droplet, names in run.items() if name in names]
        if name not in place.running and droplets:
            for alias in dict.fromkeys((name, body.get("container_name", name))):
                found[alias] = droplets
    return found


def _ports(place: Place) -> Iterator[tuple[str, Body]]:
    """Ports that the topology publishes in the place of a service's own, and declared ones of no file."""
    if isinstance(place.service, StackService):
        return
    given = {
        name: [place.value(f"publish.{name}", port) for port in ports]
        for name, ports in place.service.changes.publish.items()
        if name in place.running
    }
    added: dict[str, list[str]] = {}
    for port in _unpublished(place, given):
        added.setdefault(_exposing(place, port), []).append(f"{port}:{port}")
    for name in {**given, **added}:
        ports = [*given.get(name, ()), *added.get(name, ())]
        yield name, {"ports": yaml.Tagged(yaml.OVERRIDE, ports) if name in given else ports}


def _unpublished(place: Place, given: Mapping[str, Sequence[str]]) -> Iterator[int]:
    bodies = [place.project.services[name] for name in place.running]
    if any(body.get("network_mode") == "host" for body in bodies):
        return  # such a container listens on the droplet itself
    published = [
        str(each.get("published", ""))
        for name in place.running
        if name not in given
        for each in place.project.services[name].get("ports", ())
        if each.get("protocol", "tcp") == "tcp"
    ]
    published += [_published(text) for ports in given.values() for text in ports]
    for port in place.service.ports:
        if not any(_is_in(text, port) for text in published):
            yield port


def _published(text: str) -> str:
    """HOST of ``[ADDRESS:]HOST:CONTAINER[/PROTOCOL]``, a port or a range; empty where it is not TCP's."""
    ports, _, protocol = text.partition("/")
    return ports.rpartition(":")[0].rpartition(":")[2] if protocol in ("", "tcp") else ""


def _is_in(ports: str, port: int) -> bool:
    first, _, last = ports.partition("-")
    return first.isdigit() and int(first) <= port <= int(last or first)


def _exposing(place: Place, port: int) -> str:
    """The one service that can be meant with a port that no file publishes."""
    exposing = [
        name
        for name in place.running
        if str(port) in map(_bare, place.project.services[name].get("expose", ()))
    ]
    candidates = exposing or place.own
    if len(candidates) == 1:
        if not exposing:
            _check_guess(place, candidates[0], port)
        return candidates[0]
    problem = f"{port}: nothing on {place.node} publishes it: neither of {', '.join(place.running)}"
    raise place.error(
        "ports", problem, f'say which one: `publish: {{{place.running[0]}: ["{port}:{port}"]}}`'
    )


def _check_guess(place: Place, name: str, port: int) -> None:
    """A service that publishes only ports that are not declared does not listen on the declared one."""
    published = place.project.services[name].get("ports", ())
    # One without a port of the droplet's gets any free one there.
    outer = {str(each.get("published") or each["target"]) for each in published}
    if not outer or outer & set(map(str, place.service.ports)):
        return
    first = published[0]
    problem = f"{port}: nothing on {place.node} publishes it: {name} publishes {', '.join(sorted(outer))}"
    raise place.error(
        "ports", problem, f'say which port it is: `publish: {{{name}: ["{port}:{first["target"]}"]}}`'
    )


def _bare(exposed: object) -> str:
    return str(exposed).partition("/")[0]


def _build(place: Place) -> Iterator[tuple[str, Body]]:
    for name, change in place.service.changes.build.items():
        if name in place.running:
            yield name, {"build": dict(_build_keys(place, name, change))}


def _build_keys(place: Place, name: str, change: BuildChange) -> Iterator[tuple[str, Any]]:
    for key in ("context", "dockerfile", "target"):
        if text := getattr(change, key):
            yield key, place.value(f"build.{name}.{key}", text)
    if change.arguments:
        yield (
            "args",
            {key: place.value(f"build.{name}.args.{key}", text) for key, text in change.arguments.items()},
        )


def _evaluated(place: Place, key: str, value: Any) -> Any:
    """A document with the expressions in its texts replaced; the rest stays, tags too."""
    if isinstance(value, str):
        return place.value(key, value)
    if isinstance(value, yaml.Tagged):
        return yaml.Tagged(value.tag, _evaluated(place, key, value.value))
    if isinstance(value, Mapping):
        return {each: _evaluated(place, f"{key}.{each}", inner) for each, inner in value.items()}
    if isinstance(value, list):
        return [_evaluated(place, f"{key}[{at}]", inner) for at, inner in enumerate(value)]
    return value
