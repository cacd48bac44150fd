"""Who else is bound to what a run is made of, and would lose something if it went.

A droplet in the run's VPC that is not its own, whoever one of its firewalls covers besides, whatever carries
one of its tags, a database that only the run's droplets may reach: as long as one of them stays, what it is
bound to has to stay as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from harness.core.errors import UsageError
from harness.core.names import run_of_tag, run_tag
from harness.core.parallel import in_parallel
from harness.firewall.bodies import firewall_of
from harness.firewall.model import Droplet
from harness.provision.account import Account
from harness.provision.owner import Own, tags_of
from harness.target.api import Api, every, optional

Body = Mapping[str, Any]
KINDS = {"loadbalancer": "load balancer", "kubernetes": "Kubernetes cluster"}
LISTED = ("droplet", "dbaas")  # of these kinds the account's own lists say more
TAGGED = {"images": "image", "volumes": "volume", "volume_snapshots": "volume snapshot"}


class Tie(NamedTuple):
    """What of the run a guest is bound to: a vpc, firewall or tag by its id, and how, as text."""

    kind: str
    id: str
    words: str


@dataclass(frozen=True)
class Guest:
    """Somebody else's, bound to the run."""

    kind: str
    name: str
    id: str
    ties: tuple[Tie, ...]
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.id}): {', '.join(tie.words for tie in self.ties)}"


def guests(account: Account, mine: Own) -> Iterator[Guest]:
    """Everybody that the account's lists show to be bound to the run; pure."""
    known = {each["id"] for each in (*mine.droplets, *mine.outsiders, *mine.databases)}
    for kind, bodies, home in (
        ("droplet", account.droplets, "vpc_uuid"),
        ("database", account.databases, "private_network_uuid"),
    ):
        for each in bodies:
            ties = tuple(_ties(mine, each, home)) if each["id"] not in known else ()
            if ties:
                yield Guest(kind, each["name"], str(each["id"]), ties, tags_of(each))
    for tag in account.tags:
        if tag["name"] in mine.tags:
            yield from _tagged(tag)


def members(api: Api, mine: Own) -> list[Guest]:
    """What else is in the run's VPC, load balancers and clusters among it. Raises ``ApiError``."""
    found = in_parallel([partial(_members, api, vpc) for vpc in mine.vpcs])
    return [guest for each in found for guest in each]


def trusting(api: Api, account: Account, mine: Own) -> list[Guest]:
    """Databases of others that trust only what would go: without it they would be open to everybody."""
    known = {each["id"] for each in mine.databases}
    others = [each for each in account.databases if each["id"] not in known]
    answers = in_parallel(
        [partial(optional, api.client.databases.list_firewall_rules, each["id"]) for each in others]
    )
    return [
        Guest("database", each["name"], str(each["id"]), (_trust(mine, rules),))
        for each, answer in zip(others, answers, strict=True)
        if (rules := (answer or {}).get("rules") or ()) and all(_goes(mine, rule) for rule in rules)
    ]


def merged(found: Iterable[Guest]) -> tuple[Guest, ...]:
    """Each guest once, with all its ties."""
    known: dict[tuple[str, str, str], Guest] = {}
    for each in found:
        before = known.get((each.kind, each.name, each.id), replace(each, ties=()))
        ties = tuple(dict.fromkeys((*before.ties, *each.ties)))
        known[each.kind, each.name, each.id] = replace(before, ties=ties, tags=before.tags or each.tags)
    return tuple(known.values())


def refuse(run: str, found: Sequence[Guest]) -> None:
    """Raise ``UsageError`` naming every guest, where there is any."""
    if found:
        listed = "\n  ".join(map(str, found))
        raise UsageError(
            f"run {run!r} is not alone, so nothing of it was taken down; what is bound to it and not its own:"
            f"\n  {listed}\n  remedy: destroy or move each, or take it off what it is bound to; a droplet or "
            f"database that is to go with the run gets the tag {run_tag(run)}"
        )


def _ties(mine: Own, body: Body, home: str) -> Iterator[Tie]:
    for vpc in mine.vpcs:
        if body.get(home) == vpc["id"]:
            yield Tie("vpc", vpc["id"], f"is in vpc {vpc['name']}")
    for tag in tags_of(body):
        if run_of_tag(tag) == mine.run:
            yield Tie("tag", tag, f"carries tag {tag}")
    droplet = Droplet(body["name"], str(body["id"]), tags=tags_of(body))
    for firewall in mine.firewalls if home == "vpc_uuid" else ():
        if firewall_of(firewall).covers(droplet):
            yield Tie("firewall", firewall["id"], f"is covered by firewall {firewall['name']}")


def _tagged(tag: Body) -> Iterator[Guest]:
    """Resources that only the tag's own count shows."""
    for key, kind in TAGGED.items():
        tagged = (tag.get("resources") or {}).get(key) or {}
        if tagged.get("count"):
            last = str(tagged.get("last_tagged_uri") or "").rpartition("/")[2]
            words = f"carries tag {tag['name']}, as {tagged['count']} of its kind do"
            yield Guest(kind, last, last, (Tie("tag", tag["name"], words),))


def _members(api: Api, vpc: Body) -> list[Guest]:
    tie = Tie("vpc", vpc["id"], f"is in vpc {vpc['name']}")
    found = optional(partial(every, api.client.vpcs.list_members, "members", vpc_id=vpc["id"])) or []
    made = []
    for each in found:
        kind, _, id_ = str(each["urn"]).removeprefix("do:").partition(":")
        if kind not in LISTED:
            made.append(Guest(KINDS.get(kind, kind), each["name"], id_, (tie,)))
    return made


def _goes(mine: Own, rule: Body) -> bool:
    ids = {str(each["id"]) for each in (*mine.droplets, *mine.outsiders)}
    if rule["type"] == "tag":
        return run_of_tag(str(rule["value"])) == mine.run
    return bool(rule["type"] == "droplet" and str(rule["value"]) in ids)


def _trust(mine: Own, rules: Sequence[Body]) -> Tie:
    named = ", ".join(f"{rule['type']} {rule['value']}" for rule in rules)
    tag = next((str(rule["value"]) for rule in rules if rule["type"] == "tag"), run_tag(mine.run))
    return Tie("tag", tag, f"trusts nobody but {named}, and would be open to everybody without")
