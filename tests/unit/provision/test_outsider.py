"""A droplet that no rule names stands beside a run for as long as a scan lasts, and never longer."""

from __future__ import annotations

import pytest
from small_topology import PUBLIC_KEY, QUIET

from harness import provision
from harness.core.errors import ApiError
from harness.core.names import STRANGER, node_tag
from harness.isolation.outsider import _make, outsider
from harness.provision import Deadlines
from harness.provision.observe import snapshot
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture
def made(target: Target, topology: Topology) -> Deployment:
    """A run that stands."""
    return provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)


def droplets(target: Target) -> dict[str, list[str]]:
    """Tags by name of every droplet of the account."""
    with Api(target, read_only=True) as api:
        return {each["name"]: each["tags"] for each in every(api.client.droplets.list, "droplets")}


def left_behind(target: Target, topology: Topology, made: Deployment) -> None:
    """A stranger whose scan was killed: made, and never removed."""
    with Api(target) as api:
        _make(api, target, topology, made, Deadlines())


def test_stranger_is_in_the_vpc_and_no_firewall_covers_it(
    target: Target, topology: Topology, made: Deployment
) -> None:
    """It has the run's key and network, and neither its tag nor any firewall."""
    with outsider(target, topology, made) as wider, Api(target, read_only=True) as api:
        node = wider.nodes[STRANGER]
        found = api.client.droplets.get(node.id)["droplet"]
        assert found["vpc_uuid"] == made.vpc_id
        assert found["tags"] == [node_tag("a", STRANGER)]
        assert node.private_ip
        assert node.public_ip
        covered = [
            each["name"]
            for each in every(api.client.firewalls.list, "firewalls")
            if node.id in each["droplet_ids"] or set(found["tags"]) & set(each["tags"] or ())
        ]
        assert covered == []
    assert STRANGER not in made.nodes


def test_stranger_goes_whatever_happens(target: Target, topology: Topology, made: Deployment) -> None:
    """A scan that fails leaves neither the droplet nor its tag."""
    with pytest.raises(RuntimeError), outsider(target, topology, made):
        raise RuntimeError
    assert set(droplets(target)) == set(topology.droplets)
    with Api(target, read_only=True) as api:
        assert node_tag("a", STRANGER) not in snapshot(api, "a").tags


def test_next_up_removes_a_stranger_left_behind(target: Target, topology: Topology, made: Deployment) -> None:
    """The plan says so and why, and the run's own droplets stay."""
    left_behind(target, topology, made)
    plan = provision.plan(target, topology, "a")
    gone = [(each.name, each.reason) for each in plan.of("delete", "droplet")]
    assert gone == [("stranger-of-a", "was left behind by a scan")]
    again = provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)
    assert set(droplets(target)) == set(topology.droplets)
    assert again.nodes == made.nodes
    assert provision.plan(target, topology, "a").empty


def test_a_stranger_is_listed_by_its_name_in_reports(
    target: Target, topology: Topology, made: Deployment
) -> None:
    """The kind is in the JSON of `down` and `sweep`, where scripts read it."""
    left_behind(target, topology, made)
    with Api(target, read_only=True) as api:
        kinds = {each.kind for each in snapshot(api, "a").items()}
    assert kinds == {"droplet", STRANGER, "database", "firewall", "vpc", "ssh key", "tag"}


def test_down_takes_a_stranger_along(target: Target, topology: Topology, made: Deployment) -> None:
    """Nothing is left of the run, the VPC that the stranger was in included."""
    left_behind(target, topology, made)
    provision.destroy(target, "a", progress=QUIET)
    assert droplets(target) == {}
    assert provision.runs(target) == ()


def test_stranger_that_cannot_be_made_is_told(target: Target, topology: Topology, made: Deployment) -> None:
    """The account's limit is the API's own word, and nothing stays behind."""
    missing = Deployment(made.run, "no-such-vpc", made.vpc_range, made.nodes, made.databases)
    with pytest.raises(ApiError, match="VPC"), outsider(target, topology, missing):
        pass
    assert set(droplets(target)) == set(topology.droplets)
