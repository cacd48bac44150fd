"""What the checks are parametrised over: the topology's own droplets, databases and services, by name."""

from __future__ import annotations

import pytest
import testinfra
from testinfra.host import Host

from harness.api import Api
from harness.isolation.model import OUTSIDERS
from harness.ssh import Access
from harness.target import Target
from harness.topology.model import Service, Topology
from harness.verify.frontdoor import LANGUAGES, Language
from harness.verify.outage import upstreams
from harness.verify.setup import SETUP


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each ``node``, ``database``, ``service``, ``server`` and so on that a check asks for."""
    topology = metafunc.config.stash[SETUP].topology
    servers = upstreams(topology)
    names = {
        "node": list(topology.droplets),
        "vantage": [*topology.droplets, *OUTSIDERS],
        "database": list(topology.databases),
        "placed": [f"{service.name}@{node}" for service in topology.services for node in service.nodes],
        "server": list(servers),
        "fallen": [*topology.droplets, *(["+".join(servers)] if servers else [])],
        "language_name": [language.name for language in LANGUAGES],
    }
    for name, values in names.items():
        if name in metafunc.fixturenames:
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
def language(language_name: str) -> Language:
    """A language and a program in it."""
    return next(each for each in LANGUAGES if each.name == language_name)
