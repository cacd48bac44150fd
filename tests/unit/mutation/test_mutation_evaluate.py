"""What rules admit: the same for all that means the same, different for all that does not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation_rig import ANYWHERE, API, NETWORK, SSH, STATE, WEB, guarded_by, tagged, tags, trusting

from emulator.cloud import models
from emulator.cloud.policy import network_policy
from emulator.planes.base import MemberPolicy
from harness.core import ports
from harness.firewall.bodies import source_bodies
from harness.firewall.evaluate import Reachability, all_allowed, changed, reachability
from harness.firewall.model import DIRECTIONS, Firewall, FirewallState, Network, Pair, Peer, Rule
from harness.firewall.ranges import OPEN, ports_with
from harness.mutation.pairs import pairs
from harness.topology.model import PROTOCOLS

NAMES = tuple(NETWORK.droplets)
NETWORKS = ("0.0.0.0/0", "10.0.0.0/24", "10.0.0.11/32", "203.0.113.0/28", "192.0.2.10/32", "203.0.113.12/31")
ADDRESSES = (
    "10.0.0.11",
    "10.0.0.12",
    "10.0.0.13",
    "10.0.0.99",
    "203.0.113.11",
    "203.0.113.12",
    "192.0.2.10",
    "8.8.8.8",
)
PEER = st.one_of(
    st.sampled_from([Peer("addresses", each) for each in NETWORKS]),
    st.sampled_from([*tagged(*NAMES), Peer("tags", "wavetank:a")]),
    st.sampled_from([Peer("droplet_ids", each.id) for each in NETWORK.droplets.values()]),
)
RULE = st.builds(
    Rule,
    st.sampled_from(DIRECTIONS),
    st.sampled_from(PROTOCOLS),
    st.sampled_from(["22", "8000-8001", "0", "1-79", "80"]),
    st.lists(PEER, min_size=1, max_size=3).map(tuple),
).map(lambda each: replace(each, ports="0") if each.protocol == "icmp" else each)
FIREWALL = st.builds(
    Firewall,
    st.uuids().map(str),
    st.just("wavetank-a--some"),
    st.lists(RULE, min_size=1, max_size=4).map(tuple),
    st.just(()),
    st.lists(st.sampled_from([*tags(*NAMES), "wavetank:a"]), max_size=2, unique=True).map(tuple),
)
SOURCE = st.sampled_from(
    [*tagged("api", "web"), Peer("addresses", "10.0.0.0/24"), Peer("addresses", "192.0.2.10")]
)
SOME = st.builds(
    lambda firewalls, sources: NETWORK.under(FirewallState(tuple(firewalls), (("main", tuple(sources)),))),
    st.lists(FIREWALL, max_size=3),
    st.lists(SOURCE, max_size=2, unique=True),
)


def reachable(network: Network) -> Reachability:
    """What gets through, for every pair."""
    return reachability(network, pairs(network))


def by_emulator(network: Network) -> dict[str, MemberPolicy]:
    """What the emulator compiles from the same rules, by name."""
    droplets = [
        models.Droplet(
            id=int(each.id), name=each.name, region="fra1", size="s", image="i", vpc_id="v", tags=each.tags,
            public_ip=each.public, private_ip=each.private, disk_gb=1, created_at="",
        )
        for each in network.droplets.values()
    ]  # fmt: skip
    firewalls = [
        models.Firewall.model_validate(
            {"id": each.id, "name": each.name, "tags": each.tags, "created_at": "",
             "inbound": _rules(each, "inbound"), "outbound": _rules(each, "outbound")}
        )
        for each in network.state.firewalls
    ]  # fmt: skip
    sources = [
        {"uuid": "u", **each, "created_at": ""}
        for each in source_bodies(network.state.trusted_sources("main"))
    ]
    fields = {name: "" for name, field in models.Database.model_fields.items() if field.annotation is str}
    numbers = {name: 0 for name, field in models.Database.model_fields.items() if field.annotation is int}
    main = models.Database.model_validate(
        {**fields, **numbers, "id": "uuid", "engine": "pg", "rules": sources, "port": 25060}
    )
    names = {f"droplet:{each.id}": each.name for each in network.droplets.values()} | {main.ref: "main"}
    return {names[each.ref]: each for each in network_policy(1, droplets, [main], firewalls).members}


def _rules(firewall: Firewall, direction: str) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for rule in firewall.rules:
        if rule.direction == direction:
            peers = {kind: [v for k, v in rule.peers if k == kind] for kind, _ in rule.peers}
            made.append({"protocol": rule.protocol, "ports": rule.ports, "peers": peers})
    return made


def compiled(member: MemberPolicy, direction: str, protocol: str, address: str) -> ports.Ports:
    """What the emulator's gates let pass with one address."""
    if not member.covered:
        return ports.ALL
    return ports.union(
        *(
            ((max(each.ports[0], 1), each.ports[1]),)
            for each in (member.inbound if direction == "inbound" else member.outbound)
            if each.protocol == protocol
            and any(IPv4Address(address) in IPv4Network(peer) for peer in each.peers)
        )
    )


@given(SOME)
@settings(max_examples=150, deadline=None)
def test_what_is_allowed_is_what_the_emulator_enforces(network: Network) -> None:
    """Two independent readings of the same rules agree, for every end, direction, protocol and address."""
    mine, theirs = all_allowed(network), by_emulator(network)
    for (name, direction, protocol), allowed in mine.items():
        for address in ADDRESSES:
            assert ports_with(allowed, address) == compiled(theirs[name], direction, protocol, address)


@given(SOME, SOME)
@settings(max_examples=150, deadline=None)
def test_equal_rules_admit_the_same_from_every_address(one: Network, other: Network) -> None:
    """What is allowed is the same exactly where no address, on the cuts of either, is treated otherwise."""
    mine, theirs = all_allowed(one), all_allowed(other)
    for key in mine:
        cuts = {
            number
            for allowed in (mine[key], theirs[key])
            for each in allowed
            for number in (each.first, each.last + 1)
        }
        points = {number for cut in cuts for number in (cut - 1, cut) if 0 <= number < 2**32}
        alike = all(
            ports_with(mine[key], str(IPv4Address(each))) == ports_with(theirs[key], str(IPv4Address(each)))
            for each in points or {0}
        )
        six = ports_with(mine[key], "2001:db8::1") == ports_with(theirs[key], "2001:db8::1")
        assert (key not in changed(mine, theirs)) == (alike and six)


@given(SOME, SOME)
@settings(max_examples=60, deadline=None)
def test_equivalent_rules_let_the_same_through(one: Network, other: Network) -> None:
    """Where nobody's rules mean something else, no packet of any pair is treated otherwise."""
    if not changed(all_allowed(one), all_allowed(other)):
        assert reachable(one) == reachable(other)


@pytest.mark.parametrize(
    "firewall",
    [
        replace(WEB, rules=(*WEB.rules, Rule("inbound", "tcp", "80", tagged("api")))),
        replace(API, rules=(*API.rules, Rule("inbound", "tcp", "8001", tagged("web")))),
        replace(
            API, rules=(*API.rules, Rule("outbound", "tcp", "25060", (Peer("addresses", "10.0.0.99/32"),)))
        ),
        replace(SSH, tags=(*SSH.tags,), droplet_ids=("11",)),
    ],
    ids=["a source within anywhere", "a port within a range", "an address within the VPC", "covered twice"],
)
def test_what_is_admitted_already_changes_nothing(firewall: Firewall) -> None:
    """Rules add up, so one that is within another adds nothing."""
    wider = NETWORK.under(STATE.replaced(firewall))
    assert changed(all_allowed(NETWORK), all_allowed(wider)) == ()


def test_one_address_nobody_has_is_a_change() -> None:
    """Comparing pairs of machines would not see it; somebody may have that address tomorrow."""
    hole = Rule("inbound", "tcp", "9000", (Peer("addresses", "198.18.0.1/32"),))
    wider = guarded_by(replace(API, rules=(*API.rules, hole)), SSH, WEB)
    assert changed(all_allowed(NETWORK), all_allowed(wider)) == (("api", "inbound", "tcp"),)
    assert reachable(NETWORK) == reachable(wider)


def test_no_trusted_source_means_everybody() -> None:
    """The database is open from anywhere, on its port and over TCP only."""
    before, after = map(reachable, (NETWORK, trusting()))
    pair = Pair("internet", "main", "public")
    assert before[pair, "tcp"] == ports.NONE
    assert (after[pair, "tcp"], after[pair, "udp"]) == (((25060, 25060),), ports.NONE)


def test_a_droplet_without_firewall_is_open() -> None:
    """Both ways, over everything."""
    made = all_allowed(NETWORK)
    assert made["login", "inbound", "udp"] == OPEN
    assert made["web", "inbound", "udp"] == ()


def test_anywhere_is_not_everything() -> None:
    """A rule for all IPv4 addresses is less than no firewall: IPv6 counts."""
    hole = Rule("inbound", "tcp", "0", ANYWHERE)
    six = Rule("inbound", "tcp", "0", (*ANYWHERE, Peer("addresses", "::/0")))
    for rule, same in ((hole, False), (six, True)):
        made = all_allowed(guarded_by(replace(WEB, rules=(rule,))))
        assert (made["web", "inbound", "tcp"] == OPEN) is same
