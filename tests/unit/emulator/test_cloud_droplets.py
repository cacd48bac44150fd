"""The life of a droplet."""

from __future__ import annotations

from typing import Any

import pytest
from rig import call, make_droplet

from emulator.cloud import actions, droplets, keys, vpcs
from emulator.cloud.core import Cloud
from emulator.cloud.models import Action, Droplet
from emulator.planes.memory import MemoryPlane

BODY = {"name": "web", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6gkR3y2yhP7YQWGCVZzx6Q0MfSUBbm8Uq2a3nXe7b2 me"


def only_action(cloud: Cloud) -> Action:
    """The newest action."""
    return actions.newest_first(cloud)[0]


def test_a_droplet_is_new_until_it_has_booted(slow_cloud: Cloud) -> None:
    """Status, lock and action change together, once the plane is done."""
    made = make_droplet(slow_cloud)
    before = droplets.get(slow_cloud, made.id)
    assert (before.status, before.locked, only_action(slow_cloud).status) == ("new", True, "in-progress")
    assert not only_action(slow_cloud).completed_at
    slow_cloud.advance()
    after = droplets.get(slow_cloud, made.id)
    assert (after.status, after.locked, only_action(slow_cloud).status) == ("active", False, "completed")
    assert only_action(slow_cloud).completed_at


def test_the_first_look_shows_region_size_and_networks(slow_cloud: Cloud) -> None:
    """A client that reads the answer of the creation finds the addresses in it."""
    shown = call(slow_cloud, "POST", "/v2/droplets", BODY).body["droplet"]
    assert shown["status"] == "new"
    assert shown["region"]["slug"] == "fra1"
    assert shown["size"]["slug"] == shown["size_slug"] == "s-1vcpu-1gb"
    kinds = {network["type"]: network for network in shown["networks"]["v4"]}
    assert kinds["public"]["ip_address"].startswith("203.0.113.")
    assert kinds["public"]["netmask"] == "255.255.255.0"
    assert kinds["private"]["netmask"] == "255.255.240.0"


def test_a_droplet_that_does_not_boot_says_why(cloud: Cloud, plane: MemoryPlane) -> None:
    """Its action is errored; the droplet is off, and can be tried again."""
    plane.faults["droplet:web"] = "no kernel found"
    made = make_droplet(cloud)
    assert only_action(cloud).status == "errored"
    failed = droplets.get(cloud, made.id)
    assert (failed.status, failed.locked) == ("off", False)
    told = call(cloud, "GET", f"/_wavetank/console/droplet/{made.id}").body
    assert told["error"] == "no kernel found"
    assert "no kernel found" in told["console"]
    plane.faults.clear()
    assert call(cloud, "POST", f"/v2/droplets/{made.id}/actions", {"type": "power_on"}).status == 201
    assert droplets.get(cloud, made.id).status == "active"


def test_connections_of_a_droplet_can_be_forgotten(cloud: Cloud) -> None:
    """Under the emulator's own path; of one that is none they cannot."""
    made = make_droplet(cloud)
    assert call(cloud, "DELETE", f"/_wavetank/connections/droplet/{made.id}").status == 204
    assert call(cloud, "DELETE", "/_wavetank/connections/droplet/999").status == 404


def test_a_destroyed_droplet_is_gone_at_once_and_its_address_later(slow_cloud: Cloud) -> None:
    """Clients see a 404 at once; the address and the VPC's membership last until the machine is gone."""
    made = make_droplet(slow_cloud)
    slow_cloud.advance()
    assert call(slow_cloud, "DELETE", f"/v2/droplets/{made.id}").status == 204
    assert call(slow_cloud, "GET", f"/v2/droplets/{made.id}").status == 404
    assert call(slow_cloud, "DELETE", f"/v2/droplets/{made.id}").status == 404
    assert make_droplet(slow_cloud, "next").private_ip != made.private_ip
    slow_cloud.advance()
    assert slow_cloud.store.get(Droplet, made.id) is None
    assert make_droplet(slow_cloud, "after").private_ip == made.private_ip


def test_destroying_a_droplet_that_boots_ends_its_boot(busy_cloud: Cloud, plane: MemoryPlane) -> None:
    """A droplet that never comes up can be removed all the same."""
    from harness.core.wait import NotYet, wait_for

    plane.faults["droplet:web"] = "hangs"
    made = make_droplet(busy_cloud)
    droplets.delete(busy_cloud, made.id)

    def probe() -> None:
        if busy_cloud.store.get(Droplet, made.id) is not None:
            raise NotYet("the record is there")

    wait_for("the droplet to be gone", probe, deadline=10)
    assert not plane.existing().machines
    assert actions.newest_first(busy_cloud)[0].status == "errored"


def test_a_removal_that_fails_is_tried_again(cloud: Cloud, plane: MemoryPlane) -> None:
    """The record stays until the machine is really gone."""
    made = make_droplet(cloud)
    plane.faults["destroy"] = "device busy"
    droplets.delete(cloud, made.id)
    left = cloud.store.get(Droplet, made.id)
    assert left is not None
    assert "device busy" in left.error
    assert f"droplet:{made.id}" in plane.existing().machines
    plane.faults.clear()
    cloud.jobs.resume()
    assert cloud.store.get(Droplet, made.id) is None
    assert not plane.existing().machines


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "huge"}, "You specified an invalid size for Droplet creation."),
        ({"image": "dos"}, "You specified an invalid image for Droplet creation."),
        ({"region": "mars1"}, "You specified an invalid region for Droplet creation."),
        ({"region": "ny"}, "You specified an invalid region for Droplet creation."),
        ({"vpc_uuid": "nope", "region": None}, "Failed to resolve VPC"),
        ({"region": "sfo1"}, "You specified an invalid region for Droplet creation."),
        ({"name": "no_underscores"}, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"),
        ({"name": "-"}, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"),
        ({"name": "x" * 256}, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)"),
        ({"name": None}, "name is required"),
        ({"name": 5}, "name must be a string"),
        ({"ssh_keys": [1, "aa:bb"]}, "1, aa:bb are invalid key identifiers for Droplet creation."),
        ({"user_data": "x" * 65537}, "User data must be less than 64KB in size"),
        ({"vpc_uuid": "nope"}, "Failed to resolve VPC"),
        (
            {"tags": ["a b"]},
            "Tag name is invalid: letters, numbers, colons, dashes and underscores, at most 255",
        ),
        ({"tags": "web"}, "tags must be an array"),
        ({"names": []}, "Name is required"),
        ({"names": [f"a{n}" for n in range(11)]}, "You can only create 10 droplets at a time"),
        ({"public_networking": "no"}, "public_networking must be a boolean"),
    ],
)
def test_bad_wishes_are_refused(cloud: Cloud, changes: dict[str, Any], message: str) -> None:
    """A refusal says what is wrong and leaves nothing behind."""
    response = call(cloud, "POST", "/v2/droplets", {**BODY, **changes})
    assert (response.status, response.body["message"]) == (422, message)
    assert not cloud.store.all(Droplet)
    assert call(cloud, "GET", "/v2/tags").body["tags"] == []


def test_a_wish_refused_late_takes_its_tags_back(cloud: Cloud) -> None:
    """Tags made for a droplet that cannot be are not left behind."""
    body = {**BODY, "tags": ["fine", "not fine"]}
    assert call(cloud, "POST", "/v2/droplets", body).status == 422
    assert call(cloud, "GET", "/v2/tags").body["tags"] == []


@pytest.mark.parametrize("feature", [{"backups": True}, {"ipv6": True}, {"volumes": ["v"]}])
def test_what_is_not_implemented_is_never_pretended(cloud: Cloud, feature: dict[str, Any]) -> None:
    """A droplet without what was asked for would be a lie."""
    response = call(cloud, "POST", "/v2/droplets", {**BODY, **feature})
    assert (response.status, response.body["id"]) == (501, "not_implemented")
    assert not cloud.store.all(Droplet)


def test_keys_are_given_by_id_or_fingerprint(cloud: Cloud) -> None:
    """Either names the same key."""
    key = keys.create(cloud, name="me", public_key=f"{KEY}\n")
    made = make_droplet(cloud, ssh_keys=[str(key.id), key.fingerprint])
    assert made.ssh_keys == (KEY,)


def test_a_private_droplet_has_no_public_address(cloud: Cloud) -> None:
    """public_networking false: one network only."""
    shown = call(cloud, "POST", "/v2/droplets", {**BODY, "public_networking": False}).body["droplet"]
    assert [network["type"] for network in shown["networks"]["v4"]] == ["private"]


def test_the_limit_of_the_account_holds(cloud: Cloud) -> None:
    """One droplet more than allowed is refused."""
    for number in range(cloud.limits.droplets // 10):
        names = [f"d{number}-{index}" for index in range(10)]
        assert call(cloud, "POST", "/v2/droplets", {**BODY, "name": None, "names": names}).status == 202
    response = call(cloud, "POST", "/v2/droplets", BODY)
    assert (response.status, "droplet limit" in response.body["message"]) == (422, True)


def test_droplets_are_listed_by_tag_and_name(cloud: Cloud) -> None:
    """Filters are exact, but for capitals."""
    make_droplet(cloud, "web", tags=["a:1"])
    make_droplet(cloud, "db", tags=["a:2"])
    for query, expected in (
        ("tag_name=A:1", ["web"]),
        ("name=DB", ["db"]),
        ("name=d", []),
        ("", ["web", "db"]),
    ):
        listed = call(cloud, "GET", f"/v2/droplets?{query}").body["droplets"]
        assert [droplet["name"] for droplet in listed] == expected


def test_one_action_at_a_time(slow_cloud: Cloud) -> None:
    """While one is in progress the next is refused."""
    made = make_droplet(slow_cloud)
    path = f"/v2/droplets/{made.id}/actions"
    response = call(slow_cloud, "POST", path, {"type": "reboot"})
    assert (response.status, response.body["message"]) == (422, "Droplet already has a pending event.")
    slow_cloud.advance()
    assert call(slow_cloud, "POST", path, {"type": "reboot"}).status == 201


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ({"type": "power_on"}, 422),
        ({"type": "resize", "size": "s-1vcpu-2gb"}, 422),
        ({"type": "rename", "name": "a_b"}, 422),
        ({"type": "rebuild", "image": "dos"}, 422),
        ({"type": "dance"}, 422),
        ({}, 422),
        ({"type": "snapshot", "name": "s"}, 501),
        ({"type": "enable_ipv6"}, 501),
    ],
)
def test_actions_that_cannot_be_are_refused(cloud: Cloud, action: dict[str, Any], status: int) -> None:
    """A running droplet is left as it is."""
    made = make_droplet(cloud)
    assert call(cloud, "POST", f"/v2/droplets/{made.id}/actions", action).status == status
    assert len(actions.newest_first(cloud, made.id)) == 1
    assert not droplets.get(cloud, made.id).locked


def test_power_follows_the_actions(cloud: Cloud, plane: MemoryPlane) -> None:
    """Status and machine agree after each."""
    made = make_droplet(cloud)
    for action, status, machine in (
        ("power_off", "off", "stopped"),
        ("power_on", "active", "running"),
        ("shutdown", "off", "stopped"),
        ("power_cycle", "active", "running"),
        ("reboot", "active", "running"),
    ):
        assert call(cloud, "POST", f"/v2/droplets/{made.id}/actions", {"type": action}).status == 201
        assert droplets.get(cloud, made.id).status == status
        assert plane.existing().machines[made.ref] == machine


def test_resize_and_rename_change_what_is_shown(cloud: Cloud) -> None:
    """A disk only grows if it is asked to."""
    made = make_droplet(cloud)
    path = f"/v2/droplets/{made.id}/actions"
    call(cloud, "POST", path, {"type": "power_off"})
    call(cloud, "POST", path, {"type": "resize", "size": "s-2vcpu-4gb"})
    call(cloud, "POST", path, {"type": "rename", "name": "other"})
    shown = call(cloud, "GET", f"/v2/droplets/{made.id}").body["droplet"]
    assert (shown["name"], shown["memory"], shown["disk"]) == ("other", 4096, 25)


def test_actions_by_tag_reach_every_droplet_of_it(cloud: Cloud) -> None:
    """Those without the tag are left alone."""
    for name, tag in (("a", "x"), ("b", "x"), ("c", "y")):
        make_droplet(cloud, name, tags=[tag])
    made = call(cloud, "POST", "/v2/droplets/actions?tag_name=x", {"type": "power_off"})
    assert (made.status, len(made.body["actions"])) == (201, 2)
    assert [droplet.status for droplet in droplets.listed(cloud)] == ["off", "off", "active"]
    assert (
        call(cloud, "POST", "/v2/droplets/actions?tag_name=x", {"type": "rename", "name": "n"}).status == 400
    )


def test_droplets_are_destroyed_by_tag(cloud: Cloud) -> None:
    """Only those that carry it; a tag nobody made is a 404, no tag at all a 400."""
    make_droplet(cloud, "a", tags=["x"])
    make_droplet(cloud, "b", tags=["y"])
    assert call(cloud, "DELETE", "/v2/droplets?tag_name=x").status == 204
    assert [droplet.name for droplet in droplets.listed(cloud)] == ["b"]
    assert call(cloud, "DELETE", "/v2/droplets?tag_name=nope").status == 404
    assert call(cloud, "DELETE", "/v2/droplets").status == 400


@pytest.mark.parametrize(
    ("region", "vpc", "chosen"),
    [
        (None, None, "nyc1"),
        ("", None, "nyc1"),
        ("sfo", None, "sfo2"),
        (None, "ams3", "ams3"),
        ("nyc", "nyc3", "nyc3"),
    ],
)
def test_a_region_that_is_left_open_is_chosen(
    cloud: Cloud, region: str | None, vpc: str | None, chosen: str
) -> None:
    """Any that is available, of the place that a prefix names; the VPC's where that fits."""
    vpcs = call(cloud, "GET", "/v2/vpcs?per_page=200").body["vpcs"]
    home = next((each["id"] for each in vpcs if each["region"] == vpc), None)
    body = {**BODY, "region": region, "vpc_uuid": home}
    made = call(cloud, "POST", "/v2/droplets", body)
    assert made.status == 202, made.body
    shown = made.body["droplet"]
    assert shown["region"]["slug"] == chosen
    assert shown["vpc_uuid"] == (home or next(each["id"] for each in vpcs if each["region"] == chosen))


def test_a_droplet_that_is_gone_is_missed_in_digitaloceans_words(cloud: Cloud) -> None:
    """Other words than for other resources; clients look for them."""
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/actions"), ("GET", "/firewalls")):
        answer = call(cloud, method, f"/v2/droplets/1{path}")
        assert (answer.status, answer.body["message"]) == (
            404,
            "The resource you were accessing could not be found.",
        )
    assert (
        call(cloud, "GET", "/v2/vpcs/1").body["message"] == "The resource you requested could not be found."
    )


def test_a_droplet_goes_to_a_vpc_of_its_region(cloud: Cloud) -> None:
    """A VPC of another region is refused; without one it is the region's default."""
    assert make_droplet(cloud).vpc_id == vpcs.default(cloud, "fra1").id
    elsewhere = vpcs.default(cloud, "nyc1").id
    assert call(cloud, "POST", "/v2/droplets", {**BODY, "vpc_uuid": elsewhere}).status == 422
