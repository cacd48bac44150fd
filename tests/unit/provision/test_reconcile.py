"""A run is made once, repaired where it differs, and nothing else is ever touched."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from small_topology import OTHER_KEY, PUBLIC_KEY, QUIET, droplet, make_topology

from emulator.cloud.core import Cloud
from harness import provision
from harness.core.errors import ApiError, ResourceError, UsageError, WaitTimeoutError
from harness.provision import Deadlines
from harness.provision.observe import snapshot
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

pytestmark = pytest.mark.usefixtures("cloud")


def up(target: Target, topology: Topology, run: str = "a", **options: Any) -> Deployment:
    """Provision a run."""
    return provision.provision(
        target, topology, run, **{"public_key": PUBLIC_KEY, "progress": QUIET, **options}
    )


def changes(target: Target, topology: Topology, run: str = "a") -> dict[tuple[str, str, str], str]:
    """What the plan would change, with its reasons."""
    plan = provision.plan(target, topology, run)
    return {
        (each.action, each.kind, each.name): each.reason for each in plan.changes if each.action != "keep"
    }


@pytest.fixture
def calls(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that is sent, as "METHOD path"."""
    import requests

    seen: list[str] = []
    send = requests.Session.send

    def spy(session: requests.Session, request: Any, **options: Any) -> Any:
        seen.append(f"{request.method} {request.path_url}")
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", spy)
    return seen


def changing(calls: list[str]) -> list[str]:
    """Those that change something."""
    return [call for call in calls if not call.startswith("GET ")]


def test_everything_is_made_and_runs(target: Target, topology: Topology) -> None:
    """Droplets with addresses, databases with credentials and a CA."""
    made = up(target, topology)
    assert {name: node.status for name, node in made.nodes.items()} == {"web": "active", "api": "active"}
    assert made.nodes["web"].public_ip
    main = made.databases["main"]
    assert (main.status, main.private.port) == ("online", 25060)
    assert main.private.host.startswith("private-")
    assert main.ca_pem.startswith("-----BEGIN CERTIFICATE-----")


def test_a_second_time_changes_nothing(target: Target, topology: Topology, calls: list[str]) -> None:
    """Not one request but reads, and the same deployment."""
    first = up(target, topology)
    calls.clear()
    assert up(target, topology) == first
    assert changing(calls) == []
    assert calls


def test_droplets_are_asked_for_last(target: Target, topology: Topology, calls: list[str]) -> None:
    """Tags, then network and key, then firewalls and databases: no droplet is ever uncovered."""
    up(target, topology)
    kinds = [call.split("/v2/")[1] for call in changing(calls)]
    order = ["tags", "vpcs", "account/keys", "firewalls", "databases", "droplets"]
    stage = {"tags": 0, "vpcs": 1, "account/keys": 1, "firewalls": 2, "databases": 2, "droplets": 3}
    assert set(kinds) == set(order)
    assert [stage[kind] for kind in kinds] == sorted(stage[kind] for kind in kinds)


def test_a_plan_says_everything_and_changes_nothing(
    target: Target, topology: Topology, calls: list[str]
) -> None:
    """What --dry-run shows."""
    planned = changes(target, topology)
    assert planned["create", "droplet", "web"] == "is not there"
    assert ("create", "firewall", "wavetank-a--bootstrap") in planned
    assert changing(calls) == []


def test_a_read_only_client_refuses_to_change_anything(target: Target, calls: list[str]) -> None:
    """Before the request is sent."""
    with Api(target, read_only=True) as api, pytest.raises(ApiError, match="read-only"):
        api.client.tags.create(body={"name": "x"})
    assert calls == []


def test_drift_of_rules_is_mended_by_an_update(target: Target, topology: Topology) -> None:
    """Somebody opened a port by hand."""
    up(target, topology)
    with Api(target) as api:
        firewall = next(each for each in snapshot(api, "a").firewalls if each["name"] == "wavetank-a--web")
        rule = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
        api.client.firewalls.add_rules(firewall["id"], body={"inbound_rules": [rule]})
    planned = changes(target, topology)
    assert planned == {("update", "firewall", "wavetank-a--web"): "differs from the topology: inbound rules"}
    up(target, topology)
    assert changes(target, topology) == {}


def test_drift_of_trusted_sources_is_mended(target: Target, topology: Topology) -> None:
    """An empty list opens the database to everybody."""
    database = up(target, topology).databases["main"]
    with Api(target) as api:
        api.client.databases.update_firewall_rules(database.id, body={"rules": []})
    assert list(changes(target, topology)) == [("update", "trusted_sources", "main")]
    up(target, topology)
    assert changes(target, topology) == {}


def test_a_droplet_that_is_off_is_powered_on(target: Target, topology: Topology) -> None:
    """It keeps its id and its disk."""
    before = up(target, topology).nodes["api"]
    with Api(target) as api:
        api.client.droplet_actions.post(before.id, body={"type": "power_off"})
    assert changes(target, topology) == {("update", "droplet", "api"): "is powered off"}
    assert up(target, topology).nodes["api"] == before


def test_a_missing_droplet_is_made_again_with_a_first_boot_of_its_own(
    target: Target, topology: Topology
) -> None:
    """The other one stays locked down."""
    first = up(target, topology)
    provision.lock_down(target, "a")
    with Api(target) as api:
        api.client.droplets.destroy(first.nodes["api"].id)
    second = up(target, topology)
    assert second.nodes["web"] == first.nodes["web"]
    assert second.nodes["api"].id != first.nodes["api"].id
    with Api(target) as api:
        bootstrap = next(
            each for each in snapshot(api, "a").firewalls if each["name"].endswith("--bootstrap")
        )
    assert bootstrap["tags"] == ["wavetank:a:api"]


def test_a_droplet_that_the_topology_lost_goes(target: Target, topology: Topology) -> None:
    """With its tag and its firewall."""
    up(target, topology)
    smaller = make_topology(
        droplets={"web": droplet("web")},
        databases={"main": replace(topology.databases["main"], trusted_sources=("web",))},
        firewalls=(),
    )
    planned = changes(target, smaller)
    assert planned["delete", "droplet", "api"] == "is not in the topology"
    assert ("delete", "tag", "wavetank:a:api") in planned
    up(target, smaller)
    assert list(provision.observe(target, smaller, "a").nodes) == ["web"]
    assert changes(target, smaller) == {}


def test_a_second_droplet_for_one_node_goes_and_the_older_stays(target: Target, topology: Topology) -> None:
    """As after a request whose answer was lost."""
    first = up(target, topology)
    body = {"name": "web", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
    with Api(target) as api:
        api.client.droplets.create(body={**body, "tags": ["wavetank:a", "wavetank:a:web"]})
    assert changes(target, topology) == {("delete", "droplet", "web"): "is a second web"}
    assert up(target, topology) == first


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"droplets": {"web": droplet("web", size="s-2vcpu-4gb"), "api": droplet("api")}},
            "size is 's-1vcpu-1gb'",
        ),
        ({"droplets": {"web": droplet("web", image="debian-12-x64"), "api": droplet("api")}}, "image is"),
        ({"region": "ams3"}, "region is 'fra1'"),
        ({"ip_range": "10.99.0.0/20"}, "ip_range is"),
        ({"databases": {}}, "may hold data"),
    ],
)
def test_what_would_lose_data_is_refused(target: Target, changed: dict[str, Any], words: str) -> None:
    """The error says what differs; nothing is changed."""
    before = up(target, make_topology())
    with pytest.raises(UsageError, match=words):
        up(target, make_topology(**changed))
    assert provision.observe(target, make_topology(), "a") == before


def test_a_run_made_elsewhere_is_refused(target: Target, topology: Topology) -> None:
    """Its droplets take another key, so nobody here could log in."""
    up(target, topology)
    with pytest.raises(UsageError, match="another key"):
        up(target, topology, public_key=OTHER_KEY)


def test_a_key_that_no_droplet_has_is_replaced(target: Target, topology: Topology) -> None:
    """It is left from a run that never got that far."""
    ours = OTHER_KEY.replace("somebody", "wavetank-a")
    with Api(target) as api:
        api.client.ssh_keys.create(body={"name": "wavetank-a", "public_key": ours})
    up(target, topology)
    with Api(target) as api:
        key = snapshot(api, "a").key
    assert key is not None
    assert key["public_key"].split()[1] == PUBLIC_KEY.split()[1]


def test_locking_down_removes_the_bootstrap_firewall_once(target: Target, topology: Topology) -> None:
    """And a finished deployment gets no new one."""
    up(target, topology)
    assert provision.lock_down(target, "a")
    assert not provision.lock_down(target, "a")
    assert changes(target, topology) == {}


def test_taking_a_run_down_leaves_nothing_of_it(target: Target, topology: Topology) -> None:
    """Not a tag."""
    up(target, topology)
    assert provision.leftovers(target, "a")
    provision.destroy(target, "a", progress=QUIET)
    assert provision.leftovers(target, "a") == ()
    assert provision.runs(target) == ()


def test_what_cannot_be_taken_away_is_named_with_the_reason(target: Target, topology: Topology) -> None:
    """Somebody else's droplet lives in the run's VPC: it stays, and so does the VPC; nobody waits for it."""
    vpc_id = up(target, topology).vpc_id
    body = {"name": "x", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
    with Api(target) as api:
        api.client.droplets.create(body={**body, "vpc_uuid": vpc_id})
    with pytest.raises(ResourceError, match=r"vpc wavetank-a .*\n  because of droplet x \(\d+\): is in vpc"):
        provision.destroy(target, "a", progress=QUIET)
    assert [each.split()[0] for each in provision.leftovers(target, "a")] == ["vpc", "tag", "tag", "tag"]


def test_a_vpc_that_would_not_go_is_told_with_its_members(
    target: Target, topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that no look had shown are named all the same."""
    vpc_id = up(target, topology).vpc_id
    body = {"name": "x", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
    with Api(target) as api:
        api.client.droplets.create(body={**body, "vpc_uuid": vpc_id})
    monkeypatch.setattr(import_module("harness.provision.observe"), "guests", lambda *_: ())
    with pytest.raises(WaitTimeoutError, match=r"vpc wavetank-a.*with members.*: x \(do:droplet:\d+\)"):
        provision.destroy(target, "a", progress=QUIET, deadlines=Deadlines(removal=0.1))


def test_a_vpc_that_became_its_regions_default_is_told_at_once(target: Target, topology: Topology) -> None:
    """As the first of a region does: no deadline would change that it cannot be deleted."""
    vpc_id = up(target, topology).vpc_id
    with Api(target) as api:
        api.client.vpcs.patch(vpc_id, body={"default": True})
    with pytest.raises(ResourceError, match="vpc 'wavetank-a': is the default of its region"):
        provision.destroy(target, "a", progress=QUIET)


def test_down_does_not_believe_that_it_worked(
    target: Target, topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks again, and what is left is an error."""
    step = import_module("harness.provision.destroy")  # the package has a function of that name
    up(target, topology)
    monkeypatch.setattr(step, "remove_machines", lambda *_: None)
    monkeypatch.setattr(step, "remove_rest", lambda *_: None)
    with pytest.raises(ResourceError, match=r"still there: .*\bdroplet web\b"):
        provision.destroy(target, "a", progress=QUIET)


def test_taking_down_what_is_not_there_changes_nothing(target: Target, calls: list[str]) -> None:
    """A second down is no error."""
    provision.destroy(target, "a", progress=QUIET)
    assert changing(calls) == []


def everything(target: Target) -> dict[str, list[str]]:
    """All that is in the account, by kind."""
    with Api(target) as api:
        client = api.client
        return {
            "droplets": sorted(str(each["id"]) for each in every(client.droplets.list, "droplets")),
            "firewalls": sorted(each["id"] for each in every(client.firewalls.list, "firewalls")),
            "vpcs": sorted(each["id"] for each in every(client.vpcs.list, "vpcs")),
            "keys": sorted(str(each["id"]) for each in every(client.ssh_keys.list, "ssh_keys")),
            "tags": sorted(each["name"] for each in every(client.tags.list, "tags")),
            "databases": sorted(each["id"] for each in client.databases.list_clusters()["databases"] or ()),
        }


def make_foreign(target: Target) -> None:
    """What somebody else has in the account, with names that come close to ours."""
    with Api(target) as api:
        client = api.client
        for tag in ("wavetank", "wavetank:ab", "wavetank:ab:web", "a", "production"):
            client.tags.create(body={"name": tag})
        client.vpcs.create(body={"name": "wavetank-ab", "region": "fra1"})
        client.vpcs.create(body={"name": "wavetank", "region": "fra1"})
        client.ssh_keys.create(body={"name": "laptop", "public_key": OTHER_KEY})
        droplet_body = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
        for name, tags in (("web", ["production"]), ("web", ["wavetank:ab"]), ("wavetank-a", [])):
            client.droplets.create(body={"name": name, "tags": tags, **droplet_body})
        rule = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
        for name in ("web", "wavetank-ab--web"):
            client.firewalls.create(body={"name": name, "inbound_rules": [rule]})
        client.databases.create_cluster(
            body={"name": "main", "engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}
        )


def test_what_is_not_of_the_run_is_never_touched(target: Target, topology: Topology) -> None:
    """Up, up again and down, in an account with others' things and with close names."""
    make_foreign(target)
    before = everything(target)
    up(target, topology)
    up(target, topology)
    assert everything(target) != before
    provision.destroy(target, "a", progress=QUIET)
    assert everything(target) == before


def test_runs_are_found_by_tag_and_by_mark(target: Target, topology: Topology) -> None:
    """Whoever made them, and however little is left."""
    up(target, topology)
    marked = {"name": "wavetank-only-a-vpc", "description": "Wavetank run only-a-vpc"}
    with Api(target) as api:
        api.client.vpcs.create(body={**marked, "region": "fra1"})
    assert provision.runs(target) == ("a", "only-a-vpc")


def test_lists_longer_than_a_page_are_read_to_the_end(target: Target) -> None:
    """The account's other things push ours to a later page."""
    with Api(target) as api:
        for number in range(205):
            api.client.tags.create(body={"name": f"t{number:03}"})
        api.client.tags.create(body={"name": "wavetank:z"})
        assert len(every(api.client.tags.list, "tags")) == 206
    assert provision.runs(target) == ("z",)
