"""What a mutant is computed to change is what the suite's own computed view makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mutation_rig import RUN, looked_at

from harness.core.names import STRANGER, node_tag
from harness.firewall.bodies import source_bodies
from harness.firewall.evaluate import reachability
from harness.firewall.from_api import Documents, fetch, network_of, read
from harness.firewall.model import Droplet, FirewallState, Network
from harness.mutation.effect import baseline, effect
from harness.mutation.generate import mutants
from harness.run.settings import PROJECT
from harness.target.api import Api
from harness.topology import load
from harness.topology.model import OPERATORS

TOPOLOGY = load(PROJECT / "topologies" / "standard.yaml")


def with_stranger(documents: Documents, stranger: Droplet) -> Documents:
    """The same, and a stranger in the VPC."""
    networks = [
        {"type": "private", "ip_address": stranger.private},
        {"type": "public", "ip_address": stranger.public},
    ]
    body: dict[str, Any] = {
        **documents.droplets[0],
        "id": 99,
        "name": "stranger-of-a",
        "tags": [node_tag(RUN, STRANGER)],
        "networks": {"v4": networks},
    }
    return replace(documents, droplets=[*documents.droplets, body])


def reported(documents: Documents, state: FirewallState) -> Network:
    """The network that the API would tell of with these firewalls in force."""
    bodies = {each.id: each.body() for each in state.firewalls}
    firewalls = [{**each, **bodies[each["id"]]} for each in documents.firewalls]
    ids = {each["name"].partition("--")[2]: each["id"] for each in documents.databases}
    trusted = {ids[name]: source_bodies(sources) for name, sources in state.trusted}
    return network_of(TOPOLOGY, RUN, replace(documents, firewalls=firewalls, trusted=trusted))


@pytest.mark.parametrize("part", range(4))
def test_the_computed_view_agrees_on_every_pair(api: Api, part: int) -> None:
    """For mutants of all kinds, every pair and protocol; nothing differs for those that are equivalent."""
    network = looked_at(read(api, RUN))
    documents = with_stranger(fetch(api, RUN), network.others[STRANGER])
    base = baseline(network)
    every = mutants(network)
    some = [each for number, each in enumerate(every) if number % 16 == part]
    equal = [each for each in every if effect(base, each).equivalent]
    pairs = [each for each in base.pairs if each.source != OPERATORS]
    for mutant in (*some, *equal):
        mine = reachability(network.under(mutant.state), base.pairs)
        theirs = reachability(reported(documents, mutant.state), pairs)
        assert {key: mine[key] for key in theirs} == theirs, mutant
        if mutant in equal:
            assert mine == base.reachable
