"""What runs on each droplet, as seen from inside."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest
import testinfra
from ruamel.yaml import YAML
from testinfra.host import Host

from harness.access.ssh import Access
from harness.deploy.engine import local_images
from harness.deploy.remote import LOADED, health_script, parse_loaded
from harness.run.session import Session
from harness.topology.deployment import Deployment
from harness.topology.model import Service, StackService, Topology
from harness.verify.balancer.nginx import NGINX_CONFIG, parse
from harness.verify.recovery import health_checks
from harness.verify.swarm.discovery import owners

ROOT = "/opt/wavetank"
SSH, MANAGEMENT, GOSSIP = 22, 2377, 7946
# The containers of a compose project: their health in Docker; the image's name, and the image that runs.
OF_PROJECT = "docker ps -q --filter label=com.docker.compose.project=%s | xargs -r docker inspect --format "
HEALTH = OF_PROJECT + "'{{with .State.Health}}{{.Status}}{{end}}'"
VARIABLES = OF_PROJECT.replace("ps -q", "ps -aq") + "'{{.Name}} {{json .Config.Env}}'"
RUNNING = OF_PROJECT + "'{{.Config.Image}} {{.Image}}'"
IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
PUBLISHED = re.compile(r"(?:0\.0\.0\.0|\[?::\]?):(\d+)->")


@pytest.mark.existing("login")
def test_machine_is_up(host: Host) -> None:
    """Systemd has started everything, and nothing failed."""
    state = host.run("systemctl is-system-running")
    assert state.stdout.strip() == "running", host.run("systemctl --failed --no-pager").stdout


def test_machine_has_its_name(node: str, host: Host) -> None:
    """The host name is the droplet's."""
    assert host.run("hostname").stdout.strip().endswith(node)


@pytest.mark.existing("login")
def test_engine_answers(host: Host) -> None:
    """Each droplet has a Docker engine of its own."""
    assert host.run("docker info").rc == 0


def test_containers_are_those_of_its_services(node: str, host: Host, topology: Topology) -> None:
    """The containers of a node belong to its services, and run; one meant to run once has ended well.

    Of a swarm's tasks only whether they may be here: how they fare is for test_swarm to say.
    """
    every = json.loads(host.check_output("docker inspect $(docker ps -aq) 2>/dev/null || true") or "[]")
    found = [each for each in every if not is_task(each, node, topology)]
    wanted = {service.name for service in topology.services if node in service.nodes}
    assert {each["Config"]["Labels"].get("com.docker.compose.project") for each in found} == wanted
    assert [each["Name"] for each in found if not is_fine(each)] == []


@pytest.mark.needs("health")
def test_service_answers_where_it_says(
    placed: str, service: Service, service_host: Host, session: Session
) -> None:
    """It answers our request at its health URL, whatever Docker's health check says."""
    node = placed.partition("@")[2]
    script, given = health_script(health_checks(session, [service], node))
    output = session.access.run(node, script, stdin=given or None)
    health = service_host.run(HEALTH, service.name).stdout.split()
    assert "answered" in output.split(), (
        f"its containers are {' and '.join(health) or 'of unknown health'}: {output.removeprefix('---')}"
    )


def test_service_runs_what_was_built(service: Service, service_host: Host) -> None:
    """The image of each container is the one that this machine built or has under that name."""
    rows = [line.split() for line in service_host.check_output(RUNNING, service.name).splitlines()]
    here = local_images([reference for reference, _ in rows])
    loaded = parse_loaded(service_host.check_output(LOADED.format(root=ROOT)))
    unknown = [reference for reference, _ in rows if reference not in here]
    stale = [
        f"{reference} is {runs} there and {here[reference].id} here"
        for reference, runs in rows
        if reference in here and runs not in (here[reference].id, loaded.get((reference, here[reference].id)))
    ]
    assert stale == [], "; ".join(stale)
    if unknown:
        pytest.skip(f"this machine does not have {', '.join(sorted(set(unknown)))} to compare with")


@pytest.mark.existing("login")
def test_only_its_ports_are_open(node: str, host: Host, topology: Topology) -> None:
    """A node listens for ssh, its services and its swarm on anything but loopback, and for nothing else."""
    listening = {
        int(port)
        for address, _, port in (line.split()[3].rpartition(":") for line in listeners(host))
        if not is_loopback(address)
    }
    published = host.check_output("docker ps --format '{{.Ports}}'")
    found = listening | {int(port) for port in PUBLISHED.findall(published)}
    ports = {port for service in topology.services if node in service.nodes for port in service.ports}
    moving = {port for service in stack_services(topology, node) for port in service.ports}
    assert found - moving == {SSH, *ports, *swarm_ports(topology, node)} - moving


def test_compose_file_names_no_network(service: Service, service_host: Host) -> None:
    """The deployed compose file has no networks section left, as the plan's second step wants it."""
    text = service_host.check_output("cat %s", f"{ROOT}/{service.name}/docker-compose.yml")
    document = YAML(typ="safe").load(text)
    assert "networks" not in document
    assert [name for name, each in document["services"].items() if "networks" in each] == []


@pytest.mark.needs("environment")
def test_environment_holds_private_addresses(
    service: Service, service_host: Host, deployment: Deployment
) -> None:
    """Every address in ``.env`` is in the VPC, and no database is named by its public host."""
    text = service_host.check_output("cat %s", f"{ROOT}/{service.name}/.env")
    addresses = {ip_address(each) for each in IPV4.findall(text)}
    outside = {str(each) for each in addresses if each not in ip_network(deployment.vpc_range)}
    assert outside == set()
    assert public_hosts(text, deployment) == []


def test_containers_are_told_of_private_hosts(
    service: Service, service_host: Host, deployment: Deployment
) -> None:
    """No variable of a container names a database by its public host, wherever it was set."""
    shown = service_host.check_output(VARIABLES, service.name)
    found = [
        f"{name} of {container.lstrip('/')} refers to {each}"
        for container, _, variables in (line.partition(" ") for line in shown.splitlines())
        for name, _, value in (str(one).partition("=") for one in json.loads(variables) or ())
        for each in public_hosts(value, deployment)
    ]
    assert found == []


@pytest.mark.needs("judge0_node")
@pytest.mark.existing("login")
def test_load_balancer_knows_the_servers(deployment: Deployment, topology: Topology, lb: Host) -> None:
    """``nginx -T`` shows the private addresses of the servers that it may talk to, and nothing else."""
    endpoint = topology.checks.judge0
    assert endpoint is not None
    found = parse(lb.check_output(NGINX_CONFIG))
    wanted = {
        f"{deployment.nodes[flow.destination].private_ip}:{flow.ports}"
        for flow in topology.intent
        if flow.source == endpoint.node and flow.destination in deployment.nodes
    }
    assert {server for each in found for server in (*each.weights, *each.spares)} == wanted


@pytest.mark.existing("login")
def test_database_resolves_into_the_vpc(
    database: str, deployment: Deployment, topology: Topology, access: Access
) -> None:
    """The nodes that use a database find its private host inside the VPC."""
    private = deployment.databases[database].private.host
    for node in topology.databases[database].trusted_sources:
        output = access.run(node, f"getent ahostsv4 {private}")
        found = {IPv4Address(line.split()[0]) for line in output.splitlines()}
        assert found, f"{node} does not resolve {private}"
        assert all(each in ip_network(deployment.vpc_range) for each in found), f"{node}: {found}"


@pytest.fixture
def lb(topology: Topology, access: Access) -> Host:
    """The node where Judge0 is reached."""
    assert topology.checks.judge0 is not None
    node = topology.checks.judge0.node
    access.run(node, "true")
    return testinfra.get_host(f"ssh://{node}", ssh_config=str(access.run_dir.ssh_config))


def public_hosts(text: str, deployment: Deployment) -> list[str]:
    """The databases' public hosts that a text names."""
    for each in deployment.databases.values():
        text = text.replace(each.private.host, "")
    hosts = {each.public.host for each in deployment.databases.values()}
    return sorted(host for host in hosts if host in text)


def stack_services(topology: Topology, node: str) -> list[StackService]:
    """The services of the stack whose tasks may run on a node."""
    return [each for each in topology.swarm.services if node in each.nodes] if topology.swarm else []


def swarm_ports(topology: Topology, node: str) -> set[int]:
    """The TCP ports on which a member of a swarm listens: for gossip, and a manager for its members."""
    if topology.swarm is None:
        return set()
    return {GOSSIP, MANAGEMENT} if node in topology.swarm.managers else {GOSSIP}


def is_task(container: dict[str, Any], node: str, topology: Topology) -> bool:
    """Whether a container is a task's, of a service that may run on this node."""
    if topology.swarm is None:
        return False
    made = owners(topology.swarm)
    allowed = {f"{topology.swarm.stack}_{name}" for name, each in made.items() if node in each.nodes}
    return container["Config"]["Labels"].get("com.docker.swarm.service.name") in allowed


def listeners(host: Host) -> list[str]:
    """The lines of ``ss``: one TCP listener each."""
    lines: list[str] = host.check_output("ss -Hltn").splitlines()
    return lines


def is_loopback(address: str) -> bool:
    """Whether ``ss``'s address is reached from this machine only."""
    bare = address.strip("[]").partition("%")[0]
    return bare != "*" and ip_address(bare).is_loopback


def is_fine(container: dict[str, Any]) -> bool:
    """Whether a container is as it should be: one that is restarted whenever it ends must run."""
    state, policy = container["State"], container["HostConfig"]["RestartPolicy"]["Name"]
    return bool(state["Running"] or (policy in ("", "no") and state["ExitCode"] == 0))
