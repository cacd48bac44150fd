"""What rules let pass, computed: by hand-written networks, and against the emulator's own reading."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isolation_rig import (
    DATABASE,
    NAMES,
    RUN,
    TIME,
    documents,
    droplet,
    firewall,
    network,
    node,
    sending,
    taking,
)

from emulator.cloud import models
from emulator.cloud.policy import network_policy
from emulator.planes.base import MemberPolicy
from harness.core import ports
from harness.core.names import STRANGER, node_tag, resource_name
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.addresses import address
from harness.firewall.evaluate import admitted, received, sent
from harness.firewall.model import Pair
from harness.firewall.walk import walk
from harness.topology.model import PROTOCOLS, Protocol

WEB_API = Pair("web", "api")


def test_without_firewalls_everything_passes() -> None:
    """Droplets that no firewall covers are open, both ways."""
    assert admitted(network(), WEB_API, "tcp") == ALL


def test_a_firewall_without_rules_covers() -> None:
    """It denies everything, in both directions."""
    net = network(firewall("none", "api"))
    assert admitted(net, WEB_API, "tcp") == NONE
    assert admitted(net, Pair("api", "job"), "icmp") == NONE
    assert admitted(net, Pair("web", "job"), "tcp") == ALL


def test_both_gates_must_pass() -> None:
    """What one side admits and the other does not is denied; what both admit is the overlap."""
    net = network(
        firewall("out", "web", outbound_rules=[sending("80-90", tags=[node_tag(RUN, "api")])]),
        firewall("in", "api", inbound_rules=[taking("85-95", droplet_ids=[1])]),
    )
    assert admitted(net, WEB_API, "tcp") == ((85, 90),)
    assert admitted(net, WEB_API, "udp") == NONE


def test_rules_of_several_firewalls_add_up() -> None:
    """A droplet that two firewalls cover takes what either admits."""
    net = network(
        firewall("one", "api", inbound_rules=[taking("80")]),
        firewall("two", "api", inbound_rules=[taking("81")]),
    )
    assert admitted(net, WEB_API, "tcp") == ((80, 81),)


@pytest.mark.parametrize("text", ["0", "all", ""])
def test_all_ports_are_written_in_three_ways(text: str) -> None:
    """ "0", "all" and nothing mean the same."""
    net = network(firewall("in", "api", inbound_rules=[taking(text)]))
    assert admitted(net, WEB_API, "tcp") == ALL


def test_a_droplet_that_a_rule_names_is_meant_with_both_addresses() -> None:
    """By tag or by id, the rule holds for the public side as well."""
    net = network(firewall("in", "api", inbound_rules=[taking("80", tags=[node_tag(RUN, "web")])]))
    assert admitted(net, Pair("web", "api", "public"), "tcp") == ((80, 80),)
    assert admitted(net, Pair("job", "api", "public"), "tcp") == NONE


def test_tags_do_not_care_for_case_and_cover_like_ids() -> None:
    """A firewall covers by any tag of the droplet."""
    net = network(firewall("in", droplet_ids=[], tags=["WAVETANK:A"]))
    assert [net.covered_by(each) for each in net.state.firewalls] == [NAMES]


def test_internet_reaches_public_addresses_only() -> None:
    """There is no route to a private one, nor to a droplet without a public interface."""
    net = network(droplets=[node("web"), node("api", public=False), node("job")])
    assert admitted(net, Pair("internet", "web"), "tcp") == NONE
    assert admitted(net, Pair("internet", "web", "public"), "tcp") == ALL
    assert admitted(net, Pair("internet", "api", "public"), "tcp") == NONE
    step = walk(net, Pair("internet", "api", "public"), "tcp", 22).decides
    assert (step.gate, step.reason) == ("route", "no route: api has no public address")


def test_a_database_takes_its_port_from_whom_it_trusts() -> None:
    """Nothing else, from nobody else, and it opens nothing itself."""
    net = network(sources=[("tag", node_tag(RUN, "api"))])
    assert admitted(net, Pair("api", DATABASE), "tcp") == ((25060, 25060),)
    assert admitted(net, Pair("api", DATABASE), "udp") == NONE
    assert admitted(net, Pair("web", DATABASE), "tcp") == NONE
    assert admitted(net, Pair(DATABASE, "web"), "tcp") == NONE


def test_a_database_without_trusted_sources_is_open_to_everybody() -> None:
    """To a stranger and to the internet, too."""
    net = network()
    for source, side in (("web", "private"), (STRANGER, "private"), ("internet", "public")):
        assert admitted(net, Pair(source, DATABASE, side), "tcp") == ((25060, 25060),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "value"), [("droplet", "2"), ("ip_addr", "10.1.0.12"), ("ip_addr", "10.1.0.12/32")]
)
def test_trusted_sources_name_droplets_and_addresses(kind: str, value: str) -> None:
    """By id and by address as by tag."""
    net = network(sources=[(kind, value)])
    assert admitted(net, Pair("api", DATABASE), "tcp") == ((25060, 25060),)
    assert admitted(net, Pair("job", DATABASE), "tcp") == NONE


@pytest.mark.parametrize("kind", ["app", "k8s"])
def test_what_cannot_be_resolved_is_nobody_and_told(kind: str) -> None:
    """An app or a cluster is taken for nobody, but the database is not open for that."""
    net = network(sources=[(kind, "123")])
    assert admitted(net, Pair("api", DATABASE), "tcp") == NONE
    assert any("123 is named by a rule" in note for note in net.notes)


def test_load_balancers_and_ipv6_are_told() -> None:
    """A rule that names them admits nobody that is looked at."""
    rule = taking("80", load_balancer_uids=["lb-1"], addresses=["2001:db8::/32"])
    net = network(firewall("in", "api", inbound_rules=[rule]))
    assert admitted(net, WEB_API, "tcp") == NONE
    assert len(net.notes) == 2


def test_a_database_may_have_any_address_of_the_vpc() -> None:
    """Its address is not told, so only what goes to the whole range is sure to reach it."""
    half = network(firewall("out", "api", outbound_rules=[sending("25060", addresses=["10.1.0.0/25"])]))
    both = network(
        firewall("out", "api", outbound_rules=[sending("25060", addresses=["10.1.0.0/25", "10.1.0.128/25"])])
    )
    assert admitted(half, Pair("api", DATABASE), "tcp") == NONE
    assert admitted(both, Pair("api", DATABASE), "tcp") == ((25060, 25060),)


def test_a_stranger_is_a_droplet_of_the_vpc_without_a_firewall() -> None:
    """Where there is none, an address that nobody has stands for it; where there is one, its own."""
    net = network(firewall("in", "api", inbound_rules=[taking("80", addresses=["10.1.0.0/24"])]))
    assert admitted(net, Pair(STRANGER, "api"), "tcp") == ((80, 80),)
    assert admitted(net, Pair("job", STRANGER), "udp") == ALL
    assert address(net, STRANGER, "private") == "10.1.0.254"
    real = network(droplets=[*map(node, NAMES), droplet(7, "x", node_tag(RUN, STRANGER))])
    assert address(real, STRANGER, "private") == "10.1.0.17"


def test_a_walk_names_what_admits_and_what_would_have_to() -> None:
    """The rule that admits, or the firewalls that cover and do not."""
    net = network(
        firewall("out", "web", outbound_rules=[sending("80", tags=[node_tag(RUN, "api")])]),
        firewall("in", "api"),
    )
    route, out, into = walk(net, WEB_API, "tcp", 80).steps
    assert (route.admits, out.admits, into.admits) == (True, True, False)
    assert (out.firewall, out.rule) == (resource_name(RUN, "out"), "tcp 80 to api")
    assert (into.covering, into.firewall) == ((resource_name(RUN, "in"),), "")


def test_a_walk_tells_of_a_droplet_that_is_off() -> None:
    """The gates are computed all the same."""
    net = network(droplets=[node("web"), node("api", status="off"), node("job")])
    told = walk(net, WEB_API, "tcp", 80)
    assert told.admitted
    assert told.notes == ("api is off: nothing gets through, whatever the firewalls admit",)


NETWORKS = ("0.0.0.0/0", "10.1.0.0/24", "10.1.0.12/32", "203.0.113.8/29", "192.0.2.10", "::/0")
PEERS = st.fixed_dictionaries(
    {},
    optional={
        "addresses": st.lists(
            st.sampled_from(NETWORKS),
            min_size=1, max_size=2,
        ),
        "droplet_ids": st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=2, unique=True),
        "tags": st.lists(
            st.sampled_from([node_tag(RUN, "web"), node_tag(RUN, "API"), "wavetank:a"]),
            min_size=1, max_size=2,
        ),
    },
)  # fmt: skip
RULES = st.lists(
    st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(["22", "80-90", "0", "85"]), PEERS),
    max_size=3,
)
COVERED = st.fixed_dictionaries(
    {
        "droplet_ids": st.lists(st.sampled_from([1, 2, 3]), max_size=2, unique=True),
        "tags": st.lists(st.sampled_from([node_tag(RUN, each) for each in NAMES]), max_size=2, unique=True),
    }
)
FIREWALLS = st.lists(st.tuples(COVERED, RULES, RULES), max_size=3)
SOURCES = st.lists(
    st.sampled_from(
        [
            ("tag", node_tag(RUN, "api")),
            ("droplet", "3"),
            ("ip_addr", "10.1.0.11"),
            ("ip_addr", "192.0.2.0/24"),
        ]
    ),
    max_size=2,
    unique=True,
)


@given(FIREWALLS, SOURCES)
@settings(max_examples=150, deadline=None)
def test_both_gates_are_those_the_emulator_enforces(firewalls: Any, sources: list[tuple[str, str]]) -> None:
    """Two independent readings of the same rules agree, for every pair, side and protocol."""
    seen = network(*_bodies(firewalls), sources=sources)
    members = _by_emulator(firewalls, sources)
    for source in (*NAMES, "internet"):
        for target in NAMES:
            for side in ("private", "public"):
                if source == target or (source == "internet" and side == "private"):
                    continue
                pair = Pair(source, target, side)
                there, here = (IPv4Address(address(seen, end, pair.side)) for end in (target, source))
                for protocol in PROTOCOLS:
                    assert received(seen, pair, protocol) == _passes(members[target], "in", protocol, here)
                    if source != "internet":
                        assert sent(seen, pair, protocol) == _passes(members[source], "out", protocol, there)
    for source in NAMES:
        here = IPv4Address(address(seen, source, "private"))
        assert received(seen, Pair(source, DATABASE), "tcp") == _passes(members[DATABASE], "in", "tcp", here)


SOME = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 9)).map(lambda each: (each[0], each[0] + each[1])),
    max_size=4,
).map(lambda each: ports.union(tuple(each)))


@given(SOME, SOME)
def test_arithmetic_of_ports_is_that_of_sets(one: Ports, other: Ports) -> None:
    """Union, intersection and difference of intervals are those of the ports in them, one by one."""
    assert _one_by_one(ports.union(one, other)) == _one_by_one(one) | _one_by_one(other)
    assert _one_by_one(ports.intersect(one, other)) == _one_by_one(one) & _one_by_one(other)
    assert _one_by_one(ports.subtract(one, other)) == _one_by_one(one) - _one_by_one(other)
    assert ports.size(one) == len(_one_by_one(one))


@given(FIREWALLS, st.sampled_from(PROTOCOLS), st.integers(1, 100))
@settings(max_examples=150, deadline=None)
def test_a_walk_agrees_with_what_is_admitted(firewalls: Any, protocol: Protocol, port: int) -> None:
    """Port by port, the gates of a walk say what the sets of ports say."""
    seen = network(*_bodies(firewalls))
    this = ALL if protocol == "icmp" else ((port, port),)
    passed = ports.subtract(this, admitted(seen, WEB_API, protocol)) == NONE
    assert walk(seen, WEB_API, protocol, port).admitted == passed


def _one_by_one(which: Ports) -> set[int]:
    return {port for first, last in which for port in range(first, last + 1)}


def _bodies(firewalls: Any) -> list[dict[str, Any]]:
    return [
        firewall(
            f"w{number}",
            inbound_rules=[{"protocol": a, "ports": b, "sources": c} for a, b, c in inbound],
            outbound_rules=[{"protocol": a, "ports": b, "destinations": c} for a, b, c in outbound],
            **covered,
        )
        for number, (covered, inbound, outbound) in enumerate(firewalls)
    ]


def _by_emulator(firewalls: Any, sources: list[tuple[str, str]]) -> dict[str, MemberPolicy]:
    told = documents().droplets
    droplets = [
        models.Droplet(
            id=each["id"], name=each["name"], region="r", size="s", image="i", vpc_id="v", tags=each["tags"],
            private_ip=each["networks"]["v4"][0]["ip_address"],
            public_ip=each["networks"]["v4"][1]["ip_address"],
            disk_gb=1, created_at=TIME,
        )
        for each in told
    ]  # fmt: skip
    firewalls = [
        models.Firewall.model_validate(
            {"id": str(number), "name": f"w{number}", "created_at": TIME, **covered,
             "inbound": _records(inbound), "outbound": _records(outbound)}
        )
        for number, (covered, inbound, outbound) in enumerate(firewalls)
    ]  # fmt: skip
    fields: dict[str, Any] = {
        name: "" if field.annotation is str else 0
        for name, field in models.Database.model_fields.items()
        if field.annotation in (str, int)
    }
    rules = [{"uuid": "u", "type": kind, "value": value, "created_at": TIME} for kind, value in sources]
    main = models.Database.model_validate({**fields, "id": "db", "port": 25060, "rules": rules})
    names = {each.ref: each.name for each in droplets} | {main.ref: DATABASE}
    return {names[each.ref]: each for each in network_policy(1, droplets, [main], firewalls).members}


def _records(rules: Any) -> list[dict[str, Any]]:
    return [{"protocol": protocol, "ports": text, "peers": peers} for protocol, text, peers in rules]


def _passes(member: MemberPolicy, way: str, protocol: str, far: IPv4Address) -> Ports:
    """What the emulator's gates let pass with one address; icmp has no ports."""
    if not member.covered:
        return ALL
    rules = member.inbound if way == "in" else member.outbound
    admits = [each for each in rules if each.protocol == protocol]
    matching = [each for each in admits if any(far in IPv4Network(peer) for peer in each.peers)]
    if protocol == "icmp":
        return ALL if matching else NONE
    return ports.union(*(((max(each.ports[0], 1), each.ports[1]),) for each in matching))
