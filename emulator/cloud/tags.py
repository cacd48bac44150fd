"""Tags: names by which droplets and databases are found, covered by firewalls and trusted by databases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from emulator.cloud.errors import NotFoundError, UnprocessableError
from emulator.cloud.models import Database, Droplet, Firewall, Peers, Rule, Tag

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

NAME = re.compile(r"[a-zA-Z0-9_\-:]{1,255}")


def create(cloud: Cloud, name: str) -> Tag:
    """Make a tag; one that exists already is given back as it is."""
    if not NAME.fullmatch(name):
        raise UnprocessableError(
            "Tag name is invalid: letters, numbers, colons, dashes and underscores, at most 255"
        )
    with cloud.store.transaction():
        return cloud.store.get(Tag, name.lower()) or cloud.store.put(Tag(name=name))


def get(cloud: Cloud, name: str) -> Tag:
    """One tag, whatever its capitalisation. Raises ``NotFoundError``."""
    tag = cloud.store.get(Tag, name.lower())
    if tag is None:
        raise NotFoundError
    return tag


def ensure(cloud: Cloud, names: Iterable[str]) -> tuple[str, ...]:
    """The tags of these names, made where they are missing, each once."""
    return tuple(dict.fromkeys(create(cloud, name).name for name in names))


def known(cloud: Cloud, names: Iterable[str]) -> tuple[str, ...]:
    """The tags of these names. Raises ``UnprocessableError`` for one that does not exist."""
    found = []
    for name in names:
        tag = cloud.store.get(Tag, name.lower())
        if tag is None:
            raise UnprocessableError(f"tag {name!r} does not exist")
        found.append(tag.name)
    return tuple(dict.fromkeys(found))


def carries(tags: Sequence[str], name: str) -> bool:
    """Whether ``name`` is among ``tags``."""
    return name.lower() in (tag.lower() for tag in tags)


def droplets(cloud: Cloud, name: str) -> list[Droplet]:
    """The droplets that carry a tag."""
    return [
        droplet for droplet in cloud.store.all(Droplet) if not droplet.deleted and carries(droplet.tags, name)
    ]


def databases(cloud: Cloud, name: str) -> list[Database]:
    """The database clusters that carry a tag."""
    return [
        database
        for database in cloud.store.all(Database)
        if not database.deleted and carries(database.tags, name)
    ]


def assign(cloud: Cloud, name: str, resources: Iterable[tuple[str, str]]) -> None:
    """Put a tag on resources, given as (type, id)."""
    with cloud.store.transaction():
        tag = get(cloud, name)
        for record in [_resource(cloud, kind, id_) for kind, id_ in resources]:
            if not carries(record.tags, tag.name):
                cloud.store.put(record.model_copy(update={"tags": (*record.tags, tag.name)}))
        cloud.network.changed()


def unassign(cloud: Cloud, name: str, resources: Iterable[tuple[str, str]]) -> None:
    """Take a tag off resources, given as (type, id)."""
    with cloud.store.transaction():
        tag = get(cloud, name)
        for record in [_resource(cloud, kind, id_) for kind, id_ in resources]:
            rest = tuple(other for other in record.tags if other.lower() != tag.name.lower())
            cloud.store.put(record.model_copy(update={"tags": rest}))
        cloud.network.changed()


def delete(cloud: Cloud, name: str) -> None:
    """Remove a tag from everything that carries or names it."""
    with cloud.store.transaction():
        tag = get(cloud, name)
        named = _is_named(cloud, tag.name)
        for droplet in droplets(cloud, tag.name):
            cloud.store.put(_without(droplet, tag.name))
        for database in cloud.store.all(Database):
            rules = tuple(
                rule
                for rule in database.rules
                if rule.type != "tag" or rule.value.lower() != tag.name.lower()
            )
            cloud.store.put(_without(database, tag.name).model_copy(update={"rules": rules}))
        for firewall in cloud.store.all(Firewall):
            cloud.store.put(forget(firewall, tag=tag.name))
        cloud.store.delete(tag)
        if named:  # one that nothing carries changes no rule: leases come and go while packets are counted
            cloud.network.changed()


def _is_named(cloud: Cloud, name: str) -> bool:
    """Whether anything carries a tag, or any rule or trusted source names it."""
    trusted = [rule.value for each in cloud.store.all(Database) for rule in each.rules if rule.type == "tag"]
    ruled = [
        tag
        for each in cloud.store.all(Firewall)
        for tag in (*each.tags, *(tag for rule in (*each.inbound, *each.outbound) for tag in rule.peers.tags))
    ]
    return bool(droplets(cloud, name) or databases(cloud, name)) or carries((*trusted, *ruled), name)


def _resource(cloud: Cloud, kind: str, id_: str) -> Droplet | Database:
    record: Droplet | Database | None = None
    if kind == "droplet":
        record = cloud.store.get(Droplet, id_)
    elif kind == "database":
        record = cloud.store.get(Database, id_)
    if record is None or record.deleted:
        raise NotFoundError
    return record


T = TypeVar("T", Droplet, Database, Firewall, Peers)
P = TypeVar("P", Firewall, Peers)


def _without(record: T, name: str) -> T:
    tags = tuple(tag for tag in record.tags if tag.lower() != name.lower())
    return record.model_copy(update={"tags": tags})


def forget(firewall: Firewall, *, tag: str = "", droplet_id: int = 0) -> Firewall:
    """A firewall that no longer names a tag or droplet; a rule that named nobody else is gone, too."""

    def without(record: P) -> P:
        ids = tuple(number for number in record.droplet_ids if number != droplet_id)
        return _without(record, tag).model_copy(update={"droplet_ids": ids})

    def clean(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        changed = (rule.model_copy(update={"peers": without(rule.peers)}) for rule in rules)
        named = [
            rule for rule in changed if any((rule.peers.addresses, rule.peers.droplet_ids, rule.peers.tags))
        ]
        return tuple(dict.fromkeys(named))

    rules = {"inbound": clean(firewall.inbound), "outbound": clean(firewall.outbound)}
    return without(firewall).model_copy(update=rules)
