"""What a topology costs, in US dollars: droplets by the API's list of sizes, databases by the published list.

DigitalOcean's API has no prices of databases. Those here are of its public price list (2025-11, one
node, storage included in the plan); a size that is not among them is estimated by its memory, high.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from harness.core.errors import TopologyError
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.model import Database, Topology

HOURS_PER_MONTH = 672
MONTHLY_PER_NODE = {
    "db-s-1vcpu-1gb": 15.15,
    "db-s-1vcpu-2gb": 30.45,
    "db-s-2vcpu-4gb": 60.9,
    "db-s-4vcpu-8gb": 122.1,
    "db-s-6vcpu-16gb": 244.2,
    "db-s-8vcpu-32gb": 488.0,
    "db-s-16vcpu-64gb": 976.0,
}
MONTHLY_PER_GB = 25.0
Source = Literal["api", "list", "estimate"]


@dataclass(frozen=True)
class PriceItem:
    """One droplet or database. ``source``: the API's own figure, the published list's, or an estimate."""

    kind: Literal["droplet", "database"]
    name: str
    size: str
    hourly: float
    monthly: float
    source: Source


@dataclass(frozen=True)
class Price:
    """US dollars for as long as it stands; traffic and backups are not in it."""

    hourly: float
    monthly: float
    items: tuple[PriceItem, ...]


def price(target: Target, topology: Topology) -> Price:
    """What everything of the topology costs. Raises ``TopologyError`` for a size the API does not list."""
    with Api(target, read_only=True) as api:
        sizes = {each["slug"]: each for each in every(api.client.sizes.list, "sizes")}
    items = (
        *(_droplet(topology, name, sizes) for name in topology.droplets),
        *(_database(database) for database in topology.databases.values()),
    )
    return Price(
        round(sum(item.hourly for item in items), 5), round(sum(item.monthly for item in items), 2), items
    )


def _droplet(topology: Topology, name: str, sizes: dict[str, dict[str, float]]) -> PriceItem:
    slug = topology.droplets[name].size
    if slug not in sizes:
        raise TopologyError(
            f"unknown size: {slug!r}",
            file=topology.file,
            field=f"droplets.{name}.size",
            remedy="take one that the account has, like s-1vcpu-2gb",
        )
    size = sizes[slug]
    return PriceItem("droplet", name, slug, float(size["price_hourly"]), float(size["price_monthly"]), "api")


def _database(database: Database) -> PriceItem:
    listed = MONTHLY_PER_NODE.get(database.size)
    monthly = (listed or _estimate(database.size)) * database.nodes
    source: Source = "list" if listed else "estimate"
    hourly = round(monthly / HOURS_PER_MONTH, 5)
    return PriceItem("database", database.name, database.size, hourly, round(monthly, 2), source)


def _estimate(size: str) -> float:
    memory = re.search(r"(\d+)gb$", size)
    return MONTHLY_PER_GB * (int(memory[1]) if memory else 64)
