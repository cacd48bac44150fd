"""Cloud Firewalls: what is accepted, what is shown, and when it is in force."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from rig import ANYWHERE, call, make_droplet, rule

from emulator.cloud import tags
from emulator.cloud.core import Cloud
from emulator.cloud.models import Firewall
from emulator.planes.base import NetworkPolicy
from emulator.planes.memory import MemoryPlane
from harness.core.wait import NotYet, wait_for


def create(cloud: Cloud, **body: Any) -> dict[str, Any]:
    """Make a firewall; returns it as shown."""
    response = call(cloud, "POST", "/v2/firewalls", {"name": "fw", "inbound_rules": [rule()], **body})
    assert response.status == 202, response.body
    shown: dict[str, Any] = response.body["firewall"]
    return shown


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"protocol": "tcp", "ports": "all"}, "0"),
        ({"protocol": "tcp", "ports": "0"}, "0"),
        ({"protocol": "udp", "ports": "8000-9000"}, "8000-9000"),
        ({"protocol": "tcp", "ports": "1-65535"}, "1-65535"),
        ({"protocol": "icmp"}, "0"),
        ({"protocol": "icmp", "ports": ""}, "0"),
        ({"protocol": "icmp", "ports": "0"}, "0"),
    ],
)
def test_ports_are_shown_as_digitalocean_shows_them(cloud: Cloud, sent: dict[str, Any], shown: str) -> None:
    """ "all" becomes "0", and ICMP has no ports."""
    firewall = create(cloud, inbound_rules=[{**sent, "sources": ANYWHERE}])
    assert firewall["inbound_rules"][0]["ports"] == shown


@pytest.mark.parametrize(
    "bad",
    [
        {"inbound_rules": [rule("70000")]},
        {"inbound_rules": [rule("9-8")]},
        {"inbound_rules": [rule("0-10")]},
        {"inbound_rules": [rule("http")]},
        {"inbound_rules": [rule("")]},
        {"inbound_rules": [rule(protocol="esp")]},
        {"inbound_rules": [rule(addresses=["300.1.1.1"])]},
        {"inbound_rules": [rule(addresses=[])]},
        {"inbound_rules": [rule(tags=["unknown"])]},
        {"inbound_rules": [rule(droplet_ids=[1])]},
        {"inbound_rules": [{"protocol": "tcp", "ports": "22"}]},
        {"inbound_rules": "all"},
        {"inbound_rules": ["all"]},
        {"inbound_rules": [], "outbound_rules": []},
        {"inbound_rules": [rule(str(port)) for port in range(1, 52)]},
        {"inbound_rules": [rule(addresses=[f"10.{n // 250}.{n % 250}.1" for n in range(1001)])]},
        {"tags": ["unknown"]},
        {"tags": [f"t{n}" for n in range(6)]},
        {"droplet_ids": [1]},
        {"name": "-bad"},
        {"name": "no spaces"},
        {"name": None},
    ],
    ids=lambda bad: str(bad)[:60],
)
def test_bad_firewalls_are_refused(cloud: Cloud, bad: dict[str, Any]) -> None:
    """With a message, and without a trace."""
    for number in range(6):
        tags.create(cloud, f"t{number}")
    response = call(cloud, "POST", "/v2/firewalls", {"name": "fw", "inbound_rules": [rule()], **bad})
    assert response.status == 422
    assert response.body["id"] == "unprocessable_entity"
    assert not cloud.store.all(Firewall)


def test_more_than_ten_droplets_are_refused(cloud: Cloud) -> None:
    """Ten are the limit of one firewall, whether at once or one by one."""
    ids = [make_droplet(cloud, f"d{number}").id for number in range(11)]
    firewall = create(cloud, droplet_ids=ids[:10])
    path = f"/v2/firewalls/{firewall['id']}/droplets"
    assert call(cloud, "POST", path, {"droplet_ids": ids[10:]}).status == 422
    assert call(cloud, "DELETE", path, {"droplet_ids": ids[:1]}).status == 204
    assert call(cloud, "POST", path, {"droplet_ids": ids[10:]}).status == 204


def test_names_are_unique(cloud: Cloud) -> None:
    """A second firewall of the name is a conflict."""
    create(cloud)
    response = call(cloud, "POST", "/v2/firewalls", {"name": "fw", "inbound_rules": [rule()]})
    assert (response.status, response.body["id"]) == (409, "conflict")


def test_a_droplet_with_a_covered_tag_is_covered_before_its_first_packet(slow_cloud: Cloud) -> None:
    """The policy that the plane is given with the droplet has it covered."""
    tags.create(slow_cloud, "web")
    create(slow_cloud, tags=["web"])
    given: list[NetworkPolicy] = []
    plane = slow_cloud.plane
    original = plane.create_droplet
    plane.create_droplet = lambda spec, policy: (given.append(policy), original(spec, policy))[1]  # type: ignore[method-assign]
    made = make_droplet(slow_cloud, tags=["web"])
    slow_cloud.advance()
    member = next(member for member in given[0].members if member.ref == made.ref)
    assert member.covered
    assert [gate.ports for gate in member.inbound] == [(22, 22)]


def test_a_tag_given_later_covers_at_once(cloud: Cloud, plane: MemoryPlane) -> None:
    """Firewalls follow tags, both ways, and rules that name the tag do too."""
    made, peer = make_droplet(cloud, "a"), make_droplet(cloud, "b")
    tags.create(cloud, "web")
    create(cloud, droplet_ids=[peer.id], tags=["web"], inbound_rules=[rule(tags=["web"])])
    assert not member_of(plane, made.ref).covered
    resources = {"resources": [{"resource_id": str(made.id), "resource_type": "droplet"}]}
    call(cloud, "POST", "/v2/tags/web/resources", resources)
    assert member_of(plane, made.ref).covered
    assert f"{made.private_ip}/32" in member_of(plane, peer.ref).inbound[0].peers
    call(cloud, "DELETE", "/v2/tags/web/resources", resources)
    assert not member_of(plane, made.ref).covered
    assert member_of(plane, peer.ref).inbound == ()


def test_deleting_a_tag_takes_it_from_firewalls(cloud: Cloud, plane: MemoryPlane) -> None:
    """The firewall stays, without it."""
    made = make_droplet(cloud, tags=["web"])
    firewall = create(cloud, tags=["web"], inbound_rules=[rule(tags=["web"], addresses=["10.0.0.0/8"])])
    call(cloud, "DELETE", "/v2/tags/web")
    shown = call(cloud, "GET", f"/v2/firewalls/{firewall['id']}").body["firewall"]
    assert shown["tags"] == []
    assert shown["inbound_rules"][0]["sources"] == {"addresses": ["10.0.0.0/8"]}
    assert not member_of(plane, made.ref).covered


def test_put_replaces_everything(cloud: Cloud) -> None:
    """What is not sent is gone."""
    made = make_droplet(cloud)
    firewall = create(cloud, droplet_ids=[made.id])
    body = {"name": "fw", "outbound_rules": [{"protocol": "tcp", "ports": "53", "destinations": ANYWHERE}]}
    shown = call(cloud, "PUT", f"/v2/firewalls/{firewall['id']}", body).body["firewall"]
    assert (shown["inbound_rules"], shown["droplet_ids"]) == ([], [])
    assert shown["created_at"] == firewall["created_at"]


def test_rules_come_and_go_one_by_one(cloud: Cloud) -> None:
    """A rule is removed by saying it again; one that is not there is a 404."""
    path = f"/v2/firewalls/{create(cloud)['id']}/rules"
    more = {"inbound_rules": [rule("80")], "outbound_rules": None}
    assert call(cloud, "POST", path, more).status == 204
    assert call(cloud, "POST", path, more).status == 204
    shown = call(cloud, "GET", path.removesuffix("/rules")).body["firewall"]
    assert [item["ports"] for item in shown["inbound_rules"]] == ["22", "80"]
    assert call(cloud, "DELETE", path, more).status == 204
    assert call(cloud, "DELETE", path, more).status == 404


def test_status_waits_until_the_plane_has_applied_it(busy_cloud: Cloud, plane: MemoryPlane) -> None:
    """waiting with the droplets concerned, then succeeded with none."""
    made = make_droplet(busy_cloud)
    await_idle(busy_cloud)
    gate = threading.Event()
    original = plane.apply
    plane.apply = lambda policy: (gate.wait(10), original(policy))[1]  # type: ignore[method-assign]
    firewall = create(busy_cloud, droplet_ids=[made.id])
    path = f"/v2/firewalls/{firewall['id']}"
    shown = call(busy_cloud, "GET", path).body["firewall"]
    assert shown["status"] == "waiting"
    assert shown["pending_changes"] == [{"droplet_id": made.id, "removing": False, "status": "waiting"}]
    gate.set()
    assert await_status(busy_cloud, path, "succeeded")["pending_changes"] == []


def test_status_says_when_a_rule_cannot_be_enforced(cloud: Cloud, plane: MemoryPlane) -> None:
    """failed, until the plane can do it again."""
    made = make_droplet(cloud)
    plane.faults["apply"] = "no nft here"
    path = f"/v2/firewalls/{create(cloud, droplet_ids=[made.id])['id']}"
    assert call(cloud, "GET", path).body["firewall"]["status"] == "failed"
    plane.faults.clear()
    tags.create(cloud, "t")
    call(cloud, "POST", f"{path}/tags", {"tags": ["t"]})
    assert call(cloud, "GET", path).body["firewall"]["status"] == "succeeded"


def test_an_applier_that_failed_tries_again(busy_cloud: Cloud, plane: MemoryPlane) -> None:
    """A fault that passes leaves nothing unenforced."""
    made = make_droplet(busy_cloud)
    plane.faults["apply"] = "not now"
    path = f"/v2/firewalls/{create(busy_cloud, droplet_ids=[made.id])['id']}"
    await_status(busy_cloud, path, "failed")
    plane.faults.clear()
    await_status(busy_cloud, path, "succeeded")
    assert member_of(plane, made.ref).covered


def test_firewalls_of_a_droplet(cloud: Cloud) -> None:
    """Those that name it and those that name its tag."""
    made = make_droplet(cloud, tags=["web"])
    create(cloud, name="by-id", droplet_ids=[made.id])
    create(cloud, name="by-tag", tags=["web"])
    create(cloud, name="other")
    shown = call(cloud, "GET", f"/v2/droplets/{made.id}/firewalls").body["firewalls"]
    assert [firewall["name"] for firewall in shown] == ["by-id", "by-tag"]


def member_of(plane: MemoryPlane, ref: str) -> Any:
    """What the plane enforces for a machine."""
    return next(member for member in plane.policy.members if member.ref == ref)


def await_idle(cloud: Cloud) -> None:
    """Wait until no work is under way."""

    def probe() -> None:
        if cloud.jobs.busy():
            raise NotYet("work is under way")

    wait_for("the cloud to be idle", probe, deadline=10)


def await_status(cloud: Cloud, path: str, status: str) -> dict[str, Any]:
    """Wait until a firewall has a status; returns it."""

    def probe() -> dict[str, Any]:
        shown: dict[str, Any] = call(cloud, "GET", path).body["firewall"]
        if shown["status"] != status:
            raise NotYet(str(shown))
        return shown

    return wait_for(f"the firewall to be {status}", probe, deadline=10)
