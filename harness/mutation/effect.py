"""What a mutant changes, before a packet is sent: nothing, the fate of packets, or one gate behind another.

Two gates stand in a packet's way. Where a mutant opens one and the other stays shut, no packet can show it,
yet the wall is thinner by half. Such a mutant is *hidden*; to see it, the other gate is opened as well, and
then only what the mutant alone accounts for is held against it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.isolation.model import Pair
from harness.mutation.fate import EVERYWHERE, Fates, Places, differing, fates
from harness.mutation.gates import PROTOCOLS, Gates, changed, gates, ports_of, spans
from harness.mutation.generate import narrowest, replaced
from harness.mutation.model import Mutant
from harness.mutation.protection import ALL_PORTS, Ground, Peer, Protection, Rule, Wall, Way, covers
from harness.mutation.words import rule_name
from harness.names import part_of_name
from harness.topology import ports
from harness.topology.model import Protocol
from harness.topology.ports import NONE, Ports

Affected = Mapping[tuple[Pair, Protocol], Ports]


@dataclass(frozen=True)
class Baseline:
    """What is in force before any mutant, computed once."""

    ground: Ground
    protection: Protection
    places: Places
    gates: Gates
    fates: Fates


@dataclass(frozen=True)
class Effect:
    """What one mutant changes.

    ``equivalent`` says why it changes nothing, or is empty. ``affected`` are the ports whose packets meet
    another fate, once ``lifted`` is in force; that is the mutant's own protection, unless it is hidden:
    then other gates are open as well, and ``behind`` names them.
    """

    equivalent: str
    affected: Affected
    lifted: Protection
    behind: tuple[str, ...] = ()


def baseline(ground: Ground, protection: Protection, places: Places) -> Baseline:
    """Everything about what is in force that mutants are compared with."""
    made = gates(ground, protection)
    return Baseline(ground, protection, places, made, fates(ground, places, made))


def effect(base: Baseline, mutant: Mutant) -> Effect:
    """What ``mutant`` changes, by the gates of every end for every address, and then by pairs."""
    after = gates(base.ground, mutant.protection)
    turned = changed(base.gates, after)
    if not turned:
        return Effect(_why_equivalent(base, mutant), {}, mutant.protection)
    affected = differing(base.fates, fates(base.ground, base.places, after))
    if affected:
        return Effect("", affected, mutant.protection)
    return _hidden(base, mutant, {way for _, way, _ in turned})


def merged(every: Iterable[Affected]) -> dict[tuple[Pair, Protocol], Ports]:
    """All that several mutants affect."""
    made: dict[tuple[Pair, Protocol], Ports] = {}
    for affected in every:
        for key, which in affected.items():
            made[key] = ports.union(made.get(key, NONE), which)
    return made


def _hidden(base: Baseline, mutant: Mutant, ways: set[Way]) -> Effect:
    """Lift every gate on the other side, of the original and of the mutant: what is left is the mutant's."""
    others: set[Way] = {"outbound" if way == "inbound" else "inbound" for way in ways}
    plain, lifted = (_lift(base, each, others) for each in (base.protection, mutant.protection))
    before, after = (fates(base.ground, base.places, gates(base.ground, each)) for each in (plain, lifted))
    affected = differing(before, after)
    if not affected:
        return Effect("", {}, mutant.protection)
    pairs = {pair for pair, _ in affected}
    sources, targets = {pair.source for pair in pairs}, {pair.target for pair in pairs}
    lifted, behind = mutant.protection, set[str]()
    for way in others:
        ends = sources if way == "outbound" else targets
        lifted, behind = _lift(base, lifted, {way}, ends, sources), behind | ends
    return Effect("", affected, lifted, tuple(sorted(behind)))


def _lift(
    base: Baseline,
    protection: Protection,
    ways: set[Way],
    at: Collection[str] | None = None,
    sources: Collection[str] | None = None,
) -> Protection:
    """The protection with more gates open: outbound to anywhere, inbound to droplets; None means all."""
    every = base.ground.droplets
    tags = [base.ground.tag(each) for each in every if sources is None or each in sources]
    for droplet in (each for each in every if at is None or each in at):
        wall = narrowest(base.ground, protection, droplet)
        if wall is not None:
            rules = dict.fromkeys(
                (*wall.rules, *(hole for way in sorted(ways) for hole in _holes(way, tags)))
            )
            protection = replaced(protection, replace(wall, rules=tuple(rules)))
    return protection


def _holes(way: Way, tags: Sequence[str]) -> Iterator[Rule]:
    anywhere: tuple[Peer, ...] = (("addresses", EVERYWHERE),)
    peers = anywhere if way == "outbound" else tuple(("tags", each) for each in tags)
    yield from (Rule(way, each, ALL_PORTS, peers) for each in PROTOCOLS)


def _why_equivalent(base: Baseline, mutant: Mutant) -> str:
    """Why nothing is changed: which rules that are there anyway admit the same."""
    same = "every gate admits the same as before, for every address, port and protocol"
    rules = dict.fromkeys(_standing_in(base, mutant))
    return f"{same}: {'; '.join(rules)}" if rules else same


def _standing_in(base: Baseline, mutant: Mutant) -> Iterator[str]:
    before, after = (set(_held(each)) for each in (base.protection, mutant.protection))
    walls = {each.id: each for each in base.protection.walls}
    for gone in before ^ after:
        for other in mutant.protection.walls:
            if _share_a_droplet(base.ground, walls[gone.wall], other):
                yield from (
                    f"{part_of_name(other.name)} has {rule_name(base.ground, each.rule, base.places)} as well"
                    for each in _held(Protection((other,), ()))
                    if each in before & after and _overlap(base.ground, each.rule, gone.rule)
                )


class _Held(NamedTuple):
    """A rule with whom it is for."""

    wall: str
    covered: tuple[tuple[int, ...], tuple[str, ...]]
    rule: Rule


def _held(protection: Protection) -> Iterator[_Held]:
    for wall in protection.walls:
        yield from (_Held(wall.id, (wall.droplet_ids, wall.tags), rule) for rule in wall.rules)


def _share_a_droplet(ground: Ground, one: Wall, other: Wall) -> bool:
    return any(covers(one, each) and covers(other, each) for each in ground.droplets.values())


def _overlap(ground: Ground, one: Rule, other: Rule) -> bool:
    if (one.way, one.protocol) != (other.way, other.protocol):
        return False
    if not ports.intersect(ports_of(one), ports_of(other)):
        return False
    mine, theirs = spans(ground, one.peers), spans(ground, other.peers)
    return any(a <= d and c <= b for a, b in mine for c, d in theirs)
