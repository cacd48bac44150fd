"""The ruleset as text: what it lets pass, what it keeps, what it removes."""

from __future__ import annotations

import re

import pytest

from emulator.docker.fabric.links import Link, Machine, key
from emulator.docker.fabric.nft import Present, counter_labels, firewall_hash, ruleset
from emulator.planes.base import AllowRule, MemberPolicy, NetworkPolicy

ANYWHERE = ("0.0.0.0/0",)


def machine(number: int, network: str = "10.1.0.0/20") -> Machine:
    """A droplet with both interfaces."""
    links = (
        Link(f"d{number}e0", "eth0", "02:00:00:00:00:01", f"203.0.113.{number}", 24, "203.0.113.1", "", True),
        Link(f"d{number}e1", "eth1", "02:00:00:00:00:02", f"10.1.0.{number}", 20, "10.1.0.1", network, False),
    )
    return Machine(f"droplet:{number}", links)


def member(
    number: int, *inbound: AllowRule, covered: bool = True, outbound: tuple[AllowRule, ...] = ()
) -> MemberPolicy:
    """A droplet's policy."""
    return MemberPolicy(f"droplet:{number}", covered, inbound, outbound)


def chain(text: str, name: str) -> list[str]:
    """The rules of one chain."""
    found = re.search(rf"  chain {re.escape(name)} {{\n(.*?)  }}\n", text, re.DOTALL)
    assert found, f"no chain {name} in\n{text}"
    return [line.strip() for line in found[1].splitlines()]


def compiled(*members: MemberPolicy, machines: tuple[Machine, ...] = (machine(11),)) -> str:
    """The text of a first load."""
    return ruleset(NetworkPolicy(1, members), machines, Present())[0]


def test_uncovered_machine_passes_both_gates() -> None:
    """Without a firewall each gate is one counted return."""
    text = compiled(member(11, covered=False))
    assert chain(text, "in.d11") == ['counter name "d11.in.pass" return']
    assert chain(text, "out.d11") == ['counter name "d11.out.pass" return']


@pytest.mark.parametrize("members", [(), (member(11),)])
def test_unknown_and_unallowed_machines_are_shut(members: tuple[MemberPolicy, ...]) -> None:
    """A machine without a policy is treated like one that is covered and allowed nothing."""
    text = compiled(*members)
    assert chain(text, "in.d11") == ['counter name "d11.in.drop" goto lost.in']
    assert chain(text, "out.d11") == ['counter name "d11.out.drop" goto lost.out']


@pytest.mark.parametrize(
    ("gate", "match"),
    [
        (AllowRule("tcp", (22, 22), ANYWHERE), "meta l4proto tcp th dport 22 "),
        (AllowRule("udp", (8000, 9000), ANYWHERE), "meta l4proto udp th dport 8000-9000 "),
        (AllowRule("tcp", (0, 65535), ANYWHERE), "meta l4proto tcp counter"),
        (AllowRule("tcp", (1, 65535), ANYWHERE), "meta l4proto tcp counter"),
        (AllowRule("icmp", (0, 65535), ANYWHERE), "meta l4proto icmp counter"),
        (AllowRule("tcp", (80, 80), ("10.0.0.1/32", "10.0.0.0/31")), "th dport 80 ip saddr 10.0.0.0/31 "),
        (AllowRule("tcp", (80, 80), ("10.0.0.1/32", "0.0.0.0/0")), "th dport 80 counter"),
    ],
)
def test_allowance_becomes_one_rule(gate: AllowRule, match: str) -> None:
    """Protocol, ports and peers; overlapping peers are merged, for nft refuses them."""
    assert match in chain(compiled(member(11, gate)), "in.d11")[0]


def test_gates_match_the_other_side() -> None:
    """The ingress gate looks at the source, the egress gate at the destination."""
    gate = AllowRule("tcp", (80, 80), ("10.9.0.1/32",))
    text = compiled(member(11, gate, outbound=(gate,)))
    assert "ip saddr { 10.9.0.1 }" in chain(text, "in.d11")[0]
    assert "ip daddr { 10.9.0.1 }" in chain(text, "out.d11")[0]


def test_each_network_has_a_rule_and_addresses_share_one() -> None:
    """No set holds a range or a network, for it would miss packets while rules are replaced."""
    peers = ("10.9.0.1/32", "10.8.0.0/25", "10.9.0.0/32", "10.8.0.128/25", "10.8.0.7/32", "10.7.0.0/16")
    text = compiled(member(11, AllowRule("tcp", (80, 90), peers)))
    matches = [
        rule.split(" counter ")[0].removeprefix("meta l4proto tcp th dport 80-90 ip saddr ")
        for rule in chain(text, "in.d11")[:-1]
    ]
    assert matches == ["10.7.0.0/16", "10.8.0.0/24", "{ 10.9.0.0, 10.9.0.1 }"]
    assert not re.search(r"{ [^}]*[0-9][-/][0-9][^}]* }", text)


def test_allowance_without_peers_admits_nobody() -> None:
    """No peer is not the same as every peer: nothing is allowed, and the counter is there."""
    text = compiled(member(11, AllowRule("tcp", (80, 80), ())))
    assert chain(text, "in.d11") == ['counter name "d11.in.drop" goto lost.in']
    assert f"d11.in.pass.{firewall_hash('')}" in text


def test_guard_knows_every_interface_and_its_address() -> None:
    """Each interface may send from its own address, and the policy is to drop."""
    rules = chain(compiled(), "guard")
    assert "policy drop" in rules[0]
    assert any('"d11e0" . 203.0.113.11, "d11e1" . 10.1.0.11' in rule for rule in rules)


def test_networks_are_apart() -> None:
    """Public interfaces share one route rule with the edge; each VPC has one of its own."""
    text = compiled(machines=(machine(11), machine(12, "10.2.0.0/20")))
    assert chain(text, "routes")[:3] == [
        'iifname { "edge0", "d11e0", "d12e0" } oifname { "edge0", "d11e0", "d12e0" } return',
        'iifname { "d11e1" } oifname { "d11e1" } return',
        'iifname { "d12e1" } oifname { "d12e1" } return',
    ]


def test_both_gates_are_asked() -> None:
    """The forward chain jumps to egress and ingress before it accepts."""
    rules = chain(compiled(), "forward")
    assert rules[-4:] == ["jump routes", "jump egress", "jump ingress", "accept"]
    assert "policy drop" in rules[0]


def test_only_what_a_firewall_can_allow_goes_on_by_itself() -> None:
    """The shortcut of established connections is for TCP, UDP and ICMP."""
    shortcut = next(rule for rule in chain(compiled(), "forward") if "established" in rule)
    assert shortcut.startswith("meta l4proto { tcp, udp, icmp } ct state established,related")


def test_second_load_keeps_counters_and_removes_what_is_stale() -> None:
    """Counters in use are not made again; those of a machine that is gone are deleted after the flush."""
    policy = NetworkPolicy(1, (member(11, covered=False), member(12, covered=False)))
    _, present = ruleset(policy, (machine(11), machine(12)), Present())
    text, after = ruleset(policy, (machine(11),), present)
    lines = text.splitlines()
    assert not [line for line in lines if line.startswith("add counter")]
    flush = lines.index("flush table inet wavetank")
    assert lines.index("delete chain inet wavetank in.d12") > flush
    assert lines.index("delete counter inet wavetank d12.in.pass") > flush
    assert not [name for name in after.chains | after.counters if "d12" in name]


def test_counters_name_machine_gate_verdict_and_firewall() -> None:
    """What is counted can be read back from the counter's name."""
    text = compiled(member(11, AllowRule("tcp", (80, 80), ANYWHERE, "web")))
    name = re.findall(r'counter name "(d11\.in\.pass[^"]*)"', text)[0]
    assert counter_labels(name) == ("d11", "in", "pass", firewall_hash("web"))


def test_interface_names_fit() -> None:
    """The kernel takes 15 characters; ids have up to ten digits, and uuids are long."""
    assert len(key("droplet:4294967295")) <= 13
    assert key("database:c6a1e347-b386-4efb-9553-3532801a82ab") == "bc6a1e347b386"


def elements(text: str, gate: str) -> list[str]:
    """What is added to one map of gates."""
    found = re.search(
        rf"  map gates\.{gate} {{\n    type ifname : verdict\n(?:    elements = {{ (.*) }}\n)?  }}\n", text
    )
    assert found, f"no map gates.{gate} in\n{text}"
    return found[1].split(", ") if found[1] else []


def test_interfaces_lead_to_their_machines_gates() -> None:
    """By maps, to which only what is new is added: an element that is written anew is missed meanwhile."""
    first, present = ruleset(NetworkPolicy(1, ()), (machine(11),), Present())
    second, both = ruleset(NetworkPolicy(1, ()), (machine(11), machine(12)), present)
    third, _ = ruleset(NetworkPolicy(1, ()), (machine(11), machine(12)), both)
    for gate in ("out", "in"):
        assert elements(first, gate) == [f'"d11e0" : goto {gate}.d11', f'"d11e1" : goto {gate}.d11']
        assert elements(second, gate) == [f'"d12e0" : goto {gate}.d12', f'"d12e1" : goto {gate}.d12']
        assert elements(third, gate) == []


def test_interfaces_of_a_machine_that_is_gone_lead_nowhere() -> None:
    """They leave the maps before the chains that they led to are deleted."""
    _, present = ruleset(NetworkPolicy(1, ()), (machine(11), machine(12)), Present())
    text, after = ruleset(NetworkPolicy(1, ()), (machine(11),), present)
    lines = text.splitlines()
    for gate in ("out", "in"):
        gone = lines.index(f'delete element inet wavetank gates.{gate} {{ "d12e0", "d12e1" }}')
        assert gone < lines.index(f"delete chain inet wavetank {gate}.d12")
        assert elements(text, gate) == []
    assert after.links == {"d11e0", "d11e1"}


def test_no_rule_has_a_map_of_its_own() -> None:
    """It would be emptied when rules are replaced, before the last packet has left them."""
    text = compiled(
        member(11, AllowRule("tcp", (80, 80), ("10.9.0.0/16",))), machines=(machine(11), machine(12))
    )
    assert "map {" not in text
    assert " vmap @" in text


def test_machine_that_no_gate_is_found_for_is_shut() -> None:
    """A gate's lookup that finds nothing drops the packet."""
    text = compiled(member(11, covered=False))
    for name, side, gate in (("egress", "iifname", "out"), ("ingress", "oifname", "in")):
        assert chain(text, name) == [
            f"{side} vmap @gates.{gate}",
            f'{side} "edge0" return',
            "goto lost.other",
        ]
