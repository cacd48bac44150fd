"""Cloud Firewalls and trusted sources, as the API reports them, are the topology's and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from harness.api import Api, every
from harness.deployment import Deployment
from harness.names import node_tag, resource_name, run_of_name
from harness.target import Target
from harness.topology.model import INTERNET, OPERATORS, VPC, Rule, Topology

ANYWHERE = ("0.0.0.0/0", "::/0")

Expanded = frozenset[tuple[str, str, str]]  # protocol, ports, one peer


@pytest.fixture(scope="module")
def firewalls(api: Api, deployment: Deployment) -> Mapping[str, Any]:
    """The run's Cloud Firewalls by name."""
    found = every(api.client.firewalls.list, "firewalls")
    return {each["name"]: each for each in found if run_of_name(each["name"]) == deployment.run}


def test_firewalls_are_those_of_the_topology(
    firewalls: Mapping[str, Any], deployment: Deployment, topology: Topology
) -> None:
    """Every declared firewall is there, none is left over (the bootstrap one least of all)."""
    wanted = {resource_name(deployment.run, each.name) for each in topology.all_firewalls()}
    assert set(firewalls) == wanted


def test_firewall_rules_are_those_of_the_topology(
    firewalls: Mapping[str, Any], deployment: Deployment, topology: Topology, target: Target
) -> None:
    """Each firewall covers the droplets and allows the traffic that the topology gives it, and no other."""
    for wanted in topology.all_firewalls():
        found = firewalls[resource_name(deployment.run, wanted.name)]
        assert covered(found, deployment) == set(wanted.droplets), wanted.name
        inbound, outbound = found["inbound_rules"] or [], found["outbound_rules"] or []
        assert reported(inbound, "sources", deployment) == expand(wanted.inbound, deployment, target)
        assert reported(outbound, "destinations", deployment) == expand(wanted.outbound, deployment, target)


def test_firewalls_are_in_force(firewalls: Mapping[str, Any]) -> None:
    """No firewall has changes pending."""
    assert {name: each["status"] for name, each in firewalls.items() if each["status"] != "succeeded"} == {}
    assert [each["pending_changes"] for each in firewalls.values() if each["pending_changes"]] == []


def test_trusted_sources_are_those_of_the_topology(
    database: str, api: Api, deployment: Deployment, topology: Topology
) -> None:
    """Each database trusts exactly the droplets that the topology names."""
    rules = api.client.databases.list_firewall_rules(deployment.databases[database].id)["rules"] or []
    names = {str(node.id): name for name, node in deployment.nodes.items()}
    names |= {node_tag(deployment.run, name): name for name in deployment.nodes}
    assert {names.get(str(rule["value"]), str(rule["value"])) for rule in rules} == set(
        topology.databases[database].trusted_sources
    )


def covered(found: Mapping[str, Any], deployment: Deployment) -> set[str]:
    """The names of the droplets that a firewall names by id or by tag."""
    ids, tags = set(found.get("droplet_ids") or ()), set(found.get("tags") or ())
    return {
        name
        for name, node in deployment.nodes.items()
        if node.id in ids or node_tag(deployment.run, name) in tags
    }


def reported(rules: Iterable[Mapping[str, Any]], side: str, deployment: Deployment) -> Expanded:
    """Rules as the API tells them, one entry a peer, droplets by name."""
    names = {node.id: name for name, node in deployment.nodes.items()}
    tags = {node_tag(deployment.run, name): name for name in deployment.nodes}
    entries = set()
    for rule in rules:
        peers = rule[side]
        told = [
            *(peers.get("addresses") or ()),
            *(tags.get(tag, f"tag {tag}") for tag in peers.get("tags") or ()),
            *(names.get(each, f"droplet {each}") for each in peers.get("droplet_ids") or ()),
        ]
        entries |= {(rule["protocol"], str(rule.get("ports") or "0"), peer) for peer in told}
    return frozenset(entries)


def expand(rules: Iterable[Rule], deployment: Deployment, target: Target) -> Expanded:
    """The topology's rules in the same form."""
    words = {INTERNET: ANYWHERE, OPERATORS: target.operators, VPC: (deployment.vpc_range,)}
    return frozenset(
        (rule.protocol, rule.ports, each)
        for rule in rules
        for peer in rule.peers
        for each in words.get(peer, (peer,))
    )
