"""An existing deployment as the API reports it, in the form that everything that reads a run understands.

What stands for what is written into the answers, in memory only: a matched droplet has the tags, a matched
cluster the name, that they would have as a run's. Nothing of the kind is ever sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.core.names import node_tag, resource_name, run_tag
from harness.core.parallel import in_parallel
from harness.existing.match import Match, match, require
from harness.existing.place import ExistingDir
from harness.firewall.from_api import Documents
from harness.provision.observe import Observed, deployment
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """What was found, and what the API reported; ``documents`` and ``deployment`` by the place's label."""

    match: Match
    documents: Documents
    deployment: Deployment


def inspect(target: Target, topology: Topology, place: ExistingDir, *, whole: bool = True) -> Found:
    """Find the deployment that ``place`` names. Only reads.

    Raises ``UsageError`` where it cannot be decided what stands for what and, if ``whole``, where something
    is missing or too much.
    """
    with Api(target, read_only=True) as api:
        vpcs, droplets, firewalls, clusters = in_parallel(
            (
                partial(every, api.client.vpcs.list, "vpcs"),
                partial(every, api.client.droplets.list, "droplets"),
                partial(every, api.client.firewalls.list, "firewalls"),
                partial(_clusters, api),
            )
        )
        found = match(topology, place.tag, droplets, clusters)
        if whole:
            require(found, topology, place.tag)
        documents = Documents(
            vpcs,
            _droplets(found, droplets, place.run),
            firewalls,
            tuple(_database(each, name, place.run) for name, each in found.databases.items()),
            _trusted(api, list(found.databases.values())),
        )
        return Found(found, documents, deployment(api, topology, place.run, _observed(documents, place.run)))


def _clusters(api: Api) -> list[dict[str, Any]]:
    return list(api.client.databases.list_clusters().get("databases") or ())


def _trusted(api: Api, databases: Sequence[Body]) -> dict[str, tuple[Body, ...]]:
    ids = [str(each["id"]) for each in databases]
    answers = in_parallel([partial(api.client.databases.list_firewall_rules, each) for each in ids])
    return {each: tuple(answer.get("rules") or ()) for each, answer in zip(ids, answers, strict=True)}


def _droplets(found: Match, droplets: Sequence[Body], run: str) -> tuple[Body, ...]:
    nodes = {each["id"]: name for name, each in found.droplets.items()}
    return tuple(_droplet(each, nodes[each["id"]], run) if each["id"] in nodes else each for each in droplets)


def _droplet(body: Body, node: str, run: str) -> Body:
    return {**body, "tags": [*(body.get("tags") or ()), run_tag(run), node_tag(run, node)]}


def _database(body: Body, name: str, run: str) -> Body:
    tags = [*(body.get("tags") or ()), run_tag(run)]
    return {**body, "name": resource_name(run, name), "tags": tags}


def _observed(documents: Documents, run: str) -> Observed:
    ours = tuple(dict(each) for each in documents.droplets if run_tag(run) in each["tags"])
    places = {each.get("vpc_uuid") for each in ours}
    return Observed(
        vpcs=tuple(dict(each) for each in documents.vpcs if each["id"] in places),
        droplets=ours,
        databases=tuple(dict(each) for each in documents.databases),
    )
