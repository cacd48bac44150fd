"""All mutants of a network's firewalls: from what is in force to what could be wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.core.names import STRANGER, part_of_name
from harness.firewall.addresses import address
from harness.firewall.model import (
    ALL_PORTS,
    ANYWHERE,
    DIRECTIONS,
    Direction,
    Firewall,
    FirewallState,
    Network,
    Peer,
    Rule,
)
from harness.mutation.kinds import Kind
from harness.mutation.model import Mutant
from harness.mutation.words import peer_name, rule_name
from harness.topology.model import INTERNET, PROTOCOLS

LOWEST, HIGHEST = 1, 65535


def mutants(network: Network) -> tuple[Mutant, ...]:
    """Every mutant, each state once, in an order that does not change from one call to the next."""
    made = [*_rules(network), *_detached(network), *_opened(network), *_trust(network)]
    first: dict[FirewallState, Mutant] = {}
    for each in made:
        first.setdefault(each.state, each)
    first.pop(network.state, None)
    return tuple(first.values())


def _rules(network: Network) -> Iterator[Mutant]:
    for firewall in network.state.firewalls:
        for rule in firewall.rules:
            name = f"{part_of_name(firewall.name)}, {rule_name(network, rule)}"
            if (without := _without(network, firewall, rule)) is not None:
                yield Mutant("rule-removed", name, without)
                yield from _moved(network.under(without), firewall, rule, name)
            for wider, what in _ports(rule):
                yield Mutant("port-added", f"{name}: {what}", _swapped(network, firewall, rule, wider))
            for peer in _more_peers(network, firewall, rule):
                wider = replace(rule, peers=(*rule.peers, peer))
                what = f"{name}: {peer_name(network, peer)} too"
                yield Mutant("peer-added", what, _swapped(network, firewall, rule, wider))


def _without(network: Network, firewall: Firewall, rule: Rule) -> FirewallState | None:
    """What is left without one rule of a firewall.

    The API takes no firewall without any, so the last one takes the droplets along; None where that would
    leave one of them uncovered, which is more than a rule removed.
    """
    left = tuple(each for each in firewall.rules if each != rule)
    if left:
        return network.state.replaced(replace(firewall, rules=left))
    empty = network.state.replaced(replace(firewall, droplet_ids=(), tags=()))
    alone = not all(map(network.under(empty).covering, network.covered_by(firewall)))
    return None if alone else empty


def _moved(without: Network, firewall: Firewall, rule: Rule, name: str) -> Iterator[Mutant]:
    """The rule on another droplet's firewall; preferably of one that the rule does not name."""
    mine = without.covered_by(firewall)
    named = _named(without, rule.peers)
    others = sorted(set(without.droplets).difference(mine), key=lambda each: (each in named, each))
    for droplet in others:
        onto = narrowest(without, droplet)
        if onto is not None and rule not in onto.rules:
            moved = without.state.replaced(replace(onto, rules=(*onto.rules, rule)))
            yield Mutant("rule-moved", f"{name}: to {part_of_name(onto.name)}", moved)
            return


def narrowest(network: Network, droplet: str) -> Firewall | None:
    """The firewall that covers a droplet and as few others as possible."""
    covering = network.covering(droplet)
    return min(covering, key=lambda each: (len(network.covered_by(each)), each.name), default=None)


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


def _more_peers(network: Network, firewall: Firewall, rule: Rule) -> Iterator[Peer]:
    """One droplet, and those from outside, that the rule does not name yet; a net that holds them may."""
    if ANYWHERE in {each.value for each in rule.peers}:
        return
    mine = network.covered_by(firewall)
    fresh = set(network.droplets) - _named(network, rule.peers)
    first = min(fresh, key=lambda each: (each in mine, each), default=None)
    if first is not None and (len(mine) > 1 or first not in mine):
        yield Peer("tags", network.tag(first))
    yield from _outsiders(network, rule.peers)


def _named(network: Network, peers: Sequence[Peer]) -> set[str]:
    return {each.name for each in network.named_by(peers)}


def _outsiders(network: Network, known: Sequence[Peer]) -> Iterator[Peer]:
    """The addresses that outsiders can send from, where no rule names them yet."""
    for end in (address(network, STRANGER, "private"), address(network, INTERNET, "public")):
        peer = Peer("addresses", f"{end}/32")
        if end and peer not in known:
            yield peer


def _detached(network: Network) -> Iterator[Mutant]:
    for droplet in network.droplets:
        bare = network.state
        for firewall in network.state.firewalls:
            less = _released(network, firewall, droplet)
            if less is not None:
                bare = bare.replaced(less)
                what = f"{droplet} from {part_of_name(firewall.name)}"
                yield Mutant("detached", what, network.state.replaced(less))
        if not network.under(bare).covering(droplet):
            yield Mutant("detached", f"{droplet} from all firewalls", bare)


def _released(network: Network, firewall: Firewall, name: str) -> Firewall | None:
    """The firewall without a droplet; None where it does not cover it, or not by a tag of its own."""
    droplet = network.droplets[name]
    if not firewall.covers(droplet):
        return None
    ids = tuple(each for each in firewall.droplet_ids if each != droplet.id)
    tags = tuple(each for each in firewall.tags if each.lower() != network.tag(name).lower())
    less = replace(firewall, droplet_ids=ids, tags=tags)
    return None if less.covers(droplet) else less


def _opened(network: Network) -> Iterator[Mutant]:
    kinds: dict[Direction, Kind] = {"inbound": "inbound-opened", "outbound": "outbound-opened"}
    for droplet in network.droplets:
        firewall = narrowest(network, droplet)
        if firewall is None:
            continue
        for direction in DIRECTIONS:
            for protocol in PROTOCOLS:
                hole = Rule(direction, protocol, ALL_PORTS, (Peer("addresses", ANYWHERE),))
                if hole not in firewall.rules:
                    side = "from" if direction == "inbound" else "to"
                    what = f"{part_of_name(firewall.name)}, {protocol} {side} anywhere"
                    opened = replace(firewall, rules=(*firewall.rules, hole))
                    yield Mutant(kinds[direction], what, network.state.replaced(opened))


def _trust(network: Network) -> Iterator[Mutant]:
    for database, sources in network.state.trusted:
        if sources:
            yield Mutant("trust-dropped", f"{database}: trusts everybody", _trusting(network, database, ()))
        for source in sources:
            left = tuple(each for each in sources if each != source)
            what = f"{database}: not {peer_name(network, source)}"
            yield Mutant("trust-removed", what, _trusting(network, database, left))
        for source in _more_sources(network, sources):
            what = f"{database}: {peer_name(network, source)} too"
            yield Mutant("trust-added", what, _trusting(network, database, (*sources, source)))


def _more_sources(network: Network, sources: Sequence[Peer]) -> Iterator[Peer]:
    if not sources:
        return
    trusted = _named(network, sources)
    yield from (Peer("tags", network.tag(each)) for each in network.droplets if each not in trusted)
    yield from _outsiders(network, sources)


def _swapped(network: Network, firewall: Firewall, old: Rule, new: Rule) -> FirewallState:
    rules = tuple(new if each == old else each for each in firewall.rules)
    return network.state.replaced(replace(firewall, rules=rules))


def _trusting(network: Network, database: str, sources: tuple[Peer, ...]) -> FirewallState:
    trusted = tuple((name, sources if name == database else each) for name, each in network.state.trusted)
    return replace(network.state, trusted=trusted)
