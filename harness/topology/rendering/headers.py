"""Headers of requests that a topology names: their values are expressions, and may be secrets.

A value stands in the topology as written until a request is made; what is known to be one is masked in
reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from harness.core.errors import TopologyError
from harness.core.masking import SHORTEST
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import FrontDoor, RunnerEndpoint, Service, Topology
from harness.topology.rendering.render import LOCATIONS, evaluate, make_context

Headers = Mapping[str, str]
Place = tuple[str, ...]

FRONT_DOOR: Place = ("checks", "front_door", "headers")
RUNNER: Place = ("checks", "runner", "headers")
JUDGE0: Place = ("checks", "judge0", "headers")

# Headers whose values say how an answer is to look, and not who asks.
PLAIN = frozenset(
    {"accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "dnt", "origin",
     "pragma", "referer", "user-agent", "x-forwarded-host", "x-forwarded-proto", "x-requested-with"}
)  # fmt: skip


def front_door(topology: Topology, deployment: Deployment) -> FrontDoor | None:
    """``checks.front_door`` with the values of its headers; None where there is none.

    Raises ``TopologyError`` for an expression that cannot be used, as all of these do.
    """
    door = topology.checks.front_door
    if door is None or not door.headers:
        return door
    return replace(door, headers=_values(topology, deployment, FRONT_DOOR, door.headers))


def runner(topology: Topology, deployment: Deployment) -> RunnerEndpoint | None:
    """``checks.runner`` with the values of its headers; None where there is none."""
    end = topology.checks.runner
    if end is None or not end.headers:
        return end
    return replace(end, headers=_values(topology, deployment, RUNNER, end.headers))


def judge0(topology: Topology, deployment: Deployment) -> dict[str, str]:
    """The headers of ``checks.judge0`` by name."""
    end = topology.checks.judge0
    return _values(topology, deployment, JUDGE0, end.headers) if end else {}


def health(topology: Topology, deployment: Deployment, service: Service, node: str) -> dict[str, str]:
    """The headers of a service's health check on one node by name."""
    return _values(topology, deployment, _of_health(service), service.health_headers, node)


def check(topology: Topology, deployment: Deployment) -> Mapping[Place, TopologyError]:
    """What is wrong with the expressions, by their place; ``deployment`` may be made up."""
    found: dict[Place, TopologyError] = {}
    for place, name, expression, node in _every(topology):
        try:
            _values(topology, deployment, place, {name: expression}, node)
        except TopologyError as error:
            found.setdefault((*place, name), error)
    return found


def secrets(topology: Topology, deployment: Deployment) -> tuple[str, ...]:
    """Every password of the deployment, and every value of a header that may say who asks; longest first."""
    found = set(secrets_of(deployment))
    for place, name, expression, node in _every(topology):
        if is_secret(name):
            with suppress(TopologyError):  # nothing is sent that has no value
                value = _values(topology, deployment, place, {name: expression}, node)[name]
                found |= {value, value.rpartition(" ")[2]}  # "Bearer TOKEN" may be quoted in part
    return tuple(sorted((each for each in found if len(each) >= SHORTEST), key=_longest_first))


def _longest_first(secret: str) -> tuple[int, str]:
    return -len(secret), secret


def is_secret(name: str) -> bool:
    """Whether the value of a header may say who asks, by the header's name."""
    return name.lower() not in PLAIN


def _every(topology: Topology) -> Iterator[tuple[Place, str, str, str | None]]:
    """Each header: its part's place in the topology, its name, its expression, and the node it is for."""
    checks = topology.checks
    for place, end in ((FRONT_DOOR, checks.front_door), (RUNNER, checks.runner), (JUDGE0, checks.judge0)):
        for name, expression in end.headers.items() if end else ():
            yield place, name, expression, None
    for service in topology.services:
        for node in service.nodes:
            for name, expression in service.health_headers.items():
                yield _of_health(service), name, expression, node


def _of_health(service: Service) -> Place:
    return "services", service.name, "health", "headers"


def _values(
    topology: Topology, deployment: Deployment, place: Place, headers: Headers, node: str | None = None
) -> dict[str, str]:
    if not headers:
        return {}
    context = make_context(topology, deployment, node)
    values = {}
    for name, expression in headers.items():
        at = ".".join((*place, name))
        try:
            values[name] = evaluate(expression, context)
        except ValueError as error:
            raise TopologyError(str(error), file=topology.file, field=at, remedy=LOCATIONS) from error
        if not (values[name].isascii() and values[name].isprintable() and values[name].strip()):
            problem, remedy = "its value cannot be sent in a header", "use one line of printable ASCII"
            raise TopologyError(problem, file=topology.file, field=at, remedy=remedy)
    return values
