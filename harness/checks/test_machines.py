"""The resources in the API: the topology's droplets and databases, and nothing more."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from harness.run.session import Session
from harness.target.api import Api, every
from harness.topology.deployment import Deployment
from harness.topology.model import Topology


@pytest.mark.existing("api")
def test_droplet_is_active_at_its_addresses(node: str, deployment: Deployment, topology: Topology) -> None:
    """Each droplet is active, in the VPC's range, and public exactly if the topology says so."""
    found = deployment.nodes[node]
    assert found.status == "active"
    assert found.private_ip
    assert ip_address(found.private_ip) in ip_network(deployment.vpc_range)
    assert bool(found.public_ip) == topology.droplets[node].public_networking
    assert found.public_ip is None or ip_address(found.public_ip) not in ip_network(deployment.vpc_range)


@pytest.mark.existing("api")
def test_droplet_is_what_was_asked_for(
    node: str, deployment: Deployment, topology: Topology, api: Api, session: Session
) -> None:
    """Each droplet has the size, image, region, VPC and tags of the topology."""
    found = api.client.droplets.get(deployment.nodes[node].id)["droplet"]
    wanted = topology.droplets[node]
    assert found["size_slug"] == wanted.size
    assert found["image"]["slug"] == wanted.image
    assert found["region"]["slug"] == topology.region
    assert found["vpc_uuid"] == deployment.vpc_id
    assert {each.lower() for each in session.tags(node)} <= {each.lower() for each in found["tags"]}


@pytest.mark.existing("api")
def test_no_other_droplet_carries_the_run(
    deployment: Deployment, topology: Topology, api: Api, session: Session
) -> None:
    """The run's tag is on the topology's droplets and no others."""
    tagged = every(api.client.droplets.list, "droplets", tag_name=session.tag)
    assert sorted(each["id"] for each in tagged) == sorted(
        deployment.nodes[name].id for name in topology.droplets
    )


@pytest.mark.existing("api")
def test_database_is_online(database: str, deployment: Deployment, topology: Topology, api: Api) -> None:
    """Each cluster is online, with the topology's engine, version and size, in the run's VPC."""
    found = api.client.databases.get_cluster(deployment.databases[database].id)["database"]
    wanted = topology.databases[database]
    assert found["status"] == "online"
    assert found["engine"] == wanted.engine
    assert found["version"].split(".")[0] == wanted.version.split(".")[0]
    assert found["size"] == wanted.size
    assert found["num_nodes"] == wanted.nodes
    assert found["private_network_uuid"] == deployment.vpc_id


@pytest.mark.existing("api")
def test_database_has_a_private_and_a_public_endpoint(database: str, deployment: Deployment) -> None:
    """Each cluster has two host names, and a certificate authority to check them with."""
    found = deployment.databases[database]
    assert found.private.host != found.public.host
    assert found.private.port == found.public.port
    assert "BEGIN CERTIFICATE" in found.ca_pem
