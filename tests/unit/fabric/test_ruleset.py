"""Is the ruleset in force the one that was loaded: what a listing means, and what differs between two."""

from __future__ import annotations

from typing import Any

import pytest
from wt_fabric import agent, ruleset, surroundings

LISTING = """\
table inet wavetank { # progname nft
\tcounter d1.in.drop {
\t\tpackets 7 bytes 420
\t}

\tset flows.out {
\t\ttypeof ip saddr . ip daddr . meta l4proto
\t\tsize 32768
\t\tflags dynamic
\t\tcounter
\t}

\tmap gates.out {
\t\ttype ifname : verdict
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t\tct state invalid counter packets 3 bytes 180 drop
\t\tiifname { "d1e0", "edge0" } oifname { "edge0", "d1e0" } return
\t\tjump ingress
\t}
}
table inet wavetank {
\tmap gates.out {
\t\ttype ifname : verdict
\t\telements = { "d1e0" : goto out.d1,
\t\t\t     "d1e1" : goto out.d1 }
\t}
}
"""
FORWARD = ("table inet wavetank", "chain forward")


def differing(old: str, new: str) -> list[tuple[str, str, str]]:
    """What differs once some of the listing is written otherwise."""
    assert old in LISTING
    found = ruleset.compare(ruleset.parse(LISTING.replace(old, new, 1)), ruleset.parse(LISTING))
    return [(each["where"], each["problem"], each["text"]) for each in found]


def test_a_listing_is_read_by_object() -> None:
    """Rules in their order, without counts; a map with its elements."""
    objects = ruleset.parse(LISTING)
    assert set(objects) == {
        ("table inet wavetank", name)
        for name in ("", "counter d1.in.drop", "set flows.out", "map gates.out", "chain forward")
    }
    assert "ct state invalid counter  drop" in objects[FORWARD]
    assert objects["table inet wavetank", "map gates.out"][1] == (
        'elements = { "d1e0" : goto out.d1, "d1e1" : goto out.d1 }'
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("packets 7 bytes 420", "packets 9 bytes 999"),
        ("packets 3 bytes 180", "packets 4 bytes 240"),
        ('{ "d1e0", "edge0" } oifname', '{ "edge0", "d1e0" } oifname'),
        (
            '"d1e0" : goto out.d1,\n\t\t\t     "d1e1" : goto out.d1',
            '"d1e1" : goto out.d1,\n\t\t\t     "d1e0" : goto out.d1',
        ),
    ],
)
def test_counts_and_the_order_of_elements_mean_nothing(old: str, new: str) -> None:
    """They are the kernel's own."""
    assert differing(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "problem", "text"),
    [
        ("\t\tjump ingress\n", "\t\tjump ingress\n\t\taccept\n", "has a foreign line", "accept"),
        ("\t\tjump ingress\n", "", "lacks a line", "jump ingress"),
        ("policy drop", "policy accept", "has a foreign line", "policy accept"),
        ("priority filter", "priority raw", "has a foreign line", "priority raw"),
        ('"d1e1" : goto out.d1', '"d1e1" : goto out.d2', "has a foreign line", "out.d2"),
        ('{ "d1e0", "edge0" } oifname', '{ "d2e0", "edge0" } oifname', "has a foreign line", "d2e0"),
        (
            "table inet wavetank {\n",
            "table inet wavetank {\n\tflags dormant\n",
            "has a foreign line",
            "dormant",
        ),
    ],
)
def test_what_a_rule_says_is_compared(old: str, new: str, problem: str, text: str) -> None:
    """A rule more or less, another policy or priority, another element, a flag of the table."""
    if "dormant" in new:
        old, new = (
            "table inet wavetank { # progname nft\n",
            "table inet wavetank { # progname nft\n\tflags dormant\n",
        )
    assert [each for each in differing(old, new) if each[1] == problem and text in each[2]]


def test_the_order_of_rules_is_compared() -> None:
    """The same rules in another order are other rules."""
    one, two = LISTING.splitlines()[19:21]
    assert [each[1] for each in differing(f"{one}\n{two}", f"{two}\n{one}")] == ["is in another order"]


def test_foreign_and_missing_objects_are_told() -> None:
    """A table of somebody else's, one of iptables-legacy's, and a chain that is gone."""
    live = ruleset.parse(LISTING.replace("chain forward", "chain mine") + "legacy ip nat\n")
    found = {(each["where"], each["problem"]) for each in ruleset.compare(live, ruleset.parse(LISTING))}
    assert found == {
        ("legacy tables, ip nat", "is foreign"),
        ("table inet wavetank, chain mine", "is foreign"),
        ("table inet wavetank, chain forward", "is missing"),
    }


def test_counters_only_grow() -> None:
    """One that shows less than before was reset; one that is gone, and comes again, was not."""
    ruleset.last_counts.clear()
    assert ruleset.counts(LISTING) == {"d1.in.drop": 7}
    assert ruleset.went_back({"a": 5, "b": 1}) == []
    assert [each["where"] for each in ruleset.went_back({"a": 4})] == ["table inet wavetank, counter a"]
    assert ruleset.went_back({"a": 4, "b": 0}) == []


LINK = {"name": "d1e1", "ip": "10.1.0.10", "gateway": "10.1.0.1"}
VETH: dict[str, Any] = {"ifname": "d1e1", "linkinfo": {"info_kind": "veth"}}


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        (VETH, ""),
        ({"ifname": "lo"}, ""),
        ({**VETH, "ifname": "mine"}, "is foreign"),
        ({**VETH, "linkinfo": {"info_kind": "bridge"}}, "is foreign"),
        ({**VETH, "master": "br0"}, "is part of another"),
        ({**VETH, "xdp": {"mode": 2}}, "has a foreign program"),
    ],
)
def test_links_are_ours_and_alone(link: dict[str, Any], problem: str) -> None:
    """Nothing else is there; ours are in no bridge and carry no program."""
    found = [each["problem"] for each in surroundings.of_links([link], {"d1e1"}, {"lo"})]
    assert found == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("route", "where"),
    [
        ({"dst": "10.1.0.0/20", "type": "blackhole"}, ""),
        ({"dst": "192.0.2.0/24", "dev": "edge0"}, ""),
        ({"dst": "10.1.0.1", "dev": "lo", "type": "local", "table": "local"}, ""),
        ({"dst": "10.1.0.10", "dev": "lo", "type": "local", "table": "local"}, "route 10.1.0.10"),
        ({"dst": "10.1.0.11", "dev": "d1e1"}, "route 10.1.0.11"),
        ({"dst": "default", "dev": "edge0", "gateway": "198.51.100.1"}, "route default"),
    ],
)
def test_there_is_one_route_to_each_address(route: dict[str, Any], where: str) -> None:
    """And none else that leads anywhere."""
    there = [{"dst": "10.1.0.10", "dev": "d1e1"}, route]
    found = surroundings.of_routes(there, [LINK], ["192.0.2.0/24"], [LINK])
    assert [each["where"] for each in found] == ([where] if where else [])


def test_a_route_that_is_gone_is_told() -> None:
    """With how to bring it back."""
    (found,) = surroundings.of_routes([], [LINK], [], [LINK])
    assert (found["problem"], found["command"][:3]) == ("is missing", ("ip", "route", "replace"))


def test_routing_rules_are_the_kernels_three() -> None:
    """One more, one less, and one that looks at a mark are told."""
    usual = [{"priority": p, "src": s, "table": t} for p, s, t in surroundings.RULES]
    assert list(surroundings.of_rules(usual)) == []
    more = [{"priority": 100, "src": "10.1.0.10", "table": "main"}, *usual]
    assert [each["where"] for each in surroundings.of_rules(more)] == ["routing rule 100"]
    marked = [usual[0], {**usual[1], "fwmark": "0x1"}, usual[2]]
    assert {each["problem"] for each in surroundings.of_rules(marked)} == {"is foreign", "is missing"}
    assert [each["problem"] for each in surroundings.of_rules(usual[:2])] == ["is missing"]


@pytest.mark.parametrize(
    ("kind", "fine"), [("noqueue", True), ("netem", True), ("clsact", False), ("htb", False)]
)
def test_only_a_worse_link_has_a_queue(kind: str, *, fine: bool) -> None:
    """For only a queue can have filters; a perfect link has not even netem."""
    queue = {"dev": "d1e1", "kind": kind}
    assert (list(surroundings.of_queues([queue], {"d1e1"}, set())) == []) is fine
    assert (list(surroundings.of_queues([queue], set(), set())) == []) is (kind == "noqueue")


def test_faults_are_the_same_everywhere() -> None:
    """The agent's, the emulator's and the harness's."""
    from emulator.planes.base import FAULTS
    from harness.mutation.faults.generate import IN_FABRIC

    assert tuple(agent.FAULTS) == FAULTS == IN_FABRIC
