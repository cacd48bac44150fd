"""What of an account is a run's own, and what only has a name like it; pure.

A name is no proof: anybody may call a VPC ``wavetank-precious``. So what cannot be tagged counts as a run's
own only with a mark that the run itself gives it when it is made:

* a VPC, by its description; or by a droplet or database with the run's tag in it
* an SSH key, by the comment of its public key
* a firewall, by whom it covers: the run's tags, or its droplets. One from which all of these were taken
  covers nobody; it still is the run's own where its rules name the run's tags, or where the run itself is
  there, as its tag or its VPC shows.

Tags and VPC are made before any firewall, so a run that was killed in the middle is known by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.names import (
    STRANGER,
    key_mark,
    node_tag,
    part_of_name,
    resource_name,
    run_of_name,
    run_of_tag,
    run_tag,
    vpc_mark,
)
from harness.provision.account import Account

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Own:
    """A run's own; ``outsiders`` are droplets that a scan put beside its own, and should have removed."""

    run: str
    tags: tuple[str, ...]
    vpcs: tuple[dict[str, Any], ...]
    keys: tuple[dict[str, Any], ...]
    firewalls: tuple[dict[str, Any], ...]
    droplets: tuple[dict[str, Any], ...]
    outsiders: tuple[dict[str, Any], ...]
    databases: tuple[dict[str, Any], ...]


def own(account: Account, run: str) -> Own:
    """What of ``account`` is the run's."""
    tags = tuple(tag["name"] for tag in account.tags if run_of_tag(tag["name"]) == run)
    droplets = tuple(each for each in account.droplets if run_tag(run) in tags_of(each))
    outsiders = tuple(
        each
        for each in account.droplets
        if node_tag(run, STRANGER) in tags_of(each) and run_tag(run) not in tags_of(each)
    )
    databases = tuple(each for each in account.databases if run_tag(run) in tags_of(each))
    homes = {each.get("vpc_uuid") for each in droplets}
    homes |= {each.get("private_network_uuid") for each in databases}
    vpcs = tuple(each for each in account.vpcs if _is_vpc(each, run, homes))
    ids = {each["id"] for each in (*droplets, *outsiders)}
    is_there = bool(run_tag(run) in tags or vpcs)
    return Own(
        run,
        tags,
        vpcs,
        tuple(each for each in account.keys if _is_key(each, run)),
        tuple(each for each in account.firewalls if _is_firewall(each, run, ids, is_there=is_there)),
        droplets,
        outsiders,
        databases,
    )


def lookalikes(account: Account, mine: Own) -> Iterator[tuple[str, Body]]:
    """Kind and body of whatever has a name of the run, and is not its own."""
    kinds = (
        ("vpc", account.vpcs, mine.vpcs),
        ("ssh key", account.keys, mine.keys),
        ("firewall", account.firewalls, mine.firewalls),
        ("database", account.databases, mine.databases),
    )
    for kind, everything, ours in kinds:
        known = {each["id"] for each in ours}
        for each in everything:
            if run_of_name(each["name"]) == mine.run and each["id"] not in known:
                yield kind, each


def runs_of(account: Account) -> tuple[str, ...]:
    """The runs of which something is there, sorted."""
    named = {run_of_tag(tag["name"]) for tag in account.tags}
    for each in (*account.vpcs, *account.keys, *account.firewalls):
        named.add(run_of_name(each["name"]))
    return tuple(sorted(run for run in named if run and _is_any(own(account, run))))


def tags_of(body: Body) -> tuple[str, ...]:
    """The tags that a droplet or database carries, or that a firewall covers."""
    return tuple(body.get("tags") or ())


def _is_any(mine: Own) -> bool:
    return any((mine.tags, mine.vpcs, mine.keys, mine.firewalls))


def _is_vpc(body: Body, run: str, homes: Collection[Any]) -> bool:
    marked = body.get("description") == vpc_mark(run) or body["id"] in homes
    return bool(body["name"] == resource_name(run) and marked)


def _is_key(body: Body, run: str) -> bool:
    return bool(body["name"] == resource_name(run) and body["public_key"].split()[2:] == [key_mark(run)])


def _is_firewall(body: Body, run: str, ids: Collection[Any], *, is_there: bool) -> bool:
    if run_of_name(body["name"]) != run or not part_of_name(body["name"]):
        return False
    covered = set(body.get("droplet_ids") or ())
    if covered.intersection(ids) or _of_run(tags_of(body), run):
        return True
    return not covered and not tags_of(body) and (is_there or _of_run(_named(body), run))


def _of_run(tags: Iterable[str], run: str) -> bool:
    return any(run_of_tag(tag) == run for tag in tags)


def _named(firewall: Body) -> Iterator[str]:
    """The tags that a firewall's rules name."""
    for side, peers in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
        for rule in firewall.get(side) or ():
            yield from (rule.get(peers) or {}).get("tags") or ()
