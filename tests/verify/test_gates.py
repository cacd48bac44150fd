"""Cloud Firewalls and trusted sources, as the API reports them, are the topology's and no others."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.api import Api
from harness.deployment import Deployment
from harness.errors import CheckFailedError
from harness.isolation import drift as drifting
from harness.isolation.compare import differences
from harness.isolation.drift import Drift
from harness.isolation.model import Difference
from harness.isolation.reported import Documents, ask, network_of
from harness.names import resource_name, run_of_name
from harness.target import Target
from harness.topology import ports
from harness.topology.model import Topology
from harness.verify.setup import SETUP

SHOWN = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each ``firewall`` of the topology."""
    if "firewall" in metafunc.fixturenames:
        topology = metafunc.config.stash[SETUP].topology
        metafunc.parametrize("firewall", [each.name for each in topology.all_firewalls()])


@pytest.fixture(scope="module")
def told(api: Api, deployment: Deployment) -> Documents:
    """What the API reports now."""
    return ask(api, deployment.run)


@pytest.fixture(scope="module")
def drift(told: Documents, deployment: Deployment, topology: Topology, target: Target) -> tuple[Drift, ...]:
    """Everything that is not as the topology says."""
    return drifting.drift(topology, deployment.run, target.operators, told)


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


def test_firewalls_are_in_force(told: Documents, deployment: Deployment) -> None:
    """No firewall has changes pending."""
    ours = [each for each in told.firewalls if run_of_name(each["name"]) == deployment.run]
    assert {each["name"]: each["status"] for each in ours if each["status"] != "succeeded"} == {}
    assert [each["pending_changes"] for each in ours if each["pending_changes"]] == []


def test_trusted_sources_are_those_of_the_topology(database: str, drift: tuple[Drift, ...]) -> None:
    """Each database trusts exactly the droplets that the topology names."""
    insist_on_none(each for each in drift if (each.kind, each.name) == ("trusted sources", database))


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
