"""What firewalls, tags and trusted sources mean for each machine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.cloud.models import Database, Droplet, Firewall, Peers, Rule, TrustedSource
from emulator.cloud.policy import ALL_PORTS, network_policy
from emulator.planes.base import AllowRule, MemberPolicy

TIME = "2026-01-01T00:00:00Z"


def droplet(number: int, *tags: str, public: bool = True) -> Droplet:
    """A droplet with addresses made of its number."""
    return Droplet(
        id=number,
        name=f"d{number}",
        region="fra1",
        size="s-1vcpu-1gb",
        image="ubuntu-24-04-x64",
        vpc_id="v",
        public_ip=f"203.0.113.{number}" if public else "",
        private_ip=f"10.1.0.{number}",
        tags=tags,
        disk_gb=25,
        created_at=TIME,
    )


def firewall(name: str, **fields: Any) -> Firewall:
    """A firewall."""
    return Firewall(id=name, name=name, created_at=TIME, **fields)


def rule(ports: str = "22", protocol: str = "tcp", **peers: Any) -> Rule:
    """A rule; without peers it is about everyone."""
    return Rule.model_validate(
        {"protocol": protocol, "ports": ports, "peers": Peers(**(peers or {"addresses": ("0.0.0.0/0",)}))}
    )


def database(*rules: tuple[str, str]) -> Database:
    """A cluster with trusted sources."""
    sources = tuple(
        TrustedSource.model_validate({"uuid": "u", "type": kind, "value": value, "created_at": TIME})
        for kind, value in rules
    )
    return Database(
        id="db", name="main", engine="pg", version="15", size="s", region="fra1", vpc_id="v", num_nodes=1,
        storage_mib=1, rules=sources, public_ip="203.0.113.200", private_ip="10.1.0.200", public_host="h",
        private_host="p", port=25060, user="u", password="x", database="d", certificate="", private_key="",
        created_at=TIME,
    )  # fmt: skip


def of(machine: Droplet, droplets: list[Droplet], *firewalls: Firewall) -> MemberPolicy:
    """What is in force for one droplet."""
    policy = network_policy(7, droplets, [], firewalls)
    assert policy.serial == 7
    return next(member for member in policy.members if member.ref == machine.ref)


def test_an_uncovered_droplet_is_open() -> None:
    """Without a firewall nothing is denied."""
    one = droplet(1)
    assert of(one, [one], firewall("other", droplet_ids=(2,), inbound=(rule(),))) == MemberPolicy(
        "droplet:1", covered=False, inbound=(), outbound=()
    )


@pytest.mark.parametrize(
    "by", [{"droplet_ids": (1,)}, {"tags": ("web",)}, {"tags": ("WEB",)}], ids=["id", "tag", "capitals"]
)
def test_inbound_rules_alone_deny_everything_outbound(by: dict[str, Any]) -> None:
    """A covered droplet sends nothing that no rule allows."""
    one = droplet(1, "web")
    member = of(one, [one], firewall("in", inbound=(rule("443"),), **by))
    assert member.covered
    assert member.inbound == (AllowRule("tcp", (443, 443), ("0.0.0.0/0",), "in"),)
    assert member.outbound == ()


def test_several_firewalls_are_a_union() -> None:
    """Each covering firewall's allowances count."""
    one = droplet(1, "web")
    first = firewall("first", droplet_ids=(1,), inbound=(rule("80"),))
    second = firewall("second", tags=("web",), inbound=(rule("443"),), outbound=(rule("53", "udp"),))
    member = of(one, [one], first, second)
    assert [gate.ports for gate in member.inbound] == [(80, 80), (443, 443)]
    assert [(gate.protocol, gate.firewall) for gate in member.outbound] == [("udp", "second")]


@pytest.mark.parametrize(
    ("peers", "expected"),
    [
        ({"addresses": ("10.0.0.0/8", "192.0.2.7", "::/0", "2001:db8::1")}, ("10.0.0.0/8", "192.0.2.7/32")),
        ({"addresses": ("192.0.2.9/24",)}, ("192.0.2.0/24",)),
        ({"droplet_ids": (2,)}, ("10.1.0.2/32", "203.0.113.2/32")),
        ({"droplet_ids": (3,)}, ("10.1.0.3/32",)),
        ({"tags": ("peer",)}, ("10.1.0.2/32", "203.0.113.2/32", "10.1.0.3/32")),
        ({"tags": ("peer",), "droplet_ids": (2,)}, ("10.1.0.2/32", "203.0.113.2/32", "10.1.0.3/32")),
    ],
    ids=["addresses", "host bits", "droplet", "private droplet", "tag", "twice"],
)
def test_peers_become_addresses(peers: dict[str, Any], expected: tuple[str, ...]) -> None:
    """Droplets and tags stand for all their addresses; IPv6 is left out."""
    droplets = [droplet(1), droplet(2, "peer"), droplet(3, "peer", public=False)]
    member = of(droplets[0], droplets, firewall("f", droplet_ids=(1,), inbound=(rule(**peers),)))
    assert member.inbound == (AllowRule("tcp", (22, 22), expected, "f"),)


def test_a_rule_about_nobody_admits_nobody() -> None:
    """A tag that nothing carries yet opens no gate."""
    one = droplet(1)
    member = of(one, [one], firewall("f", droplet_ids=(1,), inbound=(rule(tags=("none",)),)))
    assert member == MemberPolicy("droplet:1", covered=True, inbound=(), outbound=())


@pytest.mark.parametrize(
    ("ports", "expected"),
    [("0", ALL_PORTS), ("22", (22, 22)), ("8000-9000", (8000, 9000)), ("1-65535", (1, 65535))],
)
def test_ports_become_ranges(ports: str, expected: tuple[int, int]) -> None:
    """0 means all of them."""
    one = droplet(1)
    member = of(one, [one], firewall("f", droplet_ids=(1,), outbound=(rule(ports),)))
    assert member.outbound[0].ports == expected


@pytest.mark.parametrize(
    ("rules", "peers"),
    [
        ((), ("0.0.0.0/0",)),
        ((("ip_addr", "192.0.2.0/24"), ("ip_addr", "192.0.2.0/24")), ("192.0.2.0/24",)),
        ((("droplet", "1"),), ("10.1.0.1/32", "203.0.113.1/32")),
        ((("tag", "App"),), ("10.1.0.2/32",)),
    ],
    ids=["open", "address", "droplet", "tag"],
)
def test_trusted_sources_open_the_service_port(
    rules: tuple[tuple[str, str], ...], peers: tuple[str, ...]
) -> None:
    """Without any, the whole world may try the password."""
    droplets = [droplet(1), droplet(2, "app", public=False)]
    member = network_policy(1, droplets, [database(*rules)], []).members[-1]
    gate = AllowRule("tcp", (25060, 25060), peers, "trusted sources")
    assert member == MemberPolicy("database:db", covered=True, inbound=(gate,), outbound=())


def test_sources_that_name_nobody_close_a_database() -> None:
    """A trusted tag without droplets is not the same as no trusted source."""
    member = network_policy(1, [], [database(("tag", "none"), ("droplet", "9"))], []).members[0]
    assert member == MemberPolicy("database:db", covered=True, inbound=(), outbound=())


TAGS = st.sets(st.sampled_from("abc"))
DROPLETS = st.lists(TAGS, max_size=5).map(
    lambda many: [droplet(number, *tags) for number, tags in enumerate(many, 1)]
)
RULES = st.lists(
    st.one_of(
        st.builds(lambda tags: rule(tags=tuple(tags)), TAGS.filter(bool)),
        st.builds(lambda ids: rule(droplet_ids=tuple(ids)), st.sets(st.integers(1, 5), min_size=1)),
        st.just(rule()),
    ),
    max_size=3,
)
FIREWALLS = st.lists(
    st.builds(
        lambda tags, ids, inbound, outbound: firewall(
            "f", tags=tuple(tags), droplet_ids=tuple(ids), inbound=tuple(inbound), outbound=tuple(outbound)
        ),
        TAGS, st.sets(st.integers(1, 5)), RULES, RULES,
    ),
    max_size=4,
)  # fmt: skip


@given(DROPLETS, FIREWALLS)
def test_a_firewall_only_ever_adds_what_it_allows(droplets: list[Droplet], firewalls: list[Firewall]) -> None:
    """Whatever the firewalls: gates exist only on covered droplets, and each is some covering firewall's."""
    for machine, member in zip(droplets, network_policy(1, droplets, [], firewalls).members, strict=True):
        covering = [
            item for item in firewalls if machine.id in item.droplet_ids or set(machine.tags) & set(item.tags)
        ]
        assert member.covered == bool(covering)
        assert len(member.inbound) <= sum(len(item.inbound) for item in covering)
        assert len(member.outbound) <= sum(len(item.outbound) for item in covering)
        assert all(gate.peers for gate in (*member.inbound, *member.outbound))


@given(DROPLETS, FIREWALLS, st.permutations(range(4)))
def test_the_order_of_firewalls_does_not_matter(
    droplets: list[Droplet], firewalls: list[Firewall], order: list[int]
) -> None:
    """A union has no order."""
    shuffled = [firewalls[index] for index in order if index < len(firewalls)]
    before = network_policy(1, droplets, [], firewalls).members
    after = network_policy(1, droplets, [], shuffled).members
    for one, other in zip(before, after, strict=True):
        assert set(one.inbound) == set(other.inbound)
        assert set(one.outbound) == set(other.outbound)
