"""Cloud Firewalls and trusted sources, as the API reports them, are the topology's and no others."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.core import ports
from harness.core.errors import CheckFailedError
from harness.core.names import resource_name, run_of_name
from harness.firewall.from_api import Documents, network_of
from harness.isolation import drift as drifting
from harness.isolation.compare import differences
from harness.isolation.drift import Drift
from harness.isolation.model import Difference
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.reported import admissions as admitted
from harness.verify.reported import drift_of, reported
from harness.verify.setup import SETUP, Setup

SHOWN = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each ``firewall`` of the topology."""
    if "firewall" in metafunc.fixturenames:
        topology = metafunc.config.stash[SETUP].topology
        metafunc.parametrize("firewall", [each.name for each in topology.all_firewalls()])


@pytest.fixture(scope="module")
def told(setup: Setup) -> Documents:
    """What the API reports now."""
    return reported(setup)


@pytest.fixture(scope="module")
def drift(setup: Setup, told: Documents) -> tuple[Drift, ...]:
    """Everything that is not as the topology says."""
    return drift_of(setup, told)


@pytest.fixture(scope="module")
def admissions(setup: Setup, told: Documents) -> tuple[Drift, ...]:
    """Where all firewalls together let through other than the topology's, whatever they are called."""
    return admitted(setup, told)


def test_firewalls_are_those_of_the_topology(
    drift: tuple[Drift, ...], told: Documents, deployment: Deployment, topology: Topology
) -> None:
    """Every declared firewall is there, none is left over (the bootstrap one least of all) or foreign."""
    wanted = set(drifting.firewall_names(topology, deployment.run))
    found = {each["name"] for each in told.firewalls if run_of_name(each["name"]) == deployment.run}
    assert found == wanted
    insist_on_none(each for each in drift if each.kind == "firewall" and each.name not in wanted)


def test_firewall_rules_are_those_of_the_topology(
    firewall: str, drift: tuple[Drift, ...], deployment: Deployment
) -> None:
    """The firewall covers the droplets and allows the traffic that the topology gives it, and no other."""
    name = resource_name(deployment.run, firewall)
    insist_on_none(each for each in drift if (each.kind, each.name) == ("firewall", name))


@pytest.mark.existing("api")
def test_droplet_admits_what_the_topology_says(node: str, admissions: tuple[Drift, ...]) -> None:
    """All firewalls that cover the droplet together: every address, every port, both ways, and no other."""
    insist_on_none(each for each in admissions if (each.kind, each.name) == ("droplet", node))


@pytest.mark.existing("api")
def test_firewalls_can_be_judged(admissions: tuple[Drift, ...]) -> None:
    """Each that covers a droplet is in force, and names nobody whose addresses the API does not tell."""
    insist_on_none(each for each in admissions if each.kind == "firewall")


def test_firewalls_are_in_force(told: Documents, deployment: Deployment) -> None:
    """No firewall has changes pending."""
    ours = [each for each in told.firewalls if run_of_name(each["name"]) == deployment.run]
    assert {each["name"]: each["status"] for each in ours if each["status"] != "succeeded"} == {}
    assert [each["pending_changes"] for each in ours if each["pending_changes"]] == []


@pytest.mark.existing("api")
def test_trusted_sources_are_those_of_the_topology(database: str, drift: tuple[Drift, ...]) -> None:
    """Each database trusts exactly the droplets that the topology names."""
    insist_on_none(each for each in drift if (each.kind, each.name) == ("trusted sources", database))


@pytest.mark.existing("api")
def test_rules_allow_what_is_intended(told: Documents, deployment: Deployment, topology: Topology) -> None:
    """Both gates together pass what has to get through and nothing else, computed for every pair.

    From each droplet, the internet and a stranger, on private and public addresses, by tcp, udp and icmp.
    """
    found = differences(topology, network_of(topology, deployment.run, told), None)
    if found:
        shown = [as_text(each) for each in found[:SHOWN]]
        raise CheckFailedError("\n".join((f"{len(found)} differences", *shown)))


def insist_on_none(found: Iterable[Drift]) -> None:
    """Raise ``CheckFailedError`` that names each difference."""
    if problems := [str(each) for each in found]:
        raise CheckFailedError("\n".join(problems))


def as_text(each: Difference) -> str:
    """One difference in a line."""
    return f"{each.pair} {ports.render(each.ports)}/{each.protocol}: {each.reason}"
