"""What the account does not offer is said before anything is made, and what it costs too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_topology import PUBLIC_KEY, QUIET, droplet, make_topology

from emulator.cloud.catalogue import find_image
from emulator.cloud.core import Cloud, Limits
from harness import provision
from harness.core.errors import TopologyError, UsageError
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.model import Topology

MAIN = make_topology().databases["main"]


@pytest.mark.parametrize(
    ("changed", "field", "near"),
    [
        ({"region": "fra9"}, "region", "fra1"),
        (
            {"droplets": {"web": droplet("web", size="s-1vcpu-1g"), "api": droplet("api")}},
            "droplets.web.size",
            "s-1vcpu-1gb",
        ),
        (
            {"droplets": {"web": droplet("web"), "api": droplet("api", image="ubuntu-24-04")}},
            "droplets.api.image",
            "ubuntu-24-04-x64",
        ),
        ({"databases": {"main": replace(MAIN, version="9")}}, "databases.main.version", "1"),
        (
            {"databases": {"main": replace(MAIN, size="db-s-1vcpu-1g")}},
            "databases.main.size",
            "db-s-1vcpu-1gb",
        ),
    ],
)
def test_what_is_not_on_offer_names_the_field_and_what_is_near(
    cloud: Cloud, target: Target, changed: dict[str, Any], field: str, near: str
) -> None:
    """And nothing was made."""
    with pytest.raises(TopologyError) as raised:
        provision.provision(target, make_topology(**changed), "a", public_key=PUBLIC_KEY, progress=QUIET)
    assert raised.value.field == field
    assert near in str(raised.value)
    assert provision.leftovers(target, "a") == ()


def test_an_image_is_asked_for_by_slug_or_by_number(cloud: Cloud, target: Target) -> None:
    """Whatever its kind; what stands is known again by either."""
    number = str(find_image("ubuntu-24-04-x64").id)
    by_number = make_topology(droplets={"web": droplet("web", image=number), "api": droplet("api")})
    provision.provision(target, by_number, "a", public_key=PUBLIC_KEY, progress=QUIET)
    with Api(target) as api:
        made = every(api.client.droplets.list, "droplets")
    assert [each["image"]["slug"] for each in made] == ["ubuntu-24-04-x64"] * 2
    assert provision.plan(target, by_number, "a").empty
    assert provision.plan(target, make_topology(), "a").empty


def test_the_accounts_droplet_limit_is_respected(cloud: Cloud, target: Target, topology: Topology) -> None:
    """Said at once, not after half of them."""
    cloud.limits = Limits(droplets=1)
    with pytest.raises(UsageError, match="may have 1 droplets and has 0"):
        provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)
    assert provision.leftovers(target, "a") == ()


def test_a_run_whose_databases_could_have_no_host_names_is_refused(
    cloud: Cloud, target: Target, topology: Topology
) -> None:
    """When it is planned, so that ``--dry-run`` says it, too; and nothing was made."""
    run = "a-run-of-a-very-long-nam"
    with pytest.raises(UsageError, match=r"too long for database 'main'.* at most 21"):
        provision.plan(target, topology, run)
    with pytest.raises(UsageError, match="too long for database 'main'"):
        provision.provision(target, topology, run, public_key=PUBLIC_KEY, progress=QUIET)
    assert provision.leftovers(target, run) == ()


def test_the_price_is_the_sum_of_the_apis_own_prices(
    cloud: Cloud, target: Target, topology: Topology
) -> None:
    """Databases have a published price."""
    told = provision.price(target, topology)
    assert [(item.name, item.monthly, item.source) for item in told.items] == [
        ("web", 6.0, "api"),
        ("api", 6.0, "api"),
        ("main", 15.15, "list"),
    ]
    assert told.monthly == 27.15
    assert told.hourly == pytest.approx(27.15 / 672, rel=0.01)


def test_a_database_size_without_a_price_is_estimated_high(cloud: Cloud, target: Target) -> None:
    """It must never pass as free."""
    topology = make_topology(databases={"main": replace(MAIN, size="gd-2vcpu-8gb")})
    item = provision.price(target, topology).items[-1]
    assert (item.source, item.monthly) == ("estimate", 200.0)


def test_a_droplet_size_without_a_price_is_an_error(cloud: Cloud, target: Target) -> None:
    """The API lists all there are."""
    topology = make_topology(droplets={"web": droplet("web", size="huge"), "api": droplet("api")})
    with pytest.raises(TopologyError, match=r"droplets\.web\.size"):
        provision.price(target, topology)
