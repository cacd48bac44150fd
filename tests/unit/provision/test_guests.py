"""Nothing is taken off anybody that stays: who is bound to a run is found and named before anything goes."""

from __future__ import annotations

from typing import Any

import pytest
from small_topology import PUBLIC_KEY, QUIET

from emulator.cloud.core import Cloud
from harness import provision
from harness.core.errors import ResourceError, UsageError
from harness.firewall.from_api import fetch as fetch_network
from harness.isolation.drift import drift
from harness.provision.account import Account, fetch
from harness.provision.guests import guests, merged
from harness.provision.owner import own
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

MACHINE = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
DATABASE = {"engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}


@pytest.fixture
def made(cloud: Cloud, target: Target, topology: Topology) -> Deployment:
    """A run that stands."""
    return provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)


def droplet(target: Target, name: str, **fields: Any) -> int:
    """One that somebody else makes."""
    with Api(target) as api:
        return int(api.client.droplets.create(body={"name": name, **MACHINE, **fields})["droplet"]["id"])


def seen(target: Target) -> list[str]:
    """Everybody who is bound to the run, in words."""
    return list(map(str, provision.inspect(target, "a").guests))


def firewalls(target: Target) -> set[str]:
    """The names of all firewalls."""
    with Api(target, read_only=True) as api:
        return {each["name"] for each in every(api.client.firewalls.list, "firewalls")}


def test_a_droplet_with_only_a_nodes_tag_is_named_with_all_it_is_bound_to(
    target: Target, topology: Topology, made: Deployment
) -> None:
    """Everybody that looks sees it: the plan to take down, ``observe``, and ``drift``."""
    intruder = droplet(target, "intruder", vpc_uuid=made.vpc_id, tags=["wavetank:a:web"])
    (found,) = seen(target)
    assert found.startswith(
        f"droplet intruder ({intruder}): is in vpc wavetank-a, carries tag wavetank:a:web"
    )
    assert "is covered by firewall wavetank-a--web" in found
    assert provision.observe(target, topology, "a").guests == (found,)
    with Api(target, read_only=True) as api:
        drifted = drift(topology, "a", target.operators, fetch_network(api, "a"))
    assert any(each.kind == "droplet" and each.name == "intruder" for each in drifted)


def test_refusing_names_each_and_says_what_to_do(target: Target, made: Deployment) -> None:
    """Exit code 4: nothing was changed."""
    one = droplet(target, "one", vpc_uuid=made.vpc_id)
    two = droplet(target, "two", tags=["wavetank:a:api"])
    with pytest.raises(UsageError, match=rf"(?s)one \({one}\).*two \({two}\).*remedy.*wavetank:a") as raised:
        provision.refuse("a", provision.inspect(target, "a").guests)
    assert raised.value.exit_code == 4


def test_taking_down_uncovers_nobody(target: Target, made: Deployment) -> None:
    """Whoever dies unattended: its own machines go; firewall, VPC and tags of a guest stay, and are told."""
    intruder = droplet(target, "intruder", vpc_uuid=made.vpc_id, tags=["wavetank:a:web"])
    with pytest.raises(ResourceError, match=rf"because of droplet intruder \({intruder}\)"):
        provision.destroy(target, "a", progress=QUIET)
    with Api(target, read_only=True) as api:
        left = every(api.client.droplets.list, "droplets")
    assert [(each["id"], each["tags"]) for each in left] == [(intruder, ["wavetank:a:web"])]
    assert "wavetank-a--web" in firewalls(target), "it still covers the intruder"
    assert "wavetank-a--api" not in firewalls(target), "that one covers nobody any more"
    assert any(each.startswith("vpc wavetank-a") for each in provision.leftovers(target, "a"))
    with Api(target) as api:
        api.client.droplets.destroy(intruder)
    provision.destroy(target, "a", progress=QUIET)
    assert provision.runs(target) == ()


def test_a_firewall_of_the_run_stays_on_whom_it_covers_by_id(target: Target, made: Deployment) -> None:
    """Somebody put another droplet under its protection."""
    mail = droplet(target, "mail")
    with Api(target) as api:
        (web,) = (
            each
            for each in every(api.client.firewalls.list, "firewalls")
            if each["name"] == "wavetank-a--web"
        )
        api.client.firewalls.assign_droplets(web["id"], body={"droplet_ids": [mail]})
    assert seen(target) == [f"droplet mail ({mail}): is covered by firewall wavetank-a--web"]
    with pytest.raises(ResourceError, match="because of droplet mail"):
        provision.destroy(target, "a", progress=QUIET)
    assert "wavetank-a--web" in firewalls(target)


def test_up_takes_no_firewall_off_anybody(target: Target, topology: Topology, made: Deployment) -> None:
    """It would be open to the internet from then on; who has a node's tag stays covered: that is repaired."""
    mail = droplet(target, "mail")
    droplet(target, "tagged", tags=["wavetank:a:web"])
    with Api(target) as api:
        found = every(api.client.firewalls.list, "firewalls")
        (web,) = (each for each in found if each["name"] == "wavetank-a--web")
        rule = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
        api.client.firewalls.add_rules(web["id"], body={"inbound_rules": [rule]})
        provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)
        api.client.firewalls.assign_droplets(web["id"], body={"droplet_ids": [mail]})
        with pytest.raises(UsageError, match=rf"droplet mail \({mail}\), which is covered by firewall"):
            provision.provision(target, topology, "a", public_key=PUBLIC_KEY, progress=QUIET)
        assert mail in api.client.firewalls.get(web["id"])["firewall"]["droplet_ids"]


def test_a_database_in_the_vpc_is_found(target: Target, made: Deployment) -> None:
    """It holds the VPC."""
    with Api(target) as api:
        body = {**DATABASE, "name": "books", "private_network_uuid": made.vpc_id}
        api.client.databases.create_cluster(body=body)
    (found,) = seen(target)
    assert found.startswith("database books (")
    assert found.endswith("is in vpc wavetank-a")


def test_a_database_that_trusts_nobody_else_would_be_open_to_all(target: Target, made: Deployment) -> None:
    """Without the tag its list would be empty, which is everybody; one with another rule stays shut."""
    with Api(target) as api:
        created = api.client.databases.create_cluster(body={**DATABASE, "name": "books"})["database"]
        trust = {"rules": [{"type": "tag", "value": "wavetank:a:web"}]}
        api.client.databases.update_firewall_rules(created["id"], body=trust)
        assert "trusts nobody but tag wavetank:a:web" in seen(target)[0]
        with pytest.raises(ResourceError, match="still there"):
            provision.destroy(target, "a", progress=QUIET)
        rules = api.client.databases.list_firewall_rules(created["id"])["rules"]
        assert [rule["value"] for rule in rules] == ["wavetank:a:web"]
        trust["rules"].append({"type": "ip_addr", "value": "192.0.2.1"})
        api.client.databases.update_firewall_rules(created["id"], body=trust)
    assert seen(target) == []
    provision.destroy(target, "a", progress=QUIET)


def test_a_load_balancer_is_found_among_the_members(
    target: Target, made: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of a VPC's members is the only one that has it."""
    import requests

    send = requests.Session.send
    member = {"urn": "do:loadbalancer:fb29", "name": "front", "created_at": "2026-01-01T00:00:00Z"}

    def with_balancer(session: requests.Session, request: Any, **options: Any) -> Any:
        response = send(session, request, **options)
        if "/members" in request.url:
            document = response.json()
            document["members"].append(member)
            response.json = lambda **_: document
            response._content = __import__("json").dumps(document).encode()
        return response

    monkeypatch.setattr(requests.Session, "send", with_balancer)
    assert seen(target) == ["load balancer front (fb29): is in vpc wavetank-a"]
    with pytest.raises(ResourceError, match="because of load balancer front"):
        provision.destroy(target, "a", progress=QUIET)


def test_volumes_and_images_with_a_tag_of_the_run_hold_it(target: Target, made: Deployment) -> None:
    """Only the tag's own count shows them."""
    with Api(target, read_only=True) as api:
        account = fetch(api)
    counted = {"volumes": {"count": 2, "last_tagged_uri": "https://api.digitalocean.com/v2/volumes/7d3b"}}
    tags = tuple(
        {**tag, "resources": counted} if tag["name"] == "wavetank:a" else tag for tag in account.tags
    )
    found = merged(guests(Account(tags, account.vpcs, droplets=account.droplets), own(account, "a")))
    assert [str(each) for each in found] == [
        "volume 7d3b (7d3b): carries tag wavetank:a, as 2 of its kind do"
    ]


def test_a_run_of_its_own_has_no_guests(target: Target, made: Deployment) -> None:
    """Others' droplets in other networks are none."""
    droplet(target, "mail", tags=["production", "wavetank:b:web"])
    assert seen(target) == []
    assert made.guests == ()
