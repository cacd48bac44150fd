"""Which droplet stands for which node of a topology, and which cluster for which database. Pure.

A droplet stands for the node whose name it has (a host name counts up to its first dot), or else whose name
is one of its tags. A cluster is looked for in the droplets' VPC, and among those with the tag: of the right
engine, with the database's name as a word of its own; where no name decides, the only one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from harness.core.errors import UsageError
from harness.firewall.model import lower
from harness.topology.model import Topology

Body = Mapping[str, Any]

RULE = "a droplet stands for a node by its name, or by a tag that is the node's name"


@dataclass(frozen=True)
class Match:
    """What stands for what, by names in the topology; ``extra`` are those that stand for nothing."""

    droplets: Mapping[str, Body]
    databases: Mapping[str, Body]
    missing: tuple[str, ...] = ()
    extra: tuple[Body, ...] = ()

    @property
    def mismatch(self) -> str:
        """What is missing and what is extra, as text; empty where the two match."""
        lacks = f"nothing stands for {', '.join(self.missing)}" if self.missing else ""
        listed = ", ".join(named(each) for each in self.extra)
        more = f"the topology knows nothing of {listed}" if listed else ""
        return "; ".join(filter(None, (lacks, more)))


def match(topology: Topology, tag: str, droplets: Sequence[Body], clusters: Sequence[Body]) -> Match:
    """Match everything that ``tag`` holds together. Raises ``UsageError`` where it cannot be decided."""
    tagged = [each for each in droplets if carries(each, tag)]
    if not tagged:
        raise UsageError(
            f"no droplet has the tag {tag!r}{_near(tag, droplets)}: name another with --existing"
        )
    found = {node: _droplet(node, tagged) for node in topology.droplets}
    nodes = {node: each for node, each in found.items() if each is not None}
    _require_one_each(nodes)
    vpc = _vpc(nodes)
    pool = [each for each in clusters if carries(each, tag) or each.get("private_network_uuid") == vpc]
    chosen = {name: _cluster(topology, name, pool, tag) for name in topology.databases}
    databases = {name: each for name, each in chosen.items() if each is not None}
    _require_one_each(databases)
    return Match(
        nodes,
        databases,
        _missing(topology, nodes, databases),
        tuple(_extra(tag, nodes, tagged, databases, pool)),
    )


def require(found: Match, topology: Topology, tag: str) -> None:
    """Raise ``UsageError`` unless everything of the topology is there, and nothing else."""
    if found.mismatch:
        raise UsageError(
            f"what has the tag {tag!r} is not what {topology.file} says: {found.mismatch}; {RULE}"
        )


def carries(body: Body, tag: str) -> bool:
    """Whether something has a tag, however that is written."""
    return tag.lower() in lower(body.get("tags") or ())


def named(body: Body) -> str:
    """``droplet web-9 (123)``, or the same of a database."""
    return f"{'database' if 'engine' in body else 'droplet'} {body['name']} ({body['id']})"


def _droplet(node: str, tagged: Sequence[Body]) -> Body | None:
    by_name = [each for each in tagged if node in (each["name"], each["name"].split(".")[0])]
    return _only(f"node {node!r}", by_name or [each for each in tagged if carries(each, node)])


def _cluster(topology: Topology, name: str, pool: Sequence[Body], tag: str) -> Body | None:
    engine = topology.databases[name].engine
    fits = [each for each in pool if each["engine"] == engine]
    alone = [each.engine for each in topology.databases.values()].count(engine) == 1
    by_name = [each for each in fits if re.search(rf"(?:^|[-_.]){re.escape(name)}(?:[-_.]|$)", each["name"])]
    rounds = [by_name, fits] if alone else [by_name]
    for each in rounds:
        if each:
            return _only(f"database {name!r}", [one for one in each if carries(one, tag)] or each)
    return None


def _only(what: str, found: Sequence[Body]) -> Body | None:
    if len(found) > 1:
        listed = ", ".join(named(each) for each in found)
        raise UsageError(f"{what} is ambiguous: {listed} all could be it; give the tag to one of them only")
    return found[0] if found else None


def _require_one_each(found: Mapping[str, Body]) -> None:
    by_id: dict[str, list[str]] = {}
    for name, each in found.items():
        by_id.setdefault(str(each["id"]), []).append(name)
    for names in by_id.values():
        if len(names) > 1:
            raise UsageError(
                f"{named(found[names[0]])} is ambiguous: it could be {' or '.join(names)}; {RULE}"
            )


def _vpc(nodes: Mapping[str, Body]) -> str:
    places: dict[str, list[str]] = {}
    for name, each in nodes.items():
        places.setdefault(str(each.get("vpc_uuid")), []).append(name)
    if len(places) > 1:
        listed = "; ".join(f"{', '.join(names)} in {vpc}" for vpc, names in places.items())
        raise UsageError(f"the droplets are in several VPCs, a topology has one: {listed}")
    return next(iter(places), "")


def _missing(topology: Topology, nodes: Iterable[str], databases: Iterable[str]) -> tuple[str, ...]:
    there = {*nodes, *databases}
    return tuple(name for name in (*topology.droplets, *topology.databases) if name not in there)


def _extra(
    tag: str,
    nodes: Mapping[str, Body],
    tagged: Iterable[Body],
    databases: Mapping[str, Body],
    pool: Iterable[Body],
) -> Iterator[Body]:
    used = {str(each["id"]) for each in (*nodes.values(), *databases.values())}
    yield from (each for each in tagged if str(each["id"]) not in used)
    yield from (each for each in pool if carries(each, tag) and str(each["id"]) not in used)


def _near(tag: str, droplets: Iterable[Body]) -> str:
    known = sorted({each for droplet in droplets for each in droplet.get("tags") or ()})
    near = get_close_matches(tag, known, n=3, cutoff=0.5)
    return f"; there are droplets with {', '.join(near)}" if near else ""
