"""What has a name like ours is not ours: only tags and marks are proof, and a half-made run has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from small_topology import OTHER_KEY, PUBLIC_KEY, QUIET, make_topology

from emulator.cloud.core import Cloud
from harness import provision
from harness.core.errors import ApiError, ResourceError, UsageError, WavetankError
from harness.core.names import key_mark, node_tag, run_tag, vpc_mark
from harness.provision import Deadlines
from harness.provision.account import Account
from harness.provision.observe import snapshot
from harness.provision.owner import own, runs_of
from harness.run.sweep import foreign, survey, sweep
from harness.target.api import Api, every
from harness.target.target import Target
from harness.topology.model import Topology

NOTHING = timedelta(0)
RULE = {"protocol": "tcp", "ports": "22", "sources": {"addresses": ["0.0.0.0/0"]}}
DATABASE = {"engine": "pg", "region": "fra1", "size": "db-s-1vcpu-1gb", "num_nodes": 1}


def up(target: Target, topology: Topology, run: str = "a", **options: Any) -> None:
    """Provision a run."""
    provision.provision(target, topology, run, public_key=PUBLIC_KEY, progress=QUIET, **options)


def make(api: Api, kind: str, name: str) -> None:
    """Something that somebody makes by hand."""
    client = api.client
    if kind == "vpc":
        client.vpcs.create(body={"name": name, "region": "fra1", "description": "do not touch"})
    elif kind == "ssh key":
        client.ssh_keys.create(body={"name": name, "public_key": OTHER_KEY})
    elif kind == "firewall":
        client.firewalls.create(body={"name": name, "inbound_rules": [RULE]})
    else:
        client.databases.create_cluster(body={**DATABASE, "name": name})


def names(target: Target) -> set[str]:
    """The names of everything that is no droplet and no tag."""
    with Api(target, read_only=True) as api:
        client = api.client
        found = every(client.vpcs.list, "vpcs") + every(client.firewalls.list, "firewalls")
        found += every(client.ssh_keys.list, "ssh_keys") + client.databases.list_clusters()["databases"]
        return {each["name"] for each in found}


def test_what_only_has_a_name_like_ours_survives_every_sweep(cloud: Cloud, target: Target) -> None:
    """However old; it is said, and what is ours goes all the same."""
    made = {
        "wavetank-precious": "vpc",
        "wavetank-office": "firewall",
        "wavetank-home--office": "firewall",
        "wavetank-laptop": "ssh key",
        "wavetank-accounts": "database",
    }
    with Api(target) as api:
        for name, kind in made.items():
            make(api, kind, name)
    up(target, make_topology())
    assert sweep(target, NOTHING, now=datetime.now(UTC) + timedelta(days=99)).runs == ["a"]
    assert set(made) <= names(target)
    assert {each.name for each in foreign(target)} == set(made)
    assert survey(target) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("vpc", "wavetank-a"),
        ("ssh key", "wavetank-a"),
        ("firewall", "wavetank-a--web"),
        ("firewall", "wavetank-a"),
        ("database", "wavetank-a--main"),
    ],
)
def test_up_adopts_nothing_that_it_did_not_make(
    cloud: Cloud, target: Target, topology: Topology, kind: str, name: str
) -> None:
    """It names it, says what to do, and makes nothing; a run with another name comes up beside it."""
    with Api(target) as api:
        make(api, kind, name)
    for attempt in (
        lambda: up(target, topology),
        lambda: provision.plan(target, topology, "a"),
    ):
        with pytest.raises(UsageError, match=rf"{kind} {name} .*rename or remove it, or .* --run") as raised:
            attempt()
        assert raised.value.exit_code == 4
    assert provision.leftovers(target, "a") == ()
    up(target, topology, "b")
    provision.destroy(target, "b", progress=QUIET)
    assert name in names(target)


def test_a_foreign_firewall_in_the_names_of_a_run_that_stands(
    cloud: Cloud, target: Target, topology: Topology
) -> None:
    """It covers somebody else: ``down`` leaves it on, and ``up`` does not take it for one of the run's."""
    up(target, topology)
    body = {"region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
    with Api(target) as api:
        droplet = api.client.droplets.create(body={"name": "mail", **body})["droplet"]
        office = {"name": "wavetank-a--office", "inbound_rules": [RULE], "droplet_ids": [droplet["id"]]}
        api.client.firewalls.create(body=office)
    with pytest.raises(UsageError, match="firewall wavetank-a--office"):
        up(target, topology)
    provision.destroy(target, "a", progress=QUIET)
    assert "wavetank-a--office" in names(target)


def test_a_firewall_that_covers_nobody_any_more_is_still_the_runs(
    cloud: Cloud, target: Target, topology: Topology
) -> None:
    """Its tags were taken off by hand; the run is there, so ``up`` repairs it."""
    up(target, topology)
    with Api(target) as api:
        web = next(each for each in snapshot(api, "a").firewalls if each["name"] == "wavetank-a--web")
        api.client.firewalls.delete_tags(web["id"], body={"tags": web["tags"]})
    up(target, topology)
    assert provision.plan(target, topology, "a").empty
    provision.destroy(target, "a", progress=QUIET)
    assert names(target) == {each for each in names(target) if not each.startswith("wavetank")}


def test_a_vpc_whose_description_was_changed_is_the_runs_while_its_machines_are_in_it(
    cloud: Cloud, target: Target, topology: Topology
) -> None:
    """Membership is proof as well."""
    up(target, topology)
    with Api(target) as api:
        vpc = snapshot(api, "a").vpc
        assert vpc is not None
        api.client.vpcs.patch(vpc["id"], body={"description": "my own words"})
    assert provision.plan(target, topology, "a").empty
    provision.destroy(target, "a", progress=QUIET)
    assert "wavetank-a" not in names(target)


class Killed(BaseException):
    """As kill -9: nothing is caught, nothing is cleaned up."""


@pytest.mark.parametrize("sent", range(1, 13))
def test_a_run_killed_after_any_request_is_found_and_goes(
    cloud: Cloud, target: Target, topology: Topology, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    """Whatever was made by then, in whatever order, is known as the run's, and nothing as foreign."""
    before = names(target)
    with monkeypatch.context() as patch:
        _die_after(sent, patch)
        with pytest.raises((Killed, WavetankError)):
            up(target, topology, keep=True)
    assert provision.runs(target) == ("a",)
    assert foreign(target) == []
    up_again = provision.plan(target, topology, "a")
    assert up_again.of("create")
    provision.destroy(target, "a", progress=QUIET, deadlines=Deadlines(removal=5))
    assert names(target) == before
    assert provision.runs(target) == ()


def _die_after(sent: int, patch: pytest.MonkeyPatch) -> None:
    import requests

    left, send = [sent], requests.Session.send

    def dying(session: requests.Session, request: Any, **options: Any) -> Any:
        if request.method != "GET":
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        return send(session, request, **options)

    patch.setattr(requests.Session, "send", dying)


def test_marks_of_earlier_versions_are_the_same() -> None:
    """Description, comment and tags are as they have been since the first version."""
    account = Account(
        tags=({"name": "wavetank:old"}, {"name": "wavetank:old:web"}),
        vpcs=({"id": "v", "name": "wavetank-old", "description": "Wavetank run old"},),
        keys=({"id": 1, "name": "wavetank-old", "public_key": "ssh-ed25519 AAAA wavetank-old"},),
        firewalls=({"id": "f", "name": "wavetank-old--web", "tags": ["wavetank:old:web"]},),
    )
    found = own(account, "old")
    assert [len(each) for each in (found.tags, found.vpcs, found.keys, found.firewalls)] == [2, 1, 1, 1]
    assert (vpc_mark("old"), key_mark("old")) == ("Wavetank run old", "wavetank-old")
    assert runs_of(account) == ("old",)


def test_lock_down_leaves_a_foreign_firewall_alone(cloud: Cloud, target: Target, topology: Topology) -> None:
    """Whatever its name."""
    with Api(target) as api:
        make(api, "firewall", "wavetank-x--bootstrap")
    assert not provision.lock_down(target, "x")
    assert "wavetank-x--bootstrap" in names(target)


def test_what_was_not_agreed_to_is_not_taken_down(cloud: Cloud, target: Target, topology: Topology) -> None:
    """Something of the run came after the list was shown: nothing goes, and it is named."""
    up(target, topology)
    agreed = provision.inspect(target, "a").items()
    body = {"name": "late", "region": "fra1", "size": "s-1vcpu-1gb", "image": "ubuntu-24-04-x64"}
    with Api(target) as api:
        api.client.droplets.create(body={**body, "tags": [run_tag("a"), node_tag("a", "late")]})
    before = provision.leftovers(target, "a")
    with pytest.raises(ResourceError, match="since the list was confirmed these were added: droplet late"):
        provision.destroy(target, "a", progress=QUIET, agreed=agreed)
    assert provision.leftovers(target, "a") == before


def test_api_errors_stay_api_errors(cloud: Cloud, target: Target) -> None:
    """A VPC that is gone has no members."""
    with Api(target) as api, pytest.raises(ApiError):
        api.client.vpcs.list_members("nowhere")
