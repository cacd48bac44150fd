"""Parameters of the checks: the topology's own droplets, databases and services, by name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import testinfra
from testinfra.host import Host

from harness.access.ssh import Access
from harness.judge0 import frontdoor
from harness.run.session import Session
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment, secrets_of
from harness.topology.model import FrontDoor, Service, StackService, Swarm, Topology
from harness.verify import kinds
from harness.verify.stash import SESSION
from harness.verify.swarm.discovery import owners
from harness.verify.swarm.view import View, inspect


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each ``node``, ``database``, ``service``, ``server`` and so on that a check asks for.

    Where there is none, one that is left out.
    """
    topology = metafunc.config.stash[SESSION].topology
    there = kinds.has(topology)
    needed = kinds.needs(metafunc.definition.iter_markers(kinds.MARK), there)
    for name in kinds.parameters(topology):
        if name in metafunc.fixturenames:
            values = kinds.values(name, needed, there) or [pytest.param("", id="none")]
            metafunc.parametrize(name, values, scope="session")


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
    """The databases' passwords; skips where the API does not show them to this token."""
    ends = [each for one in deployment.databases.values() for each in (one.public, one.private)]
    if not all(each.password for each in ends):
        pytest.skip("the API shows no passwords to this token: it lacks the scope database:view_credentials")
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
    """The topology's swarm."""
    assert topology.swarm is not None
    return topology.swarm


@pytest.fixture(scope="session")
def view(swarm: Swarm, session: Session) -> View:
    """A snapshot of the swarm, before anything is disturbed."""
    return inspect(session)


@pytest.fixture(scope="session")
def owner(swarm: Swarm, stacked: str) -> StackService:
    """The topology's service that a service of the stack was made from."""
    return owners(swarm)[stacked]


@pytest.fixture(scope="session")
def single(session: Session, door: FrontDoor) -> Iterator[httpx.Client]:
    """The front door with more time for each answer, so that many can wait at once."""
    address = session.deployment.nodes[door.node].public_ip or ""
    with frontdoor.open_client(session.target, address, door, timeout=90) as client:
        yield client
