"""VPCs, SSH keys, tags and projects: what may be, and what may not."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import call, make_database, make_droplet

from emulator.cloud import vpcs
from emulator.cloud.addresses import free_private, free_range
from emulator.cloud.catalogue import REGIONS
from emulator.cloud.core import Cloud
from emulator.cloud.models import Assignment, Vpc

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6gkR3y2yhP7YQWGCVZzx6Q0MfSUBbm8Uq2a3nXe7b2"
PROJECT = {"name": "p", "purpose": "tests"}


def test_every_region_has_a_default_vpc_apart_from_the_others(cloud: Cloud) -> None:
    """No two ranges of the account overlap."""
    seeded = cloud.store.all(Vpc)
    assert {vpc.region for vpc in seeded if vpc.default} == set(REGIONS)
    for one, other in combinations([IPv4Network(vpc.ip_range) for vpc in seeded], 2):
        assert not one.overlaps(other)


@given(
    st.lists(
        st.sampled_from([str(net) for net in IPv4Network("10.8.0.0/16").subnets(new_prefix=20)]), max_size=8
    )
)
def test_a_range_of_its_own_overlaps_none(used: list[str]) -> None:
    """Whatever is taken, what is given is a free /20."""
    given_range = IPv4Network(free_range(used))
    assert given_range.prefixlen == 20
    assert not any(given_range.overlaps(IPv4Network(other)) for other in used)


def test_the_first_addresses_of_a_vpc_are_reserved() -> None:
    """Gateway and the cloud's own come first, the broadcast address never."""
    assert free_private("10.1.0.0/28", []) == "10.1.0.5"
    last = [f"10.1.0.{number}" for number in range(5, 14)]
    assert free_private("10.1.0.0/28", last) == "10.1.0.14"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ip_range": "8.8.8.0/24"}, "within"),
        ({"ip_range": "10.0.0.0/8"}, "no larger"),
        ({"ip_range": "10.250.0.0/29"}, "no smaller"),
        ({"ip_range": "10.250.0.1/24"}, "host bits"),
        ({"ip_range": "ten"}, "not a valid"),
        ({"ip_range": "10.244.16.0/20"}, "reserved"),
        ({"ip_range": "10.245.0.0/24"}, "reserved"),
        ({"ip_range": "10.229.0.0/20"}, "reserved"),
        ({"ip_range": "10.110.0.0/16"}, "overlaps"),
        ({"name": "a b"}, "alphanumeric"),
        ({"name": ""}, "blank"),
        ({"name": "taken"}, "unique"),
        ({"region": "mars1"}, "region"),
        ({"region": None}, "region is required"),
    ],
)
def test_bad_vpcs_are_refused(cloud: Cloud, changes: dict[str, Any], message: str) -> None:
    """With a message that names what is wrong."""
    vpcs.create(cloud, name="taken", region="fra1")
    response = call(cloud, "POST", "/v2/vpcs", {"name": "mine", "region": "fra1", **changes})
    assert (response.status, message in response.body["message"]) == (422, True), response.body


def test_a_vpc_with_members_stays(slow_cloud: Cloud) -> None:
    """Until the last machine is really gone; a default VPC stays for ever."""
    vpc = vpcs.create(slow_cloud, name="mine", region="fra1")
    droplet = make_droplet(slow_cloud, vpc_id=vpc.id)
    database = make_database(slow_cloud, vpc_id=vpc.id)
    slow_cloud.advance()
    path = f"/v2/vpcs/{vpc.id}"
    members = call(slow_cloud, "GET", f"{path}/members").body["members"]
    assert [member["urn"] for member in members] == [f"do:droplet:{droplet.id}", f"do:dbaas:{database.id}"]
    only = call(slow_cloud, "GET", f"{path}/members?resource_type=dbaas").body["members"]
    assert [member["name"] for member in only] == ["main"]
    call(slow_cloud, "DELETE", f"/v2/droplets/{droplet.id}")
    call(slow_cloud, "DELETE", f"/v2/databases/{database.id}")
    response = call(slow_cloud, "DELETE", path)
    assert (response.status, response.body["message"]) == (409, "Can not delete VPC with members")
    slow_cloud.advance()
    assert call(slow_cloud, "DELETE", path).status == 204
    default = vpcs.default(slow_cloud, "fra1")
    assert call(slow_cloud, "DELETE", f"/v2/vpcs/{default.id}").status == 403


def test_a_vpc_can_become_the_default(cloud: Cloud) -> None:
    """There is one default a region."""
    vpc = vpcs.create(cloud, name="mine", region="fra1")
    assert call(cloud, "PATCH", f"/v2/vpcs/{vpc.id}", {"default": True}).body["vpc"]["default"]
    defaults = [vpc.id for vpc in cloud.store.all(Vpc) if vpc.default and vpc.region == "fra1"]
    assert defaults == [vpc.id]


def test_keys_are_known_by_their_fingerprint(cloud: Cloud) -> None:
    """The MD5 one, and a key is registered once whatever its comment."""
    made = call(cloud, "POST", "/v2/account/keys", {"name": "me", "public_key": f"{KEY} me@here\n"})
    key = made.body["ssh_key"]
    assert (made.status, key["public_key"]) == (201, f"{KEY} me@here")
    assert len(key["fingerprint"].split(":")) == 16
    assert call(cloud, "GET", f"/v2/account/keys/{key['fingerprint']}").body["ssh_key"]["id"] == key["id"]
    again = call(cloud, "POST", "/v2/account/keys", {"name": "other", "public_key": f"{KEY} you"})
    assert (again.status, again.body["message"]) == (422, "SSH Key is already in use on your account")


@pytest.mark.parametrize(
    "bad", ["", "ssh-rsa", "ssh-rsa !!!!", KEY.replace("ssh-ed25519", "ssh-rsa"), "-----BEGIN"]
)
def test_what_is_no_public_key_is_refused(cloud: Cloud, bad: str) -> None:
    """Its type and its content must agree."""
    assert call(cloud, "POST", "/v2/account/keys", {"name": "me", "public_key": bad}).status == 422


def test_tags_count_what_carries_them(cloud: Cloud) -> None:
    """Every kind of resource has a count, also where it is none."""
    droplet = make_droplet(cloud, tags=["wavetank:run:web"])
    make_database(cloud, tags=["wavetank:run:web"])
    shown = call(cloud, "GET", "/v2/tags/wavetank%3Arun%3Aweb").body["tag"]
    counts = {name: item["count"] for name, item in shown["resources"].items() if isinstance(item, dict)}
    assert counts == {"droplets": 1, "images": 0, "volumes": 0, "volume_snapshots": 0, "databases": 1}
    assert shown["resources"]["count"] == 2
    uri = shown["resources"]["droplets"]["last_tagged_uri"]
    assert uri == f"https://api.digitalocean.com/v2/droplets/{droplet.id}"


def test_a_tag_is_one_whatever_its_capitals(cloud: Cloud) -> None:
    """It keeps those it was made with."""
    assert call(cloud, "POST", "/v2/tags", {"name": "Web"}).status == 201
    assert call(cloud, "POST", "/v2/tags", {"name": "web"}).body["tag"]["name"] == "Web"
    assert make_droplet(cloud, tags=["WEB"]).tags == ("Web",)


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        ({"resource_type": "droplet", "resource_id": "1"}, 404),
        ({"resource_type": "volume", "resource_id": "1"}, 501),
        ({"resource_type": "droplet"}, 422),
    ],
)
def test_what_cannot_be_tagged_is_refused(cloud: Cloud, resource: dict[str, str], status: int) -> None:
    """A tag is not put on what is not there."""
    call(cloud, "POST", "/v2/tags", {"name": "web"})
    assert call(cloud, "POST", "/v2/tags/web/resources", {"resources": [resource]}).status == status


def test_what_was_never_assigned_is_in_the_default_project(cloud: Cloud) -> None:
    """Assigning moves it; a project with resources cannot go."""
    droplet = make_droplet(cloud)
    urn = f"do:droplet:{droplet.id}"
    assert _resources(cloud, "default") == [urn]
    project = call(cloud, "POST", "/v2/projects", PROJECT).body["project"]["id"]
    path = f"/v2/projects/{project}"
    moved = call(cloud, "POST", f"{path}/resources", {"resources": [urn, "do:droplet:1"]}).body["resources"]
    assert [item["status"] for item in moved] == ["assigned", "not_found"]
    assert (_resources(cloud, "default"), _resources(cloud, project)) == ([], [urn])
    assert call(cloud, "DELETE", path).status == 412
    call(cloud, "DELETE", f"/v2/droplets/{droplet.id}")
    assert call(cloud, "DELETE", path).status == 204


def test_a_project_without_an_environment_has_none(cloud: Cloud) -> None:
    """Made without one, and read again: a value of ours would be a difference that a client wants to undo."""
    made = call(cloud, "POST", "/v2/projects", PROJECT).body["project"]
    assert made["environment"] == ""
    assert call(cloud, "GET", f"/v2/projects/{made['id']}").body["project"]["environment"] == ""
    assert call(cloud, "GET", "/v2/projects/default").body["project"]["environment"] == "Development"


def test_a_vpc_may_be_moved_to_a_project(cloud: Cloud) -> None:
    """It belongs to none before, so the default project does not list it."""
    made = call(cloud, "POST", "/v2/vpcs", {"name": "v", "region": "fra1"}).body["vpc"]
    vpc = made["urn"]
    assert _resources(cloud, "default") == []
    project = call(cloud, "POST", "/v2/projects", PROJECT).body["project"]["id"]
    moved = call(cloud, "POST", f"/v2/projects/{project}/resources", {"resources": [vpc, "do:vpc:none"]})
    assert [item["status"] for item in moved.body["resources"]] == ["assigned", "not_found"]
    assert _resources(cloud, project) == [vpc]
    assert call(cloud, "DELETE", f"/v2/projects/{project}").status == 412
    assert call(cloud, "DELETE", f"/v2/vpcs/{made['id']}").status == 204
    assert _resources(cloud, project) == []
    assert not cloud.store.all(Assignment)


@pytest.mark.parametrize("urn", ["do:nonsense:1", "do:droplet", "do:droplet:", "droplet:1", "do:droplet:1:2"])
def test_a_resource_name_of_no_kind_is_refused(cloud: Cloud, urn: str) -> None:
    """With the kinds that there are; what comes before it in the list is not moved either."""
    droplet = f"do:droplet:{make_droplet(cloud).id}"
    project = call(cloud, "POST", "/v2/projects", PROJECT).body["project"]["id"]
    answer = call(cloud, "POST", f"/v2/projects/{project}/resources", {"resources": [droplet, urn]})
    assert (answer.status, "do:TYPE:ID" in answer.body["message"]) == (400, True)
    assert (_resources(cloud, "default"), _resources(cloud, project)) == ([droplet], [])


def test_the_default_project_cannot_go(cloud: Cloud) -> None:
    """There is always one."""
    default = call(cloud, "GET", "/v2/projects/default").body["project"]
    assert default["is_default"]
    assert call(cloud, "DELETE", f"/v2/projects/{default['id']}").status == 412
    project = call(cloud, "POST", "/v2/projects", PROJECT).body["project"]["id"]
    call(cloud, "PATCH", f"/v2/projects/{project}", {"is_default": True})
    projects = call(cloud, "GET", "/v2/projects").body["projects"]
    assert [item["id"] for item in projects if item["is_default"]] == [project]


@pytest.mark.parametrize(
    "changes", [{"name": ""}, {"name": "x" * 176}, {"purpose": None}, {"environment": "Moon"}, {"name": "p"}]
)
def test_bad_projects_are_refused(cloud: Cloud, changes: dict[str, Any]) -> None:
    """Also a second one of the name."""
    call(cloud, "POST", "/v2/projects", PROJECT)
    assert call(cloud, "POST", "/v2/projects", {**PROJECT, "name": "q", **changes}).status == 422


def _resources(cloud: Cloud, project: str) -> list[str]:
    shown = call(cloud, "GET", f"/v2/projects/{project}/resources").body["resources"]
    return [resource["urn"] for resource in shown]
