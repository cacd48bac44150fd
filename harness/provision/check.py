"""Compare a topology with what the account may have, before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any

from harness.core.errors import TopologyError, UsageError
from harness.core.parallel import in_parallel
from harness.provision.plan import Plan
from harness.target.api import Api, every
from harness.topology.model import Database, Droplet, Topology


def check(api: Api, topology: Topology, plan: Plan) -> None:
    """Raise ``TopologyError`` for a region, size, image, engine or version that the API does not offer.

    Only what the plan makes is checked. Also raises ``UsageError`` where it would exceed the account's
    droplet limit.
    """
    droplets = [topology.droplets[change.name] for change in plan.of("create", "droplet")]
    databases = [topology.databases[change.name] for change in plan.of("create", "database")]
    jobs: list[Callable[[], None]] = []
    if droplets:
        jobs += [partial(_check_droplets, api, topology, droplets), partial(_check_limit, api, len(droplets))]
    if databases:
        jobs.append(partial(_check_databases, api, topology, databases))
    in_parallel(jobs)


def _check_droplets(api: Api, topology: Topology, droplets: list[Droplet]) -> None:
    client = api.client
    regions, sizes, images = in_parallel(
        (
            partial(every, client.regions.list, "regions"),
            partial(every, client.sizes.list, "sizes"),
            partial(every, client.images.list, "images"),  # of every kind, the account's own too
        )
    )
    region = topology.region
    _among(topology, "region", region, {each["slug"] for each in regions if each["available"]}, "region")
    usable = {each["slug"] for each in sizes if each["available"] and region in each["regions"]}
    here = [each for each in images if region in each["regions"]]
    offered = {each["slug"] for each in here if each["slug"]} | {str(each["id"]) for each in here}
    for droplet in droplets:
        _among(topology, f"droplets.{droplet.name}.size", droplet.size, usable, f"size in {region}")
        _among(topology, f"droplets.{droplet.name}.image", droplet.image, offered, f"image in {region}")


def _check_limit(api: Api, wanted: int) -> None:
    limit = api.client.account.get()["account"]["droplet_limit"]
    used = api.client.droplets.list(per_page=1)["meta"]["total"]
    if used + wanted > limit:
        raise UsageError(
            f"the account may have {limit} droplets and has {used}, so {wanted} more would be too many; "
            "destroy some, or ask DigitalOcean to raise the limit"
        )


def _check_databases(api: Api, topology: Topology, databases: list[Database]) -> None:
    options = api.client.databases.list_options()["options"]
    for database in databases:
        field = f"databases.{database.name}"
        _among(topology, f"{field}.engine", database.engine, set(options), "engine")
        offer = options[database.engine]
        _among(
            topology,
            f"{field}.version",
            database.version,
            set(_versions(offer)),
            f"{database.engine} version",
        )
        _among(topology, "region", topology.region, set(offer["regions"]), f"region of {database.engine}")
        sizes = set(_sizes(offer, database.nodes))
        label = f"size of {database.engine} with {database.nodes} nodes"
        _among(topology, f"{field}.size", database.size, sizes, label)


def _versions(offer: dict[str, Any]) -> Iterator[str]:
    """The versions on offer; a major one stands for its minors: "8.0" can be asked for as "8"."""
    for version in offer["versions"]:
        yield version
        yield version.partition(".")[0]


def _sizes(offer: dict[str, Any], nodes: int) -> Iterator[str]:
    for layout in offer["layouts"]:
        if layout["num_nodes"] == nodes:
            yield from layout["sizes"]


def _among(topology: Topology, field: str, value: str, known: Collection[str], what: str) -> None:
    if value in known:
        return
    near = get_close_matches(value, known, n=3, cutoff=0.5) or sorted(known)[:5]
    raise TopologyError(
        f"unknown {what}: {value!r}",
        file=topology.file,
        field=field,
        remedy=f"take one the account has, like {', '.join(near)}"
        if near
        else "nothing of the kind is on offer",
    )
