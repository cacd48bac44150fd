"""What a mutant changes, before a packet is sent: nothing, what packets reach, or the rules at one end only.

A packet must pass the sender's rules and the receiver's. Where a mutant opens the one and the other stay
closed, no packet can show it, yet half of the protection is gone. Such a mutant is *hidden*; to see it, the
rules at the other end are opened as well, and then only what it alone changes counts against it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from harness.core import ports
from harness.core.names import part_of_name
from harness.core.ports import NONE, Ports
from harness.firewall.evaluate import (
    Allowed,
    Reachability,
    all_allowed,
    changed,
    differing,
    reachability,
    spans,
)
from harness.firewall.model import (
    ALL_PORTS,
    ANYWHERE,
    Direction,
    Firewall,
    FirewallState,
    Network,
    Pair,
    Peer,
    Rule,
)
from harness.firewall.ranges import overlap
from harness.mutation.generate import narrowest
from harness.mutation.model import Mutant
from harness.mutation.pairs import pairs
from harness.mutation.words import rule_name
from harness.topology.model import PROTOCOLS, Protocol

Affected = Mapping[tuple[Pair, Protocol], Ports]


@dataclass(frozen=True)
class Baseline:
    """What is in force before any mutant, computed once."""

    network: Network
    allowed: Allowed
    reachable: Reachability

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs that packets can be sent between."""
        return tuple(dict.fromkeys(pair for pair, _ in self.reachable))


@dataclass(frozen=True)
class Effect:
    """What one mutant changes.

    ``equivalent`` says why it changes nothing, or is empty. ``affected`` are the ports that are reachable and
    were not, or the other way round, once ``opened_state`` is in force. That is the mutant's own state,
    unless it is hidden: then the rules at other ends are opened as well, and ``opened_ends`` names them.
    """

    equivalent: str
    affected: Affected
    opened_state: FirewallState
    opened_ends: tuple[str, ...] = ()


def baseline(network: Network) -> Baseline:
    """Everything about what is in force that mutants are compared with."""
    return Baseline(network, all_allowed(network), reachability(network, pairs(network)))


def effect(base: Baseline, mutant: Mutant) -> Effect:
    """What ``mutant`` changes, by the rules at every end for every address, and then by pairs."""
    mutated = base.network.under(mutant.state)
    turned = changed(base.allowed, all_allowed(mutated))
    if not turned:
        return Effect(_why_equivalent(base.network, mutant), {}, mutant.state)
    affected = differing(base.reachable, reachability(mutated, base.pairs))
    if affected:
        return Effect("", affected, mutant.state)
    return _hidden(base, mutant, {direction for _, direction, _ in turned})


def merged(every: Iterable[Affected]) -> dict[tuple[Pair, Protocol], Ports]:
    """All that several mutants affect."""
    made: dict[tuple[Pair, Protocol], Ports] = {}
    for affected in every:
        for key, which in affected.items():
            made[key] = ports.union(made.get(key, NONE), which)
    return made


def _hidden(base: Baseline, mutant: Mutant, directions: set[Direction]) -> Effect:
    """Open all rules on the other side, of the original and of the mutant: what is left is the mutant's."""
    others: set[Direction] = {"outbound" if each == "inbound" else "inbound" for each in directions}
    mutated = base.network.under(mutant.state)
    plain, opened = (_opened(each, others) for each in (base.network, mutated))
    before, after = (reachability(each, base.pairs) for each in (plain, opened))
    affected = differing(before, after)
    if not affected:
        return Effect("", {}, mutant.state)
    found = {pair for pair, _ in affected}
    sources, targets = {pair.source for pair in found}, {pair.target for pair in found}
    opened_state, opened_ends = mutated, set[str]()
    for direction in others:
        ends = sources if direction == "outbound" else targets
        opened_state, opened_ends = _opened(opened_state, {direction}, ends, sources), opened_ends | ends
    return Effect("", affected, opened_state.state, tuple(sorted(opened_ends)))


def _opened(
    network: Network,
    directions: set[Direction],
    at: Collection[str] | None = None,
    sources: Collection[str] | None = None,
) -> Network:
    """The network with more let through: outbound to anywhere, inbound from droplets; None means all."""
    tags = [network.tag(each) for each in network.droplets if sources is None or each in sources]
    for droplet in (each for each in network.droplets if at is None or each in at):
        firewall = narrowest(network, droplet)
        if firewall is not None:
            holes = (hole for direction in sorted(directions) for hole in _holes(direction, tags))
            rules = tuple(dict.fromkeys((*firewall.rules, *holes)))
            network = network.under(network.state.replaced(replace(firewall, rules=rules)))
    return network


def _holes(direction: Direction, tags: Sequence[str]) -> Iterator[Rule]:
    named = tuple(Peer("tags", each) for each in tags)
    peers = (Peer("addresses", ANYWHERE),) if direction == "outbound" else named
    yield from (Rule(direction, each, ALL_PORTS, peers) for each in PROTOCOLS)


def _why_equivalent(network: Network, mutant: Mutant) -> str:
    """Why nothing is changed: which rules that are there anyway admit the same."""
    same = "all rules together admit the same as before, for every address, port and protocol"
    rules = dict.fromkeys(_equivalent_rules(network, mutant))
    return f"{same}: {'; '.join(rules)}" if rules else same


def _equivalent_rules(network: Network, mutant: Mutant) -> Iterator[str]:
    before, after = (set(_held(each.firewalls)) for each in (network.state, mutant.state))
    firewalls = {each.id: each for each in network.state.firewalls}
    for gone in before ^ after:
        for other in mutant.state.firewalls:
            if _share_a_droplet(network, firewalls[gone.firewall], other):
                yield from (
                    f"{part_of_name(other.name)} has {rule_name(network, each.rule)} as well"
                    for each in _held([other])
                    if each in before & after and _overlap(network, each.rule, gone.rule)
                )


class _Held(NamedTuple):
    """A rule with whom it is for."""

    firewall: str
    covered: tuple[tuple[str, ...], tuple[str, ...]]
    rule: Rule


def _held(firewalls: Iterable[Firewall]) -> Iterator[_Held]:
    for each in firewalls:
        yield from (_Held(each.id, (each.droplet_ids, each.tags), rule) for rule in each.rules)


def _share_a_droplet(network: Network, one: Firewall, other: Firewall) -> bool:
    return not set(network.covered_by(one)).isdisjoint(network.covered_by(other))


def _overlap(network: Network, one: Rule, other: Rule) -> bool:
    if (one.direction, one.protocol) != (other.direction, other.protocol):
        return False
    if not ports.intersect(one.admits, other.admits):
        return False
    mine, theirs = spans(network, one.peers), spans(network, other.peers)
    return any(overlap(each, that) for each in mine for that in theirs)
