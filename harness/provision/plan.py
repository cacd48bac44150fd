"""What to change so that a run becomes what its topology says, each change with its reason; pure code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from harness.core.errors import UsageError
from harness.core.names import check_databases, resource_name
from harness.provision.compare import (
    firewall_differences,
    same_firewall,
    same_key,
    same_sources,
    same_version,
)
from harness.provision.desired import (
    BOOTSTRAP,
    Desired,
    bootstrap,
    bootstrap_tags,
    coverable,
    desired,
    firewalls,
)
from harness.provision.observe import Body, Observed, database_of, node_of
from harness.target.target import Target
from harness.topology.model import Topology

Action = Literal["create", "update", "delete", "keep"]
Kind = Literal["tag", "vpc", "ssh_key", "firewall", "database", "trusted_sources", "droplet"]

AS_IT_SHOULD_BE = "is as the topology says"
MISSING = "is not there"
UNKNOWN_RANGE = "the VPC's range"


@dataclass(frozen=True)
class Change:
    """One thing to do, or to leave: ``id`` is the API's, None for what is to be made."""

    action: Action
    kind: Kind
    name: str
    reason: str
    id: Any = None


@dataclass(frozen=True)
class Plan:
    """Everything of a run. ``changes`` also holds what is kept, so that nothing goes unsaid."""

    changes: tuple[Change, ...]

    def of(self, action: Action, *kinds: Kind) -> tuple[Change, ...]:
        """The changes of one action, on these kinds or on all."""
        return tuple(
            each for each in self.changes if each.action == action and (not kinds or each.kind in kinds)
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return all(change.action == "keep" for change in self.changes)


def make_plan(
    target: Target, topology: Topology, run: str, observed: Observed, public_key: str | None = None
) -> Plan:
    """Compare what should be with what is. Without ``public_key`` an SSH key that is there is kept.

    Raises ``UsageError`` naming everything that only taking the run down could change: nothing that holds
    data is ever replaced; where something that is not the run's own has a name of it, or would lose a
    firewall or tag; and where a database that is to be made could have no host name.
    """
    _refuse_lookalikes(run, observed)
    wanted = desired(topology, run)
    vpc_range = (observed.vpc or {}).get("ip_range") or topology.ip_range or UNKNOWN_RANGE
    rules = firewalls(topology, run, vpc_range, target.operators)
    conflicts = [*_conflicts(wanted, run, observed), *_lost_key(observed, public_key)]
    if conflicts:
        raise UsageError(
            f"run {run!r} cannot become what {topology.file} says without losing data; "
            "take it down first, or name another with --run:\n  " + "\n  ".join(conflicts)
        )
    databases = tuple(_databases(wanted, observed))
    check_databases(run, [change.name for change in databases if change.action == "create"])
    plan = Plan(
        (
            *_tags(wanted, observed),
            *_vpc(wanted, observed),
            *_key(run, observed, public_key),
            *_bootstrap(topology, run, wanted, observed),
            *_firewalls(rules, run, observed),
            *databases,
            *_droplets(wanted, run, observed),
        )
    )
    _refuse_to_uncover(run, plan, rules, observed)
    return plan


def droplets_by_node(observed: Observed, run: str) -> dict[str, Body]:
    """The droplet that stands for each node: the oldest, where there are several."""
    oldest_first = sorted(
        observed.droplets, key=lambda droplet: (droplet["created_at"], droplet["id"]), reverse=True
    )
    return {name: each for each in oldest_first if (name := node_of(each, run)) is not None}


def _tags(wanted: Desired, observed: Observed) -> Iterator[Change]:
    for tag in wanted.tags:
        if tag in observed.tags:
            yield Change("keep", "tag", tag, AS_IT_SHOULD_BE, tag)
        else:
            yield Change("create", "tag", tag, MISSING)
    for tag in observed.tags:
        if tag not in wanted.tags:
            yield Change("delete", "tag", tag, "stands for no droplet of the topology", tag)


def _vpc(wanted: Desired, observed: Observed) -> Iterator[Change]:
    name = wanted.vpc["name"]
    if observed.vpc is None:
        yield Change("create", "vpc", name, MISSING)
    else:
        yield Change("keep", "vpc", name, AS_IT_SHOULD_BE, observed.vpc["id"])


def _key(run: str, observed: Observed, public_key: str | None) -> Iterator[Change]:
    name = resource_name(run)
    if observed.key is None:
        yield Change("create", "ssh_key", name, MISSING)
    elif public_key and not same_key(observed.key["public_key"], public_key):
        yield Change(
            "update", "ssh_key", name, "is not this run's key, and no droplet has it", observed.key["id"]
        )
    else:
        yield Change("keep", "ssh_key", name, AS_IT_SHOULD_BE, observed.key["id"])


def _bootstrap(topology: Topology, run: str, wanted: Desired, observed: Observed) -> Iterator[Change]:
    name = resource_name(run, BOOTSTRAP)
    there = next((each for each in observed.firewalls if each["name"] == name), None)
    covered = coverable(topology)
    if there and not covered:
        yield Change("delete", "firewall", name, "no firewall is to cover a droplet", there["id"])
        return
    missing = [
        node for node in wanted.droplets if node in covered and node not in droplets_by_node(observed, run)
    ]
    tags = set(bootstrap_tags(topology, run, missing)) if missing else set()
    if there is None:
        if missing:
            yield Change(
                "create", "firewall", name, f"first boot of {', '.join(missing)} needs to fetch things"
            )
        return
    body = bootstrap(run, tags | set(there["tags"] or ()))
    if same_firewall(there, body):
        yield Change("keep", "firewall", name, "the deployment is not finished", there["id"])
    else:
        yield Change("update", "firewall", name, "does not let first boot fetch things", there["id"])


def _firewalls(rules: dict[str, Body], run: str, observed: Observed) -> Iterator[Change]:
    there = {each["name"]: each for each in observed.firewalls}
    for name, body in rules.items():
        if name not in there:
            yield Change("create", "firewall", name, MISSING)
        elif same_firewall(there[name], body):
            yield Change("keep", "firewall", name, AS_IT_SHOULD_BE, there[name]["id"])
        else:
            differs = f"differs from the topology: {firewall_differences(there[name], body)}"
            yield Change("update", "firewall", name, differs, there[name]["id"])
    for each in observed.firewalls:
        if each["name"] not in rules and each["name"] != resource_name(run, BOOTSTRAP):
            yield Change("delete", "firewall", each["name"], "is not in the topology", each["id"])


def _databases(wanted: Desired, observed: Observed) -> Iterator[Change]:
    there = {database_of(each): each for each in observed.databases}
    for name, body in wanted.databases.items():
        if name not in there:
            yield Change("create", "database", name, MISSING)
            continue
        id_ = there[name]["id"]
        yield Change("keep", "database", name, AS_IT_SHOULD_BE, id_)
        if same_sources(observed.trusted.get(id_, ()), body["rules"]):
            yield Change("keep", "trusted_sources", name, AS_IT_SHOULD_BE, id_)
        else:
            yield Change("update", "trusted_sources", name, "differ from the topology", id_)


def _droplets(wanted: Desired, run: str, observed: Observed) -> Iterator[Change]:
    there = droplets_by_node(observed, run)
    for name in wanted.droplets:
        if name not in there:
            yield Change("create", "droplet", name, MISSING)
        elif there[name]["status"] == "off":
            yield Change("update", "droplet", name, "is powered off", there[name]["id"])
        else:
            yield Change("keep", "droplet", name, AS_IT_SHOULD_BE, there[name]["id"])
    for droplet in observed.droplets:
        node = node_of(droplet, run)
        if node not in wanted.droplets:
            yield Change("delete", "droplet", droplet["name"], "is not in the topology", droplet["id"])
        elif droplet["id"] != there[str(node)]["id"]:
            yield Change("delete", "droplet", droplet["name"], f"is a second {node}", droplet["id"])
    for outsider in observed.outsiders:
        yield Change("delete", "droplet", outsider["name"], "was left behind by a scan", outsider["id"])


def _refuse_lookalikes(run: str, observed: Observed) -> None:
    if observed.lookalikes:
        named = ", ".join(map(str, observed.lookalikes))
        raise UsageError(
            f"not made by run {run!r}, but named like what is: {named}; nothing is made or changed beside "
            "what somebody else may use: rename or remove it, or take another name with --run"
        )


def _refuse_to_uncover(run: str, plan: Plan, rules: dict[str, Body], observed: Observed) -> None:
    """A firewall or tag that would be taken off somebody who stays is left on, and so is all else."""
    lost = [
        f"{guest.kind} {guest.name} ({guest.id}), which {tie.words}"
        for change in (*plan.of("update", "firewall"), *plan.of("delete", "firewall", "tag"))
        for guest in observed.guests
        for tie in guest.ties
        if tie.id == change.id and _tags_after(change, rules, observed).isdisjoint(guest.tags)
    ]
    if lost:
        raise UsageError(
            f"run {run!r} cannot become what its topology says without taking something off what is not its "
            "own; take it off there yourself first, or protect it otherwise:\n  " + "\n  ".join(lost)
        )


def _tags_after(change: Change, rules: dict[str, Body], observed: Observed) -> set[str]:
    """The tags that a firewall covers once it was changed; the bootstrap one keeps those that it has."""
    if change.action == "delete":
        return set()
    before = next((each for each in observed.firewalls if each["id"] == change.id), {})
    return set(rules.get(change.name, before).get("tags") or ())


def _conflicts(wanted: Desired, run: str, observed: Observed) -> Iterator[str]:
    if observed.vpc is not None:
        for key in ("region", "ip_range"):
            yield from _differs("vpc", observed.vpc["name"], key, observed.vpc[key], wanted.vpc.get(key))
    for name, droplet in droplets_by_node(observed, run).items():
        if name in wanted.droplets:
            yield from _droplet_conflicts(name, droplet, wanted.droplets[name])
    for database in observed.databases:
        name = database_of(database)
        if name not in wanted.databases:
            yield f"database {database['name']}: is not in the topology, and may hold data"
        else:
            yield from _database_conflicts(name, database, wanted.databases[name])


def _droplet_conflicts(name: str, observed: Body, wanted: Body) -> Iterator[str]:
    image = observed["image"] or {}
    yield from _differs("droplet", name, "region", observed["region"]["slug"], wanted["region"])
    yield from _differs("droplet", name, "size", observed["size_slug"], wanted["size"])
    if wanted["image"] not in (image.get("slug"), image.get("id")):
        yield from _differs("droplet", name, "image", image.get("slug") or image.get("id"), wanted["image"])
    public = any(each["type"] == "public" for each in observed["networks"].get("v4") or ())
    if observed["status"] != "new":
        yield from _differs("droplet", name, "public_networking", public, wanted["public_networking"])
    if observed["status"] == "archive":
        yield f"droplet {name}: is archived"


def _database_conflicts(name: str, observed: Body, wanted: Body) -> Iterator[str]:
    for key in ("engine", "region", "size", "num_nodes"):
        yield from _differs("database", name, key, observed[key], wanted[key])
    if not same_version(str(observed["version"]), str(wanted["version"])):
        yield from _differs("database", name, "version", observed["version"], wanted["version"])


def _differs(kind: str, name: str, field: str, observed: Any, wanted: Any) -> Iterator[str]:
    if wanted is not None and observed != wanted:
        yield f"{kind} {name}: {field} is {observed!r}, the topology says {wanted!r}"


def _lost_key(observed: Observed, public_key: str | None) -> Iterator[str]:
    if (
        observed.key
        and public_key
        and observed.droplets
        and not same_key(observed.key["public_key"], public_key)
    ):
        yield (
            "ssh key: the droplets take another key than the one in this run's directory, so nobody here "
            "can log in (the run was made elsewhere, or its directory was removed)"
        )
