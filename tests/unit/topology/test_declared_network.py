"""What firewalls and trusted sources admit, held against a slow and obvious model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.firewall.addresses import address
from harness.firewall.evaluate import admitted, allowed_by, received
from harness.firewall.from_topology import declared, rule_of
from harness.firewall.model import Network, Pair
from harness.firewall.ranges import ports_with
from harness.topology import Topology, intended, ports
from harness.topology.model import INTERNET, OPERATORS, VPC, Flow, Protocol, Rule
from harness.topology.ports import Ports

Loader = Callable[..., Topology]

INTERVALS = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda pair: (min(pair), max(pair)))
SETS = st.lists(INTERVALS, max_size=5).map(lambda found: ports.union(tuple(found)))


def passing(network: Network, source: str, destination: str, protocol: Protocol) -> Ports:
    """The ports that get through between two ends of a plan."""
    return admitted(network, Pair(source, destination), protocol)


def members(intervals: Ports) -> set[int]:
    """Every port, one by one."""
    return {port for first, last in intervals for port in range(first, last + 1)}


@settings(deadline=None)
@given(SETS, SETS)
def test_port_arithmetic_is_set_arithmetic(one: Ports, other: Ports) -> None:
    """Union, intersection and difference of intervals are those of the ports in them."""
    assert members(ports.union(one, other)) == members(one) | members(other)
    assert members(ports.intersect(one, other)) == members(one) & members(other)
    assert members(ports.subtract(one, other)) == members(one) - members(other)


@settings(deadline=None)
@given(SETS)
def test_ports_have_one_form_and_survive_writing(one: Ports) -> None:
    """Sorted, apart by at least one port, and read back from text."""
    assert all(one[i][1] + 1 < one[i + 1][0] for i in range(len(one) - 1))
    if one:
        assert ports.parse(ports.render(one)) == one


def test_all_ports_have_several_spellings() -> None:
    """As the API takes them."""
    assert ports.parse("0") == ports.parse("all") == ports.parse("1-65535") == ports.ALL
    assert (ports.render(ports.ALL), ports.render(ports.NONE)) == ("all", "none")


def test_both_gates_must_open(load_small: Loader) -> None:
    """The sender may send two ports, the receiver takes two: what passes is what both say."""
    network = declared(load_small())
    assert passing(network, "web", "api-2", "tcp") == ((22, 22), (8000, 8001))
    assert passing(network, "api-2", "web", "tcp") == ports.NONE
    assert passing(network, "web", "api-1", "udp") == ports.NONE
    assert received(network, Pair("api-1", "web"), "tcp") == ((80, 80),)


def test_databases_admit_their_trusted_sources_on_one_port(load_small: Loader) -> None:
    """And send nothing of their own."""
    network = declared(load_small())
    assert passing(network, "api-1", "store", "tcp") == ((25060, 25060),)
    assert passing(network, "web", "store", "tcp") == ports.NONE
    assert passing(network, "store", "api-1", "tcp") == ports.NONE


def test_the_world_has_no_gate_of_its_own(load_small: Loader) -> None:
    """From outside only the receiver's rules count, to the outside only the sender's."""
    network = declared(load_small())
    assert passing(network, INTERNET, "web", "tcp") == ((80, 80),)
    assert passing(network, INTERNET, "api-1", "tcp") == ports.NONE
    assert passing(network, "web", INTERNET, "tcp") == ports.NONE
    assert passing(network, OPERATORS, "web", "tcp") == ((22, 22), (80, 80))
    assert passing(network, VPC, "api-1", "tcp") == ports.NONE


def test_management_is_intended_and_admitted(load_small: Loader) -> None:
    """Operators reach the bastion, the bastion every other droplet."""
    topology = load_small()
    network = declared(topology)
    assert Flow(OPERATORS, "web", "tcp", "22") in intended(topology)
    assert Flow("web", "api-2", "tcp", "22") in intended(topology)
    for flow in intended(topology):
        passed = passing(network, flow.source, flow.destination, flow.protocol)
        assert ports.subtract(ports.parse(flow.ports), passed) == ports.NONE


def test_an_uncovered_droplet_is_open(load_small: Loader) -> None:
    """As in the cloud: no firewall, no gate; the other end's still counts."""
    network = declared(load_small())
    network = network.under(replace(network.state, firewalls=network.state.firewalls[:1]))
    assert network.covering("api-1") == ()
    assert passing(network, "api-1", "api-2", "udp") == ports.ALL
    assert passing(network, "web", "api-1", "tcp") == ((8000, 8001),)


@pytest.mark.parametrize(
    ("peer", "end", "expected"),
    [
        ("0.0.0.0/0", INTERNET, True),
        ("198.51.100.0/24", INTERNET, False),
        ("198.51.100.0/24", "198.51.100.7/32", True),
        ("198.51.100.7/32", "198.51.100.0/24", False),
        ("10.0.0.0/8", "api-1", True),
        ("10.20.0.0/28", "api-1", False),
        (VPC, "store", True),
        (VPC, INTERNET, False),
        (INTERNET, "api-1", True),
        ("web", "api-1", False),
    ],
)
def test_a_peer_takes_in_what_is_inside_it(load_small: Loader, peer: str, end: str, expected: bool) -> None:
    """Networks by containment, the VPC by membership, names by themselves."""
    topology = load_small()
    network, rule = declared(topology), Rule("tcp", "80", (peer,))
    admits = allowed_by(network, [rule_of(topology, rule, "inbound")], "tcp")
    assert bool(ports_with(admits, address(network, end, "private"))) is expected


def test_a_firewall_over_many_droplets_is_split(load_small: Loader) -> None:
    """A Cloud Firewall takes five tags, and droplets are covered by their own."""
    more = "".join(f"  n-{number}: {{role: api}}\n" for number in range(9))
    topology = load_small(("  api-2: {role: api}\n", f"  api-2: {{role: api}}\n{more}"))
    covering = {each.name: len(each.droplets) for each in topology.all_firewalls()}
    assert covering == {
        "front": 1,
        "back": 5,
        "back-2": 5,
        "back-3": 1,
        "management-bastion": 1,
        "management-nodes": 5,
        "management-nodes-2": 5,
        "management-nodes-3": 1,
    }
    assert Rule("tcp", "22", ("web",)) in topology.all_firewalls()[-1].inbound
