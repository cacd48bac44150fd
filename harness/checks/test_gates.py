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
from harness.run.session import Session
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.reported import admissions as admitted
from harness.verify.reported import drift_of
from harness.verify.reported import reported as read_reported
from harness.verify.stash import SESSION

SHOWN = 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check for each ``firewall`` of the topology."""
    if "firewall" in metafunc.fixturenames:
        topology = metafunc.config.stash[SESSION].topology
        metafunc.parametrize("firewall", [each.name for each in topology.all_firewalls()])


@pytest.fixture(scope="module")
def reported(session: Session) -> Documents:
    """What the API reports now."""
    return read_reported(session)


@pytest.fixture(scope="module")
def drift(session: Session, reported: Documents) -> tuple[Drift, ...]:
    """All differences from the topology."""
    return drift_of(session, reported)


@pytest.fixture(scope="module")
def admissions(session: Session, reported: Documents) -> tuple[Drift, ...]:
    """Where all firewalls together admit other traffic than the topology's, whatever their names."""
    return admitted(session, reported)


def test_firewalls_are_those_of_the_topology(
    drift: tuple[Drift, ...], reported: Documents, deployment: Deployment, topology: Topology
) -> None:
    """Every declared firewall is there, none is left over (the bootstrap one least of all) or foreign."""
    wanted = set(drifting.firewall_names(topology, deployment.run))
    found = {each["name"] for each in reported.firewalls if run_of_name(each["name"]) == deployment.run}
    assert found == wanted
    require_none(each for each in drift if each.kind == "firewall" and each.name not in wanted)


def test_firewall_rules_are_those_of_the_topology(
    firewall: str, drift: tuple[Drift, ...], deployment: Deployment
) -> None:
    """The firewall covers the droplets and allows the traffic that the topology gives it, and no other."""
    name = resource_name(deployment.run, firewall)
    require_none(each for each in drift if (each.kind, each.name) == ("firewall", name))


@pytest.mark.existing("api")
def test_droplet_admits_what_the_topology_says(node: str, admissions: tuple[Drift, ...]) -> None:
    """All firewalls that cover the droplet together: every address, every port, both ways, and no other."""
    require_none(each for each in admissions if (each.kind, each.name) == ("droplet", node))


@pytest.mark.existing("api")
def test_firewalls_can_be_judged(admissions: tuple[Drift, ...]) -> None:
    """Each that covers a droplet is in force, and names no peer whose addresses the API does not show."""
    require_none(each for each in admissions if each.kind == "firewall")


def test_firewalls_are_in_force(reported: Documents, deployment: Deployment) -> None:
    """No firewall has changes pending."""
    ours = [each for each in reported.firewalls if run_of_name(each["name"]) == deployment.run]
    assert {each["name"]: each["status"] for each in ours if each["status"] != "succeeded"} == {}
    assert [each["pending_changes"] for each in ours if each["pending_changes"]] == []


@pytest.mark.existing("api")
def test_trusted_sources_are_those_of_the_topology(database: str, drift: tuple[Drift, ...]) -> None:
    """Each database trusts exactly the droplets that the topology names."""
    require_none(each for each in drift if (each.kind, each.name) == ("trusted sources", database))


@pytest.mark.existing("api")
def test_rules_allow_what_is_intended(
    reported: Documents, deployment: Deployment, topology: Topology
) -> None:
    """Egress and ingress rules together admit what is intended and nothing else, computed for every pair.

    From each droplet, the internet and an outsider, on private and public addresses, by tcp, udp and icmp.
    """
    found = differences(topology, network_of(topology, deployment.run, reported), None)
    if found:
        shown = [as_text(each) for each in found[:SHOWN]]
        raise CheckFailedError("\n".join((f"{len(found)} differences", *shown)))


def require_none(found: Iterable[Drift]) -> None:
    """Raise ``CheckFailedError`` that names each difference."""
    if problems := [str(each) for each in found]:
        raise CheckFailedError("\n".join(problems))


def as_text(each: Difference) -> str:
    """One difference in a line."""
    return f"{each.pair} {ports.render(each.ports)}/{each.protocol}: {each.reason}"
