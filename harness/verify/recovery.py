"""Is a deployment well again after nodes were off? Services, workers, a submission, and the firewalls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import httpx

from harness.access.ssh import Access
from harness.core import ports as sets
from harness.core.errors import CheckError, CommandError, WaitTimeoutError, WavetankError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.deploy.remote import HealthCheck, health_script, parse_containers
from harness.firewall.from_api import inspect
from harness.firewall.model import Pair
from harness.isolation import intended
from harness.isolation.compare import differences
from harness.isolation.observe import has_packet_counters, observe
from harness.isolation.pairs import droplet_pairs
from harness.judge0 import frontdoor
from harness.judge0.client import Judge0
from harness.judge0.workers import WorkerCount
from harness.run.session import Session
from harness.target.api import Api
from harness.topology.model import Service, Topology
from harness.topology.rendering import headers
from harness.verify.answers import worker_nodes
from harness.verify.network.probe import from_node

if TYPE_CHECKING:
    from harness.verify.outage import OutageContext

REACHABLE, HEALTHY, WORKING, ACCEPTED = 90.0, 90.0, 60.0, 60.0
SSH, DOCKER = 22, 2375
CONTAINERS = "docker ps -a --format '{{.State}}|{{.Status}}|{{.Names}}'\n"
RUNNING = "grep -alE '^sleep.{nap}' /proc/[0-9]*/cmdline 2>/dev/null | wc -l"


@dataclass(frozen=True)
class Snapshot:
    """Nodes before they lost power: their containers by name, and how many workers there are; 0: unknown."""

    containers: dict[str, frozenset[str]]
    available: int


def snapshot(context: OutageContext, nodes: Sequence[str]) -> Snapshot:
    """Take a snapshot of what has to come back."""
    access = context.session.access
    found = {node: parse_containers(access.run(node, CONTAINERS)) for node in nodes}
    running = {node: frozenset(each.name for each in all_ if each.up) for node, all_ in found.items()}
    return Snapshot(running, _available(context))


def drop_connections(access: Access, nodes: Sequence[str]) -> None:
    """Close the connections to nodes that were off, and those that led through one of them."""
    for node in access.nodes if access.bastion in nodes else nodes:
        access.drop(node)


def node_troubles(context: OutageContext, nodes: Sequence[str], before: Snapshot) -> Iterator[str]:
    """What on the nodes is not as before, after some time to recover; nothing is repaired.

    Once it has ended, their services are healthy: deadlines of what they do for others count from then.
    """
    steps: list[Callable[[], object]] = []
    for node in nodes:
        steps.append(partial(context.session.access.wait_until_reachable, node, REACHABLE))
        steps.append(partial(_healthy, context.session, node, before.containers[node]))
    yield from _troubles(steps)


def service_troubles(context: OutageContext, before: Snapshot) -> Iterator[str]:
    """What the deployment does not do as before, after some time: workers that wait, programs that run."""
    yield from _troubles([partial(_workers, context, before.available), partial(_accepted, context)])


def _troubles(steps: Iterable[Callable[[], object]]) -> Iterator[str]:
    for step in steps:
        try:
            step()
        except (WavetankError, CheckError) as error:
            yield str(error)


def running(access: Access, node: str, nap: str) -> int:
    """How many processes on ``node`` sleep for exactly ``nap``."""
    return int(access.run(node, RUNNING.format(nap=nap.replace(".", "[.]"))))


def health_checks(session: Session, services: Sequence[Service], node: str) -> list[HealthCheck]:
    """The health checks of services on one node. Raises ``TopologyError`` for headers that cannot be used."""
    return [
        HealthCheck(each.health, headers.health(session.topology, session.deployment, each, node))
        for each in services
    ]


def _healthy(session: Session, node: str, wanted: frozenset[str]) -> None:
    services = [each for each in session.topology.services if node in each.nodes and each.health]
    script, given = health_script(health_checks(session, services, node))

    def probe() -> None:
        output = session.access.run(node, CONTAINERS + script, stdin=given or None, deadline=30)
        listing, *answers = output.split("---\n")
        fine = {each.name for each in parse_containers(listing) if each.up}
        silent = [
            f"{service.health}: {answer.strip() or 'no answer'}"
            for service, answer in zip(services, answers, strict=True)
            if "answered" not in answer
        ]
        missing = [f"container {name} does not run" for name in sorted(wanted - fine)]
        if missing or silent:
            raise NotYet("; ".join((*missing, *silent)))

    tolerate = (CommandError, WaitTimeoutError)  # the engine may still be starting
    wait_for(f"the services of {node}", probe, deadline=HEALTHY, max_pause=0.5, tolerate=tolerate)


def _available(context: OutageContext) -> int:
    if context.session.topology.checks.judge0 is None:
        return 0
    session = context.session
    with context.judge0() as client:
        return WorkerCount(Judge0(client).get, session.access, worker_nodes(session))().total


def _workers(context: OutageContext, wanted: int) -> None:
    def probe() -> None:
        found = _available(context)
        if found < wanted:
            raise NotYet(f"{found} workers are there; there were {wanted}")

    tolerate = (CheckError, CommandError, httpx.HTTPError)
    wait_for("workers to be registered", probe, deadline=WORKING, max_pause=0.5, tolerate=tolerate)


def _accepted(context: OutageContext) -> None:
    def probe() -> None:
        door = context.door
        frontdoor.double(context.workload.client, door, frontdoor.main_language(door), 21)

    wait_for("a submission to be Accepted", probe, deadline=ACCEPTED, max_pause=0.5, tolerate=(CheckError,))


@dataclass(frozen=True)
class Violation:
    """Something that firewalls wrongly admit or wrongly stop on a pair, or a doubt about it."""

    pair: Pair
    problem: str


def firewall_violations(session: Session, nodes: Sequence[str]) -> list[Violation]:
    """What the firewalls of ``nodes`` wrongly admit or wrongly stop.

    Every TCP port from and to each of them where the fabric testifies; elsewhere a few, politely.
    """
    return _scanned(session, nodes) if has_packet_counters(session.target) else _probed(session, nodes)


def _scanned(session: Session, nodes: Sequence[str]) -> list[Violation]:
    topology, deployment = session.topology, session.deployment
    pairs = [each for each in droplet_pairs(topology) if each.source in nodes or each.target in nodes]
    with Api(session.target, read_only=True) as api:
        network = inspect(api, topology, deployment.run)
    observed = observe(session.target, deployment, session.access, pairs, icmp=False, passes=1)
    found = [Violation(each.pair, each.reason) for each in differences(topology, network, observed)]
    doubts = ((each.pair, doubt) for each in observed.results for doubt in each.doubts)
    return found + [Violation(pair, f"{pair}: {doubt}") for pair, doubt in doubts]


def _probed(session: Session, nodes: Sequence[str]) -> list[Violation]:
    """From and to each of ``nodes``, at private addresses: ssh, Docker's own port, all that services use."""
    topology = session.topology
    private = {name: each.private_ip or "" for name, each in session.deployment.nodes.items()}
    names = {address: name for name, address in private.items()}
    ports = _ports(topology)

    def probe(probe_source: str) -> list[Violation]:
        targets = [
            each for each in private if each != probe_source and (probe_source in nodes or each in nodes)
        ]
        found = from_node(
            session.access, probe_source, [(private[each], port) for each in targets for port in ports]
        )
        states = [(Pair(probe_source, names[host]), port, state) for (host, port), state in found.items()]
        return [
            Violation(pair, problem)
            for pair, port, state in states
            if (problem := _judged(topology, pair, port, state))
        ]

    return [
        problem
        for problems in in_parallel([partial(probe, each) for each in private])
        for problem in problems
    ]


def _judged(topology: Topology, pair: Pair, port: int, state: str) -> str:
    one = ((port, port),)
    if state != "filtered" and not sets.intersect(intended.may(topology, pair, "tcp"), one):
        return f"{pair} {port}/tcp is {state}; it must be filtered"
    if state == "filtered" and sets.intersect(intended.must(topology, pair, "tcp"), one):
        return f"{pair} {port}/tcp is filtered; it must get through"
    return ""


def _ports(topology: Topology) -> list[int]:
    used = {port for service in topology.services for port in service.ports}
    used |= {port for each in (topology.swarm.services if topology.swarm else ()) for port in each.ports}
    spans = [sets.parse(flow.ports) for flow in topology.intent if flow.protocol == "tcp"]
    return sorted(used | {SSH, DOCKER} | {end for span in spans for first_last in span for end in first_last})
