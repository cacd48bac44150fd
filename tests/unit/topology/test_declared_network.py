"""What firewalls and trusted sources admit, held against a slow and obvious model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core import ports
from harness.core.ports import Ports
from harness.firewall.addresses import address
from harness.firewall.evaluate import admitted, allowed_by, received, sent
from harness.firewall.from_topology import declared, rule_of
from harness.firewall.model import Network, Pair
from harness.firewall.ranges import ports_with
from harness.topology import Topology, intended
from harness.topology.model import (
    INTERNET,
    OPERATORS,
    PROTOCOLS,
    VPC,
    Database,
    Droplet,
    Firewall,
    Flow,
    Management,
    Protocol,
    Rule,
)

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


@pytest.mark.parametrize(("last", "expected"), [("198.51.100.128/25", ((80, 80),)), ("web", ports.NONE)])
def test_parts_of_a_cidr_add_up(load_small: Loader, last: str, expected: Ports) -> None:
    """An end that is a CIDR is admitted where all of its addresses are, by whichever rules."""
    topology = load_small()
    rules = [rule_of(topology, Rule("tcp", "80", (each,)), "inbound") for each in ("198.51.100.0/25", last)]
    assert ports_with(allowed_by(declared(topology), rules, "tcp"), "198.51.100.0/24") == expected


PLAN = Topology(
    name="small",
    file=Path("small.yaml"),
    region="fra1",
    ip_range=None,
    droplets={
        name: Droplet(name, "s", "i", name, public_networking=True, user_data="")
        for name in ("web", "api-1", "api-2")
    },
    databases={"store": Database("store", "pg", "15", "s", 1, ("api-1", "api-2"))},
    firewalls=(),
    intent=(),
    services=(),
    management=Management("web", ()),
    app=Path(),
)
ENDS = (
    "web",
    "api-1",
    "api-2",
    "store",
    INTERNET,
    OPERATORS,
    VPC,
    "198.51.100.7/32",
    "10.20.0.0/28",
    "0.0.0.0/0",
)
PEERS = (*ENDS[:3], *ENDS[4:], "10.0.0.0/8", "10.20.0.0/24", "198.51.100.0/24")
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(PROTOCOLS),
        st.sampled_from(["0", "22", "80-90", "85-100"]),
        st.lists(st.sampled_from(PEERS), min_size=1, max_size=3).map(tuple),
    ).map(lambda rule: replace(rule, ports="0") if rule.protocol == "icmp" else rule),
    max_size=3,
)
FIREWALLS = st.lists(
    st.builds(
        lambda droplets, inbound, outbound: Firewall("f", tuple(droplets), tuple(inbound), tuple(outbound)),
        st.lists(st.sampled_from(ENDS[:3]), max_size=3, unique=True),
        RULES,
        RULES,
    ),
    max_size=3,
)


@given(FIREWALLS, st.sampled_from([None, "10.20.0.0/24", "10.20.0.0/16"]))
@settings(max_examples=40, deadline=None)
def test_names_are_enough(firewalls: list[Firewall], ip_range: str | None) -> None:
    """With made-up addresses, rules admit what reading them by name would, whatever is known of the VPC."""
    topology = replace(PLAN, firewalls=tuple(firewalls), ip_range=ip_range)
    network = declared(topology)
    for source in ENDS:
        for target in ENDS:
            for protocol in PROTOCOLS:
                pair = Pair(source, target)
                assert sent(network, pair, protocol) == by_name(topology, source, protocol, target, out=True)
                taken = by_name(topology, target, protocol, source, out=False)
                assert received(network, pair, protocol) == taken


def by_name(topology: Topology, end: str, protocol: Protocol, other: str, *, out: bool) -> Ports:
    """What an end's rules admit with another, read one by one."""
    database = topology.databases.get(end)
    if database:
        trusted = not out and protocol == "tcp" and other in database.trusted_sources
        return ((25060, 25060),) if trusted else ports.NONE
    covering = [each for each in topology.all_firewalls() if end in each.droplets]
    if not covering:
        return ports.ALL
    rules = [rule for each in covering for rule in (each.outbound if out else each.inbound)]
    return ports.union(
        *(
            ports.parse(rule.ports)
            for rule in rules
            if rule.protocol == protocol and any(takes_in(topology, peer, other) for peer in rule.peers)
        )
    )


def takes_in(topology: Topology, peer: str, end: str) -> bool:
    """Whether a rule's peer is sure to take in an end."""
    if peer in (end, INTERNET, "0.0.0.0/0"):
        return True
    member = end == VPC or end in topology.droplets or end in topology.databases
    if peer == VPC:
        return member
    if peer in topology.droplets or peer == OPERATORS or end in (INTERNET, OPERATORS):
        return False
    wanted = topology.ip_range if member else end
    return wanted is not None and IPv4Network(wanted).subnet_of(IPv4Network(peer))


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
