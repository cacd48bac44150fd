"""Firewalls are compared by what all of them admit, not by their names or by how the rules are cut."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hand_made import OPERATOR, HandMade

from harness.core.errors import UsageError
from harness.existing.admits import admissions, drift
from harness.existing.match import Match
from harness.existing.place import ExistingDir
from harness.existing.view import Found
from harness.firewall.from_api import Documents, network_of
from harness.isolation.compare import differences
from harness.topology.model import Topology

Change = Callable[[dict[str, Any]], Any]
Told = Callable[..., list[str]]

ANYBODY = {"sources": {"addresses": ["0.0.0.0/0"]}}


@pytest.fixture
def told(found: Found, topology: Topology, place: ExistingDir) -> Told:
    """What differs, in words, after one firewall was changed in the API's answer."""

    def tell(firewall: str = "", change: Change = lambda _: None, **documents: Any) -> list[str]:
        changed = copy.deepcopy(list(found.documents.firewalls))
        for each in changed:
            if each["name"] == f"fw-{firewall}":
                change(each)
        told = replace(found.documents, **{"firewalls": changed, **documents})
        return [str(each) for each in admissions(topology, place.run, (OPERATOR,), told)]

    return tell


def test_nothing_differs_though_nothing_is_called_the_same(told: Told, found: Found) -> None:
    """One firewall a droplet instead of two, peers by ids instead of tags: all of it means the same."""
    assert {each["name"][:3] for each in found.documents.firewalls} == {"fw-"}
    assert told() == []


def test_computed_is_as_intended(found: Found, topology: Topology, place: ExistingDir) -> None:
    """The comparison of every pair that ``diff`` makes finds nothing either."""
    assert differences(topology, network_of(topology, place.run, found.documents), None) == ()


def test_rules_may_be_cut_elsewhere(told: Told) -> None:
    """Two rules for one, halves of ranges, all addresses as two halves."""

    def cut(body: dict[str, Any]) -> None:
        web = [each for each in body["inbound_rules"] if each["ports"] in ("80", "443")]
        for each in web:
            each["sources"] = {"addresses": ["0.0.0.0/1", "::/0"]}
        body["inbound_rules"] += [
            {"protocol": "tcp", "ports": port, "sources": {"addresses": ["128.0.0.0/1"]}}
            for port in ("80", "443")
        ]

    assert told("client", cut) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"protocol": "tcp", "ports": "4000", **ANYBODY}, "takes tcp 4000 from 0.0.0.0/0"),
        ({"protocol": "tcp", "ports": "1-65535", **ANYBODY}, "takes tcp all from 0.0.0.0/0"),
        ({"protocol": "udp", "ports": "53", **ANYBODY}, "takes udp 53 from 0.0.0.0/0"),
        ({"protocol": "icmp", **ANYBODY}, "takes icmp from 0.0.0.0/0"),
        (
            {"protocol": "tcp", "ports": "4000", "sources": {"addresses": ["::/0"]}},
            "takes tcp 4000 from ::/0",
        ),
        (
            {"protocol": "tcp", "ports": "4000", "sources": {"addresses": ["203.0.113.9"]}},
            "takes tcp 4000 from 203.0.113.9",
        ),
    ],
)
def test_a_rule_too_many_is_named(rule: dict[str, Any], words: str, told: Told) -> None:
    """Which droplet, which way, what and from whom: by the words of the rule that lets it in."""
    found = told("runner", lambda body: body["inbound_rules"].append(rule))
    assert found == [f"droplet runner: {words}, more than the topology admits"]


def test_a_peer_too_many_is_named(told: Told, made: HandMade) -> None:
    """A droplet by its name in the topology, and only what is beyond the topology's own rule."""
    other = {"droplet_ids": [made.droplets[name]["id"] for name in ("client", "worker-1")]}
    rule = {"protocol": "tcp", "ports": "3999-4000", "sources": other}
    assert told("runner", lambda body: body["inbound_rules"].append(rule)) == [
        "droplet runner: takes tcp 3999 from client, more than the topology admits",
        "droplet runner: takes tcp 3999-4000 from worker-1, more than the topology admits",
    ]


def test_a_way_out_too_many_is_named(told: Told) -> None:
    """What a droplet may send matters as much as what it takes: most firewalls made by hand let all out."""
    everything = {"protocol": "tcp", "ports": "all", "destinations": {"addresses": ["0.0.0.0/0", "::/0"]}}
    found = told("worker-1", lambda body: body["outbound_rules"].append(everything))
    assert found
    assert all(each.startswith("droplet worker-1: sends tcp ") for each in found)
    assert "0.0.0.0/0, ::/0" in " ".join(found)


def test_a_rule_too_few_is_named(told: Told) -> None:
    """What should get through and does not."""
    found = told("judge0-lb", lambda body: body.update(inbound_rules=[]))
    assert "droplet judge0-lb: does not take tcp 2358 from runner, as the topology says" in found
    assert "droplet judge0-lb: does not take tcp 22 from client, as the topology says" in found


def test_ipv6_that_is_not_let_in_is_no_fault(told: Told) -> None:
    """Droplets of a topology have no IPv6 address: whoever left ::/0 out has left nothing out."""

    def of_the_web(body: dict[str, Any]) -> None:
        body["inbound_rules"] = [
            {**each, "sources": {"addresses": ["0.0.0.0/0"]}} if each["ports"] in ("80", "443") else each
            for each in body["inbound_rules"]
        ]

    assert told("client", of_the_web) == []


def test_a_droplet_without_a_firewall_is_open(told: Told) -> None:
    """That is said once, not port by port."""
    assert told("server-2", lambda body: body.update(droplet_ids=[])) == [
        "droplet server-2: no firewall covers it: it takes everything, and sends everything"
    ]


def test_another_firewall_adds_to_what_is_admitted(told: Told, found: Found, made: HandMade) -> None:
    """Rules of all that cover a droplet add up, so that a second one with a hole is a hole."""
    more = {
        "id": "f",
        "name": "office",
        "status": "succeeded",
        "pending_changes": [],
        "droplet_ids": [made.droplets["server-1"]["id"]],
        "tags": [],
        "inbound_rules": [{"protocol": "tcp", "ports": "9100", **ANYBODY}],
        "outbound_rules": [],
    }
    assert told(firewalls=[*found.documents.firewalls, more]) == [
        "droplet server-1: takes tcp 9100 from 0.0.0.0/0, more than the topology admits"
    ]


def test_what_nobody_can_judge_is_told(told: Told) -> None:
    """A load balancer has addresses that the API does not tell, and a firewall may not be in force yet."""
    lb = {"protocol": "tcp", "ports": "4000", "sources": {"load_balancer_uids": ["lb-1"]}}
    assert told("runner", lambda body: body["inbound_rules"].append(lb)) == [
        "firewall fw-runner: a rule names load balancer lb-1, and the topology names none"
    ]
    assert told("runner", lambda body: body.update(status="waiting")) == [
        "firewall fw-runner: is not in force: its status is waiting"
    ]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (("ip_addr", "203.0.113.9"), "takes tcp 27017 from 203.0.113.9, more than the topology admits"),
        (("tag", "production"), "takes tcp 27017 from tag production, more than the topology admits"),
        (("app", "a-1"), "they name app a-1, and the topology names none"),
        (("k8s", "k-1"), "they name k8s k-1, and the topology names none"),
    ],
)
def test_a_trusted_source_too_many_is_named(
    source: tuple[str, str], words: str, told: Told, found: Found, made: HandMade
) -> None:
    """Whoever it stands for; also where the API does not say for whom."""
    mongo = made.databases["mongo"]["id"]
    rules = [*found.documents.trusted[mongo], {"type": source[0], "value": source[1]}]
    assert told(trusted={**found.documents.trusted, mongo: rules}) == [f"trusted sources mongo: {words}"]


def test_trusted_sources_are_compared_by_whom_they_let_in(told: Told, found: Found, made: HandMade) -> None:
    """By address instead of by id is the same; none at all is open to everybody; too few is told."""
    mongo = made.databases["mongo"]["id"]
    runner = found.deployment.nodes["runner"]
    addresses = [{"type": "ip_addr", "value": each} for each in (runner.private_ip, runner.public_ip)]
    assert told(trusted={**found.documents.trusted, mongo: addresses}) == []
    assert told(trusted={**found.documents.trusted, mongo: []}) == [
        "trusted sources mongo: there are none: the database is open to everybody"
    ]
    client = [{"type": "droplet", "value": str(made.droplets["client"]["id"])}]
    assert told(trusted={**found.documents.trusted, mongo: client}) == [
        "trusted sources mongo: takes tcp 27017 from client, more than the topology admits",
        "trusted sources mongo: does not take tcp 27017 from runner, as the topology says",
    ]


def test_drift_names_what_is_missing_and_extra_too(
    found: Found, topology: Topology, place: ExistingDir
) -> None:
    """Beside what is let through: droplets that are off or absent, and what has the tag and no place."""
    droplets = {**found.match.droplets, "runner": {**found.match.droplets["runner"], "status": "off"}}
    extra = ({"name": "web-9", "id": 9}, {"name": "cache", "id": "c", "engine": "valkey"})
    match = Match(droplets, found.match.databases, ("server-2", "mongo"), extra)
    told: Documents = found.documents
    assert [str(each) for each in drift(topology, place.run, (OPERATOR,), told, match)] == [
        "droplet server-2: is missing",
        "database mongo: is missing",
        "droplet runner: is off, not active",
        "droplet web-9: (9) has the tag, and is not in the topology",
        "database cache: (c) has the tag, and is not in the topology",
    ]


def test_operators_have_to_be_known(found: Found, topology: Topology, place: ExistingDir) -> None:
    """Where the topology says ``self``, whoever checks has to say who that is there."""
    with pytest.raises(UsageError, match="--operator-cidr"):
        admissions(topology, place.run, (), found.documents)
