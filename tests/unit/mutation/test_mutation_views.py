"""What a mutant is computed to change is what the suite's own computed view makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from mutation_rig import PLACES, RUN

from harness.api import Api
from harness.isolation.computed import admitted
from harness.isolation.network import Network
from harness.isolation.reported import Documents, ask, network_of
from harness.mutation.effect import baseline, effect
from harness.mutation.fate import Places, fates
from harness.mutation.gates import gates
from harness.mutation.generate import mutants
from harness.mutation.protection import Protection, read
from harness.names import STRANGER, node_tag
from harness.settings import PROJECT
from harness.topology import load
from harness.topology.model import OPERATORS

TOPOLOGY = load(PROJECT / "topologies" / "standard.yaml")


def with_stranger(told: Documents, places: Places) -> Documents:
    """The same, and a stranger in the VPC."""
    networks = [
        {"type": "private", "ip_address": places.stranger},
        {"type": "public", "ip_address": places.stranger_public},
    ]
    body: dict[str, Any] = {
        **told.droplets[0],
        "id": 99,
        "name": "stranger-of-a",
        "tags": [node_tag(RUN, STRANGER)],
        "networks": {"v4": networks},
    }
    return replace(told, droplets=[*told.droplets, body])


def reported(told: Documents, protection: Protection) -> Network:
    """The network that the API would tell of with this protection in force."""
    walls = {each.id: each.body() for each in protection.walls}
    firewalls = [{**each, **walls[each["id"]]} for each in told.firewalls]
    ids = {each["name"].partition("--")[2]: each["id"] for each in told.databases}
    trusted = {
        ids[name]: [{"type": kind, "value": value} for kind, value in sources]
        for name, sources in protection.trusted
    }
    return network_of(TOPOLOGY, RUN, replace(told, firewalls=firewalls, trusted=trusted))


@pytest.mark.parametrize("part", range(4))
def test_the_computed_view_agrees_on_every_pair(api: Api, part: int) -> None:
    """For mutants of all kinds, every pair and protocol; nothing differs for those that are equivalent."""
    ground, protection = read(api, RUN)
    places = replace(PLACES, stranger=f"{ground.vpc_range.split('.0/')[0]}.99")
    told = with_stranger(ask(api, RUN), places)
    base = baseline(ground, protection, places)
    every = mutants(ground, protection, places)
    some = [each for number, each in enumerate(every) if number % 16 == part]
    equal = [each for each in every if effect(base, each).equivalent]
    for mutant in (*some, *equal):
        network = reported(told, mutant.protection)
        mine = fates(ground, places, gates(ground, mutant.protection))
        theirs = {
            (pair, protocol): admitted(network, pair, protocol)
            for pair, protocol in mine
            if pair.source != OPERATORS
        }
        assert {key: mine[key] for key in theirs} == theirs, mutant
        if mutant in equal:
            assert mine == base.fates
