"""Gates: the same for everything that means the same, different for everything that does not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutation_rig import ANYWHERE, API, GROUND, PLACES, PROTECTION, SSH, WEB, tagged, tags, trusting

from emulator.cloud.models import Database, Droplet, Firewall
from emulator.cloud.policy import network_policy
from emulator.planes.base import MemberPolicy
from harness.isolation.model import Pair
from harness.mutation.fate import fates
from harness.mutation.gates import OPEN, PROTOCOLS, WAYS, admits, changed, gates
from harness.mutation.protection import Protection, Rule, Wall
from harness.topology import ports

NAMES = tuple(GROUND.droplets)
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
    st.sampled_from([("addresses", each) for each in NETWORKS]),
    st.sampled_from([*tagged(*NAMES), ("tags", "wavetank:a")]),
    st.sampled_from([("droplet_ids", int(each.id)) for each in GROUND.droplets.values()]),
)
RULE = st.builds(
    Rule,
    st.sampled_from(WAYS),
    st.sampled_from(PROTOCOLS),
    st.sampled_from(["22", "8000-8001", "0", "1-79", "80"]),
    st.lists(PEER, min_size=1, max_size=3).map(tuple),
).map(lambda each: replace(each, ports="0") if each.protocol == "icmp" else each)
WALL = st.builds(
    Wall,
    st.uuids().map(str),
    st.just("wavetank-a--some"),
    st.lists(RULE, min_size=1, max_size=4).map(tuple),
    st.just(()),
    st.lists(st.sampled_from([*tags(*NAMES), "wavetank:a"]), max_size=2, unique=True).map(tuple),
)
SOURCE = st.sampled_from(
    [("tag", tags("api")[0]), ("tag", tags("web")[0]), ("ip_addr", "10.0.0.0/24"), ("ip_addr", "192.0.2.10")]
)
SOME = st.builds(
    lambda walls, sources: Protection(tuple(walls), (("main", tuple(sources)),)),
    st.lists(WALL, max_size=3),
    st.lists(SOURCE, max_size=2, unique=True),
)


def by_emulator(protection: Protection) -> dict[str, MemberPolicy]:
    """The gates that the emulator compiles from the same protection, by name."""
    droplets = [
        Droplet(
            id=int(each.id), name=each.name, region="fra1", size="s", image="i", vpc_id="v", tags=each.tags,
            public_ip=each.public, private_ip=each.private, disk_gb=1, created_at="",
        )
        for each in GROUND.droplets.values()
    ]  # fmt: skip
    firewalls = [
        Firewall.model_validate(
            {"id": each.id, "name": each.name, "tags": each.tags, "created_at": "",
             "inbound": _rules(each, "inbound"), "outbound": _rules(each, "outbound")}
        )
        for each in protection.walls
    ]  # fmt: skip
    sources = [
        {"uuid": "u", "type": kind, "value": value, "created_at": ""}
        for kind, value in protection.sources("main")
    ]
    fields = {name: "" for name, field in Database.model_fields.items() if field.annotation is str}
    numbers = {name: 0 for name, field in Database.model_fields.items() if field.annotation is int}
    main = Database.model_validate(
        {**fields, **numbers, "id": "uuid", "engine": "pg", "rules": sources, "port": 25060}
    )
    names = {f"droplet:{each.id}": each.name for each in GROUND.droplets.values()} | {main.ref: "main"}
    return {names[each.ref]: each for each in network_policy(1, droplets, [main], firewalls).members}


def _rules(wall: Wall, way: str) -> list[dict[str, object]]:
    made: list[dict[str, object]] = []
    for rule in wall.rules:
        if rule.way == way:
            peers = {kind: [v for k, v in rule.peers if k == kind] for kind, _ in rule.peers}
            made.append({"protocol": rule.protocol, "ports": rule.ports, "peers": peers})
    return made


def compiled(member: MemberPolicy, way: str, protocol: str, address: str) -> ports.Ports:
    """What the emulator's gates let pass with one address."""
    if not member.covered:
        return ports.ALL
    return ports.union(
        *(
            ((max(each.ports[0], 1), each.ports[1]),)
            for each in (member.inbound if way == "inbound" else member.outbound)
            if each.protocol == protocol
            and any(IPv4Address(address) in IPv4Network(peer) for peer in each.peers)
        )
    )


@given(SOME)
@settings(max_examples=150, deadline=None)
def test_gates_are_those_the_emulator_enforces(protection: Protection) -> None:
    """Two independent readings of the same rules agree, for every end, way, protocol and address."""
    mine, theirs = gates(GROUND, protection), by_emulator(protection)
    for (name, way, protocol), gate in mine.items():
        for address in ADDRESSES:
            assert admits(gate, address) == compiled(theirs[name], way, protocol, address)


@given(SOME, SOME)
@settings(max_examples=150, deadline=None)
def test_equal_gates_admit_the_same_from_every_address(one: Protection, other: Protection) -> None:
    """Gates are the same exactly where no address, on the cuts of either, is treated otherwise."""
    mine, theirs = gates(GROUND, one), gates(GROUND, other)
    for key in mine:
        cuts = {
            number
            for gate in (mine[key], theirs[key])
            for each in gate
            for number in (each.first, each.last + 1)
        }
        points = {number for cut in cuts for number in (cut - 1, cut) if 0 <= number < 2**32}
        alike = all(
            admits(mine[key], str(IPv4Address(each))) == admits(theirs[key], str(IPv4Address(each)))
            for each in points or {0}
        )
        six = admits(mine[key], "2001:db8::1") == admits(theirs[key], "2001:db8::1")
        assert (key not in changed(mine, theirs)) == (alike and six)


@given(SOME, SOME)
@settings(max_examples=60, deadline=None)
def test_equivalent_protections_meet_the_same_fates(one: Protection, other: Protection) -> None:
    """Where no gate has changed, no packet of any pair is treated otherwise."""
    mine, theirs = gates(GROUND, one), gates(GROUND, other)
    if not changed(mine, theirs):
        assert fates(GROUND, PLACES, mine) == fates(GROUND, PLACES, theirs)


@pytest.mark.parametrize(
    "wall",
    [
        replace(WEB, rules=(*WEB.rules, Rule("inbound", "tcp", "80", tagged("api")))),
        replace(API, rules=(*API.rules, Rule("inbound", "tcp", "8001", tagged("web")))),
        replace(API, rules=(*API.rules, Rule("outbound", "tcp", "25060", (("addresses", "10.0.0.99/32"),)))),
        replace(SSH, tags=(*SSH.tags,), droplet_ids=(11,)),
    ],
    ids=["a source within anywhere", "a port within a range", "an address within the VPC", "covered twice"],
)
def test_what_is_admitted_already_changes_no_gate(wall: Wall) -> None:
    """Rules add up, so one that is within another adds nothing."""
    walls = tuple(wall if each.id == wall.id else each for each in PROTECTION.walls)
    assert changed(gates(GROUND, PROTECTION), gates(GROUND, replace(PROTECTION, walls=walls))) == ()


def test_one_address_nobody_has_is_a_change() -> None:
    """Comparing pairs of machines would not see it; somebody may have that address tomorrow."""
    hole = Rule("inbound", "tcp", "9000", (("addresses", "198.18.0.1/32"),))
    wider = replace(PROTECTION, walls=(replace(API, rules=(*API.rules, hole)), SSH, WEB))
    assert changed(gates(GROUND, PROTECTION), gates(GROUND, wider)) == (("api", "inbound", "tcp"),)
    assert fates(GROUND, PLACES, gates(GROUND, PROTECTION)) == fates(GROUND, PLACES, gates(GROUND, wider))


def test_no_trusted_source_means_everybody() -> None:
    """The database is open from anywhere, on its port and over TCP only."""
    before, after = (fates(GROUND, PLACES, gates(GROUND, each)) for each in (PROTECTION, trusting()))
    pair = Pair("internet", "main", "public")
    assert before[pair, "tcp"] == ports.NONE
    assert (after[pair, "tcp"], after[pair, "udp"]) == (((25060, 25060),), ports.NONE)


def test_a_droplet_without_firewall_is_open() -> None:
    """Both ways, over everything."""
    made = gates(GROUND, PROTECTION)
    assert made["login", "inbound", "udp"] == OPEN
    assert made["web", "inbound", "udp"] == ()


def test_anywhere_is_not_everything() -> None:
    """A rule for all IPv4 addresses is less than no firewall: IPv6 counts."""
    hole = Rule("inbound", "tcp", "0", ANYWHERE)
    six = Rule("inbound", "tcp", "0", (*ANYWHERE, ("addresses", "::/0")))
    for rule, same in ((hole, False), (six, True)):
        made = gates(GROUND, Protection((replace(WEB, rules=(rule,)),), PROTECTION.trusted))
        assert (made["web", "inbound", "tcp"] == OPEN) is same
