"""All mutants of a protection: a pure function from what is in force to what could be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.mutation.fate import EVERYWHERE, Places
from harness.mutation.gates import PROTOCOLS, WAYS
from harness.mutation.kinds import Kind
from harness.mutation.model import Mutant
from harness.mutation.protection import (
    ALL_PORTS,
    Ground,
    Peer,
    Protection,
    Rule,
    Source,
    Wall,
    Way,
    as_peer,
    covers,
    named_by,
)
from harness.mutation.words import peer_name, rule_name
from harness.names import part_of_name

LOWEST, HIGHEST = 1, 65535


def mutants(ground: Ground, protection: Protection, places: Places) -> tuple[Mutant, ...]:
    """Every mutant, each protection once, in an order that does not change from one call to the next."""
    made = [
        *_rules(ground, protection, places),
        *_detached(ground, protection),
        *_opened(ground, protection),
        *_trust(ground, protection, places),
    ]
    first: dict[Protection, Mutant] = {}
    for each in made:
        first.setdefault(each.protection, each)
    first.pop(protection, None)
    return tuple(first.values())


def _rules(ground: Ground, protection: Protection, places: Places) -> Iterator[Mutant]:
    for wall in protection.walls:
        for rule in wall.rules:
            name = f"{part_of_name(wall.name)}, {rule_name(ground, rule, places)}"
            if (without := _without(ground, protection, wall, rule)) is not None:
                yield Mutant("rule-removed", name, without)
                yield from _moved(ground, without, wall, rule, name)
            for wider, what in _ports(rule):
                yield Mutant("port-added", f"{name}: {what}", _swapped(protection, wall, rule, wider))
            for peer in _more_peers(ground, wall, rule, places):
                wider = replace(rule, peers=(*rule.peers, peer))
                what = f"{name}: {peer_name(ground, peer, places)} too"
                yield Mutant("peer-added", what, _swapped(protection, wall, rule, wider))


def _without(ground: Ground, protection: Protection, wall: Wall, rule: Rule) -> Protection | None:
    """A firewall without one of its rules.

    The API takes none without any, so the last one takes the droplets along; None where that would leave
    one of them uncovered, which is more than a rule removed.
    """
    left = tuple(each for each in wall.rules if each != rule)
    if left:
        return replaced(protection, replace(wall, rules=left))
    others = [each for each in protection.walls if each.id != wall.id]
    mine = [each for each in ground.droplets.values() if covers(wall, each)]
    if not all(any(covers(other, each) for other in others) for each in mine):
        return None
    return replaced(protection, replace(wall, droplet_ids=(), tags=()))


def _moved(ground: Ground, without: Protection, wall: Wall, rule: Rule, name: str) -> Iterator[Mutant]:
    """The rule on another droplet's firewall; preferably of one that the rule does not name."""
    mine = {each.name for each in ground.droplets.values() if covers(wall, each)}
    named = set(named_by(ground, rule.peers))
    others = sorted(set(ground.droplets) - mine, key=lambda each: (each in named, each))
    for droplet in others:
        onto = narrowest(ground, without, droplet)
        if onto is not None and rule not in onto.rules:
            moved = replaced(without, replace(onto, rules=(*onto.rules, rule)))
            yield Mutant("rule-moved", f"{name}: to {part_of_name(onto.name)}", moved)
            return


def narrowest(ground: Ground, protection: Protection, droplet: str) -> Wall | None:
    """The firewall that covers a droplet and as few others as possible."""
    covering = [each for each in protection.walls if covers(each, ground.droplets[droplet])]
    return min(covering, key=lambda each: (_reach(ground, each), each.name), default=None)


def _reach(ground: Ground, wall: Wall) -> int:
    return sum(covers(wall, each) for each in ground.droplets.values())


def _ports(rule: Rule) -> Iterator[tuple[Rule, str]]:
    """The rule with one port more, below and above its range."""
    if rule.protocol == "icmp" or rule.ports == ALL_PORTS:
        return
    first, _, last = rule.ports.partition("-")
    low, high = int(first), int(last or first)
    if low > LOWEST:
        yield replace(rule, ports=f"{low - 1}-{high}"), f"{low - 1} too"
    if high < HIGHEST:
        yield replace(rule, ports=f"{low}-{high + 1}"), f"{high + 1} too"


def _more_peers(ground: Ground, wall: Wall, rule: Rule, places: Places) -> Iterator[Peer]:
    """One droplet, and those from outside, that the rule does not name yet; a net that holds them may."""
    if EVERYWHERE in {value for _, value in rule.peers}:
        return
    named = set(named_by(ground, rule.peers))
    mine = {each.name for each in ground.droplets.values() if covers(wall, each)}
    fresh = sorted(set(ground.droplets) - named, key=lambda each: (each in mine, each))
    if fresh and (len(mine) > 1 or fresh[0] not in mine):
        yield "tags", ground.tag(fresh[0])
    for address in (places.stranger, places.internet):
        if address and ("addresses", f"{address}/32") not in rule.peers:
            yield "addresses", f"{address}/32"


def _detached(ground: Ground, protection: Protection) -> Iterator[Mutant]:
    for droplet in ground.droplets.values():
        bare = protection
        for wall in protection.walls:
            less = _released(ground, wall, droplet.name)
            if less is not None:
                bare = replaced(bare, less)
                yield Mutant(
                    "detached", f"{droplet.name} from {part_of_name(wall.name)}", replaced(protection, less)
                )
        if not any(covers(each, droplet) for each in bare.walls):
            yield Mutant("detached", f"{droplet.name} from all firewalls", bare)


def _released(ground: Ground, wall: Wall, droplet: str) -> Wall | None:
    """The firewall without a droplet; None where it does not cover it, or not by a tag of its own."""
    end = ground.droplets[droplet]
    if not covers(wall, end):
        return None
    ids = tuple(each for each in wall.droplet_ids if str(each) != end.id)
    tags = tuple(each for each in wall.tags if each.lower() != ground.tag(droplet).lower())
    less = replace(wall, droplet_ids=ids, tags=tags)
    return None if covers(less, end) else less


def _opened(ground: Ground, protection: Protection) -> Iterator[Mutant]:
    kinds: dict[Way, Kind] = {"inbound": "inbound-opened", "outbound": "outbound-opened"}
    for droplet in ground.droplets:
        wall = narrowest(ground, protection, droplet)
        if wall is None:
            continue
        for way in WAYS:
            for protocol in PROTOCOLS:
                hole = Rule(way, protocol, ALL_PORTS, (("addresses", EVERYWHERE),))
                if hole not in wall.rules:
                    opened = replaced(protection, replace(wall, rules=(*wall.rules, hole)))
                    yield Mutant(
                        kinds[way],
                        f"{part_of_name(wall.name)}, {protocol} {_direction(way)} anywhere",
                        opened,
                    )


def _direction(way: Way) -> str:
    return "from" if way == "inbound" else "to"


def _trust(ground: Ground, protection: Protection, places: Places) -> Iterator[Mutant]:
    for database, sources in protection.trusted:
        if sources:
            yield Mutant(
                "trust-dropped", f"{database}: trusts everybody", _trusting(protection, database, ())
            )
        for source in sources:
            left = tuple(each for each in sources if each != source)
            what = f"{database}: not {peer_name(ground, as_peer(source), places)}"
            yield Mutant("trust-removed", what, _trusting(protection, database, left))
        for source in _more_sources(ground, sources, places):
            what = f"{database}: {peer_name(ground, as_peer(source), places)} too"
            yield Mutant("trust-added", what, _trusting(protection, database, (*sources, source)))


def _more_sources(ground: Ground, sources: Sequence[Source], places: Places) -> Iterator[Source]:
    if not sources:
        return
    trusted = named_by(ground, [as_peer(each) for each in sources])
    for droplet in ground.droplets:
        if droplet not in trusted:
            yield "tag", ground.tag(droplet)
    for address in (places.stranger, places.internet):
        if address and ("ip_addr", f"{address}/32") not in sources:
            yield "ip_addr", f"{address}/32"


def replaced(protection: Protection, wall: Wall) -> Protection:
    """The protection with another form of one firewall."""
    walls = tuple(wall if each.id == wall.id else each for each in protection.walls)
    return replace(protection, walls=walls)


def _swapped(protection: Protection, wall: Wall, old: Rule, new: Rule) -> Protection:
    rules = tuple(new if each == old else each for each in wall.rules)
    return replaced(protection, replace(wall, rules=rules))


def _trusting(protection: Protection, database: str, sources: tuple[Source, ...]) -> Protection:
    trusted = tuple((name, sources if name == database else each) for name, each in protection.trusted)
    return replace(protection, trusted=trusted)
