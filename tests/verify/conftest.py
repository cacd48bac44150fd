"""What the checks are parametrised over: the topology's own droplets, databases and services, by name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import testinfra
from testinfra.host import Host

from harness.api import Api
from harness.deployment import Deployment
from harness.faults.fault import MANAGER, PARTITION
from harness.faults.fault import names as faults
from harness.isolation.model import OUTSIDERS
from harness.judge0 import frontdoor
from harness.judge0.frontdoor import DOUBLING
from harness.masking import secrets_of
from harness.ssh import Access
from harness.target import Target
from harness.topology.model import FrontDoor, Service, StackService, Swarm, Topology
from harness.verify.setup import SETUP, Setup
from harness.verify.swarm_talk import listening, owners
from harness.verify.swarm_view import View, look_at
from harness.verify.upstreams import upstream_droplets

# What a topology may have none of; and, of a swarm, the checks that look at what it has instead.
MISSING = {
    "placed": "compose projects on nodes",
    "server": "nodes behind Judge0's load balancer",
    "stacked": "swarm",
    "fault": "swarm",
    "cut_off": "swarm",
    "manager_lost": "swarm",
    "fallen": "droplets that are lost one by one",
}
INSTEAD = {
    "placed": "swarm.passwords_are_secrets and swarm.no_service_is_told_of_public_addresses look at it",
    "server": "swarm.servers_share_the_load and swarm_updates look at the tasks behind its balancer",
    "fallen": "swarm_failover takes power from members, for tasks move, and knows what is survived",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each ``node``, ``database``, ``service``, ``server`` and so on that a check asks for."""
    topology = metafunc.config.stash[SETUP].topology
    servers = upstream_droplets(topology)
    names = {
        "node": list(topology.droplets),
        "vantage": [*topology.droplets, *OUTSIDERS],
        "database": list(topology.databases),
        "placed": [f"{service.name}@{node}" for service in topology.services for node in service.nodes],
        "server": list(servers),
        "fallen": [] if topology.swarm else [*topology.droplets, *(["+".join(servers)] if servers else [])],
        "fault": list(faults(topology)),
        "cut_off": [each for each in faults(topology) if each.startswith(PARTITION)],
        "manager_lost": [each for each in faults(topology) if each.endswith(MANAGER)],
        "stacked": list(listening(topology.swarm)) if topology.swarm else [],
        "language_name": list(DOUBLING),
    }
    for name, values in names.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values or [nothing(topology, name)], scope="session")


def nothing(topology: Topology, name: str) -> pytest.ParameterSet:
    """In the place of a check's parameters where there are none: skipped, with what is checked instead."""
    reason = f"topology {topology.name} has no {MISSING.get(name, name)}"
    if topology.swarm is not None and name in INSTEAD:
        reason = f"{reason}; {INSTEAD[name]}"
    return pytest.param("", marks=pytest.mark.skip(reason=reason), id="none")


@pytest.fixture(scope="session")
def host(access: Access, node: str) -> Host:
    """Testinfra's view of one node, over the run's own ssh configuration."""
    access.run(node, "true")
    return testinfra.get_host(f"ssh://{node}", ssh_config=str(access.run_dir.ssh_config))


@pytest.fixture(scope="session")
def api(target: Target) -> Api:
    """DigitalOcean's API, for reading only."""
    return Api(target, read_only=True)


@pytest.fixture(scope="session")
def passwords(deployment: Deployment) -> tuple[str, ...]:
    """The databases' passwords; skips where the API does not tell them to this token."""
    ends = [each for one in deployment.databases.values() for each in (one.public, one.private)]
    if not all(each.password for each in ends):
        pytest.skip("the API tells no passwords to this token: it lacks the scope database:view_credentials")
    return secrets_of(deployment)


@pytest.fixture(scope="session")
def service(topology: Topology, placed: str) -> Service:
    """The service of ``service@node``."""
    return next(each for each in topology.services if each.name == placed.partition("@")[0])


@pytest.fixture(scope="session")
def service_host(access: Access, placed: str) -> Host:
    """The node of ``service@node``."""
    node = placed.partition("@")[2]
    access.run(node, "true")
    return testinfra.get_host(f"ssh://{node}", ssh_config=str(access.run_dir.ssh_config))


@pytest.fixture(scope="session")
def swarm(topology: Topology) -> Swarm:
    """The topology's swarm; skips where it has none."""
    return topology.swarm or pytest.skip(f"topology {topology.name} has no swarm")


@pytest.fixture(scope="session")
def view(swarm: Swarm, setup: Setup) -> View:
    """One look at the swarm, before anything is disturbed."""
    return look_at(setup)


@pytest.fixture(scope="session")
def owner(swarm: Swarm, stacked: str) -> StackService:
    """The topology's service that a service of the stack was made from."""
    return owners(swarm)[stacked]


@pytest.fixture(scope="session")
def single(setup: Setup, door: FrontDoor) -> Iterator[httpx.Client]:
    """The front door with a connection for each request, so that many can wait at once."""
    address = setup.deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_single(setup.target, address, timeout=90) as client:
        yield client
