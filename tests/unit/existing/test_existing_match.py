"""What stands for what: by name, by tag, in one VPC; and clear words where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hand_made import TAG, HandMade

from harness.core.errors import UsageError
from harness.core.names import RUN_PATTERN
from harness.existing import place as places
from harness.existing.match import Match, match, require
from harness.existing.place import existing_dir, label
from harness.existing.view import Found
from harness.run.settings import Settings, choose_existing
from harness.topology.model import Topology


def droplet(number: int, name: str, *tags: str, vpc: str = "v1") -> dict[str, Any]:
    """A droplet as the API tells it, as far as it matters here."""
    return {"id": number, "name": name, "tags": [TAG, *tags], "vpc_uuid": vpc, "status": "active"}


def cluster(name: str, engine: str, *tags: str, vpc: str = "v1") -> dict[str, Any]:
    """A database, likewise."""
    return {"id": f"id-{name}", "name": name, "engine": engine, "tags": tags, "private_network_uuid": vpc}


@pytest.fixture
def droplets(topology: Topology) -> list[dict[str, Any]]:
    """One for each node, by its name."""
    return [droplet(number, name) for number, name in enumerate(topology.droplets, 1)]


CLUSTERS = (cluster("docs", "mongodb"), cluster("pg-1", "pg"), cluster("prod-valkey", "valkey"))


def matched(
    topology: Topology, droplets: Sequence[dict[str, Any]], clusters: Sequence[Any] = CLUSTERS
) -> Match:
    """What comes of it."""
    return match(topology, TAG, droplets, clusters)


def test_hand_made_deployment_is_found(found: Found, made: HandMade, topology: Topology) -> None:
    """Each droplet and database stands for its own, in the VPC where it is, with addresses and CA."""
    ours = found.deployment
    assert {name: node.id for name, node in ours.nodes.items()} == {
        name: each["id"] for name, each in made.droplets.items()
    }
    assert {name: each.id for name, each in ours.databases.items()} == {
        name: each["id"] for name, each in made.databases.items()
    }
    assert (ours.vpc_id, ours.vpc_range) == (made.vpc["id"], made.vpc["ip_range"])
    assert all(each.private_ip for each in ours.nodes.values())
    assert "BEGIN CERTIFICATE" in ours.databases["mongo"].ca_pem
    assert found.match.mismatch == ""
    assert list(ours.nodes) == list(topology.droplets)


def test_tag_of_the_nodes_name_stands_in_for_the_name(
    topology: Topology, droplets: list[dict[str, Any]]
) -> None:
    """A host name counts up to its first dot; any other name is told by a tag."""
    droplets[0] = droplet(1, "client.example.com")
    droplets[1] = droplet(2, "web-blue", "Runner")
    found = matched(topology, droplets)
    assert (found.droplets["client"]["id"], found.droplets["runner"]["id"]) == (1, 2)
    assert found.mismatch == ""


def test_names_are_of_the_whole_tag_only(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """A droplet without the tag is nobody's, though it has a node's name."""
    other = {**droplet(99, "client"), "tags": ["staging"]}
    assert matched(topology, [*droplets, other]).droplets["client"]["id"] == 1


def test_databases_are_found_by_name_then_engine(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """A name decides among several; without one, the only one of the engine; and the tag among equals."""
    found = matched(topology, droplets, [*CLUSTERS, cluster("cache", "valkey"), cluster("x", "pg", vpc="v2")])
    assert {name: each["name"] for name, each in found.databases.items()} == {
        "mongo": "docs",
        "postgres": "pg-1",
        "valkey": "prod-valkey",
    }
    tagged = cluster("pg-2", "pg", TAG)
    assert matched(topology, droplets, [*CLUSTERS, tagged]).databases["postgres"]["name"] == "pg-2"


def test_what_is_missing_and_extra_is_named(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """All of it, in one sentence, with how a droplet gets to stand for a node."""
    found = matched(topology, [*droplets[:-1], droplet(77, "web-9")], CLUSTERS[1:])
    with pytest.raises(UsageError) as caught:
        require(found, topology, TAG)
    message = str(caught.value)
    assert "nothing stands for worker-2, mongo" in message
    assert "droplet web-9 (77)" in message
    assert "by its name, or by a tag" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ([droplet(70, "client")], "node 'client' is ambiguous: droplet client (1), droplet client (70)"),
        ([droplet(70, "edge", vpc="v2")], ""),
        ([droplet(70, "client.b.example.com")], "ambiguous"),
    ],
)
def test_ambiguity_is_refused(
    more: list[Any], problem: str, topology: Topology, droplets: list[dict[str, Any]]
) -> None:
    """Two that could be it are never chosen between; one that stands for nothing is no ambiguity."""
    if not problem:
        assert matched(topology, [*droplets, *more]).extra == tuple(more)
        return
    with pytest.raises(UsageError, match=r"ambiguous") as caught:
        matched(topology, [*droplets, *more])
    assert problem in str(caught.value)


def test_one_droplet_is_not_two_nodes(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """Named as one and tagged as another that has no droplet of its own."""
    droplets[0] = droplet(1, "client", "runner")
    del droplets[1]
    with pytest.raises(UsageError, match=r"droplet client \(1\) is ambiguous: it could be client or runner"):
        matched(topology, droplets)


def test_ambiguous_database_is_refused(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """Two of one engine, neither by name nor by tag."""
    with pytest.raises(UsageError, match=r"database 'postgres' is ambiguous: .*pg-1.*pg-2"):
        matched(topology, droplets, [*CLUSTERS, cluster("pg-2", "pg")])


def test_several_vpcs_are_refused(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """With who is where."""
    droplets[2] = droplet(3, "judge0-lb", vpc="v2")
    with pytest.raises(UsageError, match=r"several VPCs.*judge0-lb in v2"):
        matched(topology, droplets)


def test_unknown_tag_names_the_nearest(topology: Topology, droplets: list[dict[str, Any]]) -> None:
    """A typing error is one sentence, and names what there is."""
    with pytest.raises(UsageError, match=r"no droplet has the tag 'produktion'; there are .*production"):
        match(topology, "produktion", droplets, CLUSTERS)


@pytest.mark.parametrize("tag", ["production", "wavetank:whole", "A_b:C-d", "x" * 255, "---", "2024"])
def test_label_is_no_name_that_a_run_would_get(tag: str) -> None:
    """It serves where a run's name does, is the same for each spelling, and marked by the tag's digest."""
    assert RUN_PATTERN.fullmatch(label(tag))
    assert label(tag) == label(tag.upper())
    assert label(tag) != label(f"{tag}x")


def test_place_is_no_runs(tmp_path: Path) -> None:
    """Under ``existing``, private, without a key or a link ``latest``."""
    choice = choose_existing(Settings(target="do", existing=TAG, state_dir=tmp_path))
    assert choice.place is not None
    choice.place.create()
    assert choice.run_dir.path == tmp_path / "existing" / label(TAG)
    assert choice.run_dir.path.stat().st_mode & 0o777 == 0o700
    assert choice.run_dir.public_key() == ""
    assert [each.name for each in tmp_path.rglob("*")] == ["existing", label(TAG)]


def test_wrong_keys_tags_and_users_are_refused(tmp_path: Path) -> None:
    """Each in a sentence with its remedy, before anything is asked of anybody."""
    key, public = tmp_path / "key", tmp_path / "key.pub"
    public.write_text("ssh-ed25519 AAAA me")
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o644)
    for given, problem in (
        ((TAG, tmp_path / "none", "root"), "No such file"),
        ((TAG, public, "root"), "without .pub"),
        ((TAG, key, "root"), "chmod 600"),
        ((TAG, None, "root\n  ProxyCommand x"), "no user's name"),
        (("a b", None, "root"), "is no tag"),
    ):
        with pytest.raises(UsageError, match=problem):
            existing_dir(tmp_path, *given)
    key.chmod(0o600)
    assert places.existing_dir(tmp_path, TAG, key, "deploy").private_key == key


@pytest.mark.parametrize(
    "given", [{"existing": TAG, "run": "whole"}, {"ssh_user": "me"}, {"ssh_key": Path("key")}]
)
def test_options_that_exclude_one_another(given: dict[str, Any]) -> None:
    """A run is not somebody else's, and has a key of its own."""
    with pytest.raises(UsageError, match="--existing"):
        Settings(**given)
