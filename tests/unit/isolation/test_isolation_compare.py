"""Intended, computed and observed, compared; and drift. On documents written by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isolation_rig import (
    DATABASE,
    NAMES,
    PLAN,
    RUN,
    declared,
    droplet,
    firewall,
    node,
    sending,
    taking,
    topology,
)

from harness.core import ports
from harness.core.names import STRANGER, node_tag, resource_name
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.from_api import Documents, network_of
from harness.firewall.model import Network, Pair
from harness.isolation.compare import differences
from harness.isolation.drift import drift
from harness.isolation.intended import may, must
from harness.isolation.model import Observation, ScanResult
from harness.isolation.pairs import SAMPLE, all_pairs, droplet_pairs, udp_ports
from harness.topology.model import PROTOCOLS, Flow

WEB_API = Pair("web", "api")


def observed(pair: Pair, **sets: Any) -> Observation:
    """What packets of tcp did on one pair."""
    return Observation((ScanResult(pair, "tcp", **sets),), 2, ("prober",), 0.1, 1)


def network(documents: Documents | None = None) -> Network:
    """The network of a run that is as the plan says, or of other answers."""
    return network_of(PLAN, RUN, documents or declared())


def changed(name: str, **fields: Any) -> Documents:
    """The answers when one firewall is otherwise."""
    documents = declared()
    full = resource_name(RUN, name)
    firewalls = [{**each, **fields} if each["name"] == full else each for each in documents.firewalls]
    return replace(documents, firewalls=firewalls)


def test_a_run_as_planned_has_no_differences() -> None:
    """Computed lies between what must and what may, for every pair and protocol."""
    net = network(replace(declared(), firewalls=_right()))
    assert differences(PLAN, net, None) == ()


def test_what_must_pass_and_does_not_names_the_gate() -> None:
    """The plan lets ``web`` send to ``api``, but a firewall is gone: the sender's gate is shut."""
    documents = declared()
    firewalls = [each for each in _right() if each["name"] != resource_name(RUN, "front")]
    found = differences(PLAN, network(replace(documents, firewalls=firewalls)), None, (WEB_API,))
    assert [(each.ports, each.intended, each.computed, each.gate) for each in found] == [
        (((8000, 8009),), "admitted", "denied", "out")
    ]
    assert (found[0].firewall, found[0].rule) == ("", "")


def test_one_rule_that_is_too_wide_is_one_difference() -> None:
    """However many ports it opens, less those that are meant, with the rule's own words."""
    tags: dict[str, Any] = {"tags": [node_tag(RUN, "web")]}
    wide = [{**each} for each in _right()]
    for each in wide:
        if each["name"] == resource_name(RUN, "front"):
            each["outbound_rules"] = [sending("0", tags=[node_tag(RUN, "api")])]
        if each["name"] == resource_name(RUN, "middle"):
            each["inbound_rules"] = [taking("7000-9000", **tags)]
    found = differences(PLAN, network(replace(declared(), firewalls=wide)), None, (WEB_API,))
    assert [(each.protocol, each.ports, each.gate, each.rule) for each in found] == [
        ("tcp", ((7000, 7999), (8010, 9000)), "in", "tcp 7000-9000 from web")
    ]
    assert found[0].reproduce == (
        f"wavetank ssh --run {RUN} web -- timeout 3 bash -c '</dev/tcp/10.1.0.12/7000'"
    )


def test_outbound_that_was_opened_is_told_of_the_sender() -> None:
    """The internet has no gate: what decides is the sender's rule."""
    firewalls = [*_right(), firewall("extra", "job", outbound_rules=[sending("0", "udp")])]
    found = differences(
        PLAN, network(replace(declared(), firewalls=firewalls)), None, (Pair("job", "internet", "public"),)
    )
    assert [(each.protocol, each.gate, each.firewall) for each in found] == [
        ("udp", "out", resource_name(RUN, "extra"))
    ]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ({"open": ((8000, 8009),), "filtered": ((1, 7999), (8010, 65535))}, []),
        ({"closed": ((8000, 8009),), "filtered": ((1, 7999), (8010, 65535))}, []),
        ({"filtered": ALL}, [("8000-8009", "admitted", "admitted", "denied")]),
        (
            {"open": ((8000, 8009),), "closed": ((23, 24),), "filtered": ((1, 22),)},
            [("23-24", "denied", "denied", "admitted")],
        ),
        ({"inconclusive": ALL}, []),
        ({}, []),
    ],
    ids=["open", "closed", "nothing gets there", "two get there", "in doubt", "not asked"],
)
def test_packets_against_rules_and_intent(sets: dict[str, Ports], expected: list[tuple[str, ...]]) -> None:
    """What gets through and was not meant to, and what does not and was; doubts are no differences."""
    found = differences(PLAN, network(replace(declared(), firewalls=_right())), observed(WEB_API, **sets))
    assert [
        (ports.render(each.ports), each.intended, each.computed, each.observed) for each in found
    ] == expected


def test_what_may_pass_is_held_against_the_rules_too() -> None:
    """On the public side the plan leaves it open; packets that contradict the rules are a difference."""
    pair = Pair("web", "api", "public")
    net = network(replace(declared(), firewalls=_right()))
    found = differences(PLAN, net, observed(pair, filtered=ALL))
    assert [(ports.render(each.ports), each.computed, each.observed) for each in found] == [
        ("8000-8009", "admitted", "denied")
    ]


def test_a_droplet_that_is_off_is_the_reason() -> None:
    """Silence of a droplet that does not run is explained by that."""
    off = [node("web"), node("api", status="off"), node("job")]
    net = network(replace(declared(), firewalls=_right(), droplets=off))
    (found,) = differences(PLAN, net, observed(WEB_API, filtered=ALL))
    assert "api is off" in found.reason


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_grouping_loses_no_port(seed: int) -> None:
    """Port by port, a difference is told exactly where two views contradict one another."""
    chance = random.Random(seed)
    states = {
        port: chance.choice(("open", "closed", "filtered", "inconclusive")) for port in range(7995, 8015)
    }
    sets = {
        name: ports.union(*(((port, port),) for port, state in states.items() if state == name))
        for name in ("open", "closed", "filtered", "inconclusive")
    }
    found = differences(PLAN, network(replace(declared(), firewalls=_right())), observed(WEB_API, **sets))
    documents = [port for each in found for first, last in each.ports for port in range(first, last + 1)]
    assert len(documents) == len(set(documents))
    meant = range(8000, 8010)
    assert set(documents) == {
        port
        for port, state in states.items()
        if (state == "filtered" and port in meant) or (state in ("open", "closed") and port not in meant)
    }


def test_intent_from_the_internet_is_anybody() -> None:
    """It must come from the internet to the public address, and may from a stranger or a droplet."""
    assert must(PLAN, Pair("internet", "web", "public"), "tcp") == ((80, 80),)
    assert must(PLAN, Pair(STRANGER, "web", "public"), "tcp") == NONE
    assert may(PLAN, Pair(STRANGER, "web"), "tcp") == ((80, 80),)


def test_log_ins_are_meant() -> None:
    """Operators to the bastion, and the bastion to the rest, without being listed."""
    assert must(PLAN, Pair("operators", "job", "public"), "tcp") == ((22, 22),)
    assert must(PLAN, Pair("job", "web"), "tcp") == ((22, 22),)
    assert may(PLAN, Pair("internet", "web", "public"), "tcp") == ((80, 80),)


def test_what_is_meant_for_a_database_may_reach_a_stranger() -> None:
    """A rule can only name the VPC, in which a stranger has an address; on no other side."""
    assert may(PLAN, Pair("api", STRANGER), "tcp") == ((25060, 25060),)
    assert may(PLAN, Pair("api", STRANGER, "public"), "tcp") == NONE
    assert must(PLAN, Pair("api", STRANGER), "tcp") == NONE


@given(
    st.lists(
        st.builds(
            Flow,
            st.sampled_from([*NAMES, "internet", "vpc", "0.0.0.0/0", "10.1.0.0/25"]),
            st.sampled_from([*NAMES, DATABASE, "internet", "vpc", "198.51.100.0/24"]),
            st.sampled_from(PROTOCOLS),
            st.sampled_from(["0", "22", "80-90"]),
        ),
        max_size=4,
    )
)
@settings(max_examples=100, deadline=None)
def test_what_must_may(flows: list[Flow]) -> None:
    """What has to get through is always allowed to."""
    plan = topology(*flows)
    for pair in all_pairs(plan, network(), outsider=True):
        for protocol in PROTOCOLS:
            assert ports.subtract(must(plan, pair, protocol), may(plan, pair, protocol)) == NONE


def test_pairs_are_all_there_are() -> None:
    """Both sides of each, from each droplet, the internet and a stranger; none twice, none to itself."""
    pairs = all_pairs(PLAN, network(), outsider=True)
    assert len(droplet_pairs(PLAN)) == 6
    assert len(pairs) == len(set(pairs)) == 12 + 6 + 4 + 8 + 3 + 3
    assert not any(pair.source == pair.target or pair.source == DATABASE for pair in pairs)
    without = all_pairs(PLAN, network(), outsider=False)
    assert not any(STRANGER in (pair.source, pair.target) for pair in without)


def test_pairs_need_addresses() -> None:
    """A droplet without a public interface has private pairs only."""
    droplets = [node("web"), node("api", public=False), node("job")]
    net = network(replace(declared(), droplets=droplets))
    public = [pair for pair in all_pairs(PLAN, net, outsider=True) if pair.side == "public"]
    assert not any("api" in (pair.source, pair.target) for pair in public)


def test_udp_ports_are_the_same_each_time() -> None:
    """Those that matter, with their neighbours, and a sample by seed."""
    chosen = udp_ports(PLAN, 7)
    assert chosen == udp_ports(PLAN, 7) != udp_ports(PLAN, 8)
    assert (
        ports.subtract(((53, 53), (2377, 2377), (4789, 4789), (7946, 7946), (79, 81), (7999, 8010)), chosen)
        == NONE
    )
    assert SAMPLE <= ports.size(chosen) < SAMPLE + 64


def test_no_drift_where_all_is_as_planned() -> None:
    """Written by us, read back by us."""
    assert drift(PLAN, RUN, (), declared()) == ()


def test_naming_by_id_is_no_drift() -> None:
    """The same droplets, told by their ids."""
    documents = changed("middle", tags=[], droplet_ids=[2])
    assert drift(PLAN, RUN, (), replace(documents, trusted={"db": [{"type": "droplet", "value": "2"}]})) == ()


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"status": "waiting"}, ["status is waiting, not succeeded"]),
        ({"pending_changes": [{"droplet_id": 2}]}, ["1 change is pending"]),
        ({"tags": []}, ["does not cover api"]),
        (
            {"droplet_ids": [3, 9]},
            ["covers job as well, which it should not", "covers other (9) as well, which is not of the run"],
        ),
        (
            {"inbound_rules": []},
            ["lacks a rule of the topology: inbound tcp 8000-8009 from web"],
        ),
        (
            {"outbound_rules": [sending("25060", addresses=["10.1.0.0/24"]), sending("all", "udp")]},
            ["has a rule that the topology does not: outbound udp all to 0.0.0.0/0, ::/0"],
        ),
    ],
)
def test_drift_of_a_firewall(fields: dict[str, Any], problems: list[str]) -> None:
    """Each thing that differs is named, and nothing else."""
    documents = changed("middle", **fields)
    documents = replace(documents, droplets=[*documents.droplets, droplet(9, "other") | {"vpc_uuid": "w"}])
    found = drift(PLAN, RUN, (), documents)
    assert {(each.kind, each.name) for each in found} == {("firewall", resource_name(RUN, "middle"))}
    assert [each.problem for each in found] == problems


def test_drift_of_droplets_databases_and_what_is_left_over() -> None:
    """Missing, extra, second and forgotten ones."""
    documents = declared()
    droplets = [
        *documents.droplets[:2],
        {**node("web"), "id": 20, "created_at": "2026-02-01T00:00:00Z"},
        droplet(7, "stranger-of-a", node_tag(RUN, STRANGER)),
    ]
    left = firewall("bootstrap", "web")
    found = drift(
        PLAN,
        RUN,
        (),
        replace(documents, droplets=droplets, databases=[], firewalls=[*documents.firewalls, left]),
    )
    said = [str(each) for each in found]
    assert said[:3] == [
        "droplet job: is missing",
        "droplet web: (20) is a second web",
        "droplet stranger: stranger-of-a (7) was left by a scan, or one is on",
    ]
    assert said[3] == "database main: is missing"
    assert any("wavetank-a--bootstrap: is still there" in each for each in said)


@pytest.mark.parametrize(
    ("sources", "problems"),
    [
        ([], ["there are none: the database is open to everybody", "it does not trust api"]),
        (
            [{"type": "tag", "value": node_tag(RUN, "api")}, {"type": "ip_addr", "value": "192.0.2.1"}],
            ["it trusts 192.0.2.1/32, which the topology does not name"],
        ),
    ],
)
def test_drift_of_trusted_sources(sources: list[dict[str, str]], problems: list[str]) -> None:
    """Each source that is too many or missing is named; none at all is open to everybody."""
    found = drift(PLAN, RUN, (), replace(declared(), trusted={"db": sources}))
    assert [(each.kind, each.name) for each in found] == [("trusted sources", DATABASE)] * len(problems)
    assert [each.problem for each in found] == problems


def _right() -> list[dict[str, Any]]:
    """The plan's firewalls; its own front one lets ``web`` send to ``api``."""
    return [dict(each) for each in declared().firewalls]
