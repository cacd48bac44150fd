"""All faults of a deployment: a pure function from what is deployed to what could be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.core import ports
from harness.mutation.faults import scripts
from harness.mutation.faults.model import Fault, Step
from harness.topology.deployment import Deployment
from harness.topology.model import Service, Topology

# What the emulator can put into its own network; see docs/emulator.md.
IN_FABRIC = ("tcp", "udp", "gre", "source-port", "icmp")
LOW = "1024:1100"
NETWORK, RELAYS, ANSWERS = "network_is_as_it_was_made", "test_relays", "every_worker_answers_right"
HEALTH, IMAGES = "service_answers_where_it_says", "service_runs_what_was_built"
UPSTREAMS, LOGINS = "load_balancer_knows_the_servers", "nobody_else_may_log_in"


def faults(topology: Topology, deployment: Deployment, *, emulated: bool) -> tuple[Fault, ...]:
    """Every fault, in an order that does not change from one call to the next."""
    return (
        *(_in_fabric() if emulated else ()),
        *_relays(topology, deployment),
        *_wrong_answers(topology),
        *_fake_health(topology),
        *_stale(topology),
        *_swapped(topology, deployment),
        *_open(topology, deployment),
    )


def _in_fabric() -> Iterator[Fault]:
    for name in IN_FABRIC:
        words = f"the emulated network lets {name} pass by hand"
        yield Fault("fabric-rule", words, Step("fabric", "", name), Step("fabric", "", ""), NETWORK)


def _relays(topology: Topology, deployment: Deployment) -> Iterator[Fault]:
    """One for each droplet that others may ask and that a database trusts."""
    done: set[str] = set()
    for flow in topology.intent:
        node = flow.destination
        trusting = [name for name, each in topology.databases.items() if node in each.trusted_sources]
        fits = flow.source in topology.droplets and node in topology.droplets and flow.protocol == "tcp"
        if not fits or not trusting or node in done:
            continue
        done.add(node)
        port, to = ports.parse(flow.ports)[0][0], deployment.databases[trusting[0]].private
        script = scripts.relay(port, to.host, to.port, LOW)
        name = f"{node} hands {port} on to {trusting[0]} for source ports {LOW.replace(':', '-')}"
        yield Fault("relay", name, _ssh(node, script), _ssh(node, scripts.NO_RELAY), RELAYS)


def _wrong_answers(topology: Topology) -> Iterator[Fault]:
    workers = topology.checks.judge0.workers if topology.checks.judge0 else ()
    for node in workers:
        name = f"{node} is wrong in 1 of {scripts.ODDS} answers"
        yield Fault(
            "liar", name, _ssh(node, scripts.WRONG_ANSWERS), _ssh(node, scripts.RIGHT_ANSWERS), ANSWERS
        )


def _fake_health(topology: Topology) -> Iterator[Fault]:
    for service, node in _placed(topology):
        if service.health:
            do, undo = scripts.fake_health_check(service), scripts.restore_health_check(service)
            name = f"{service.name}@{node} does nothing, and its health check is content"
            yield Fault("lying-health", name, _ssh(node, do), _ssh(node, undo), HEALTH)


def _stale(topology: Topology) -> Iterator[Fault]:
    for service, node in _placed(topology):
        do, undo = scripts.make_stale(service), scripts.make_fresh(service)
        name = f"{service.name}@{node} runs another image under the same name"
        yield Fault("stale-image", name, _ssh(node, do), _ssh(node, undo), IMAGES)


def _swapped(topology: Topology, deployment: Deployment) -> Iterator[Fault]:
    """The balancer's files get another address for the last server: the first one's, or no server's."""
    endpoint = topology.checks.judge0
    balancers = [each for each in topology.services if endpoint and endpoint.node in each.nodes]
    servers = [
        flow.destination
        for flow in topology.intent
        if endpoint and flow.source == endpoint.node and flow.destination in topology.droplets
    ]
    if len(servers) < 2:
        return
    first, last = servers[0], servers[-1]
    others = [each for each in topology.droplets if each not in servers]
    for service in balancers:
        for file in service.files:
            for node, words in ((first, f"{first} twice"), (others[0], f"{others[0]}")):
                old, new = (deployment.nodes[each].private_ip or "" for each in (last, node))
                yield Fault(
                    "swapped-upstream",
                    f"{service.name} asks {words} instead of {last}",
                    _ssh(service.nodes[0], scripts.swap(service, file.target, old, new)),
                    _ssh(service.nodes[0], scripts.swap_back(service, file.target)),
                    UPSTREAMS,
                )


def _open(topology: Topology, deployment: Deployment) -> Iterator[Fault]:
    for name in deployment.databases:
        if topology.databases[name].trusted_sources:
            words = f"{name} lets somebody in with a password that everybody knows, or none"
            yield Fault(
                "open-database-user",
                words,
                Step("database", name, "open"),
                Step("database", name, "close"),
                LOGINS,
            )


def _placed(topology: Topology) -> Iterator[tuple[Service, str]]:
    """Each service on the last of its nodes."""
    for service in topology.services:
        yield service, service.nodes[-1]


def _ssh(node: str, script: str) -> Step:
    return Step("ssh", node, script)
