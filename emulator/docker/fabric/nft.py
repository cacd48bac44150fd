"""From a policy and the machines to one nftables ruleset, as text. Pure.

A packet between two machines passes, in this order: the *guard* (its source must be the interface's own
address), the connection table (what goes on goes on), *routes* (public with public, a VPC with itself), the
sender's egress rules and the receiver's ingress rules. These are two chains, and both must let it pass.
Nothing passes to or from a machine that is not in the policy.

The ruleset replaces what is there in one transaction but keeps counters, so that these only ever grow.
Nothing that both old and new rules let pass may be lost meanwhile, and two things would lose it. A map that
belongs to a rule: the kernel empties it before the last packet has left that rule (``nft_map_deactivate`` in
its ``nf_tables_api.c``); so the maps ``gates.<out|in>``, which say whose rules an interface leads to, stay.
And a set of several ranges or networks, which finds nothing for a moment after it came into force (seen with
Linux 6.18); so each network has a rule of its own, and sets hold single values only.

Counters are named ``<machine>.<out|in|spoof>.<pass|drop>[.<firewall's hash>]``; rules count the first packet
of a connection, ``all.established.pass`` the rest.

What is dropped is also counted by pair, in sets that outlive a change of rules: ``flows.<out|in|route>`` hold
(source, target, protocol) of everything, ``probes.<out|in|route|other>`` (source, target, protocol, source
port) of a scan's probes, which are known by source ports that no kernel takes by itself, ``echoes`` the same
of echo requests by their identifier. A set that is full takes no more pairs; the packet is dropped anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, collapse_addresses

from emulator.docker.fabric import layout
from emulator.docker.fabric.links import Link, Machine, key
from emulator.planes.base import AllowRule, MemberPolicy, NetworkPolicy

TABLE = "inet wavetank"
PROBES = "61000-65535"
PAIR = "ip saddr . ip daddr . meta l4proto"
SYN = "tcp flags & (fin | syn | rst | ack) == syn"
ECHO = "icmp type echo-request icmp sequence 22356"  # WT, as wt_fabric.scan.frames has it
ANYBODY = IPv4Network("0.0.0.0/0")
FLOWS_MOST, PROBES_MOST = 32768, 65536
DIRECTIONS = ("out", "in")
DROP_REASONS = (*DIRECTIONS, "route", "other")
FIXED_COUNTERS = tuple(
    f"all.{name}" for name in ("established.pass", "invalid.drop", "route.drop", "spoof.drop", "input.drop")
)


@dataclass(frozen=True)
class Present:
    """What the kernel's table holds already, by name; ``links`` are the interfaces that have rules."""

    chains: frozenset[str] = frozenset()
    counters: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()


@dataclass
class _Text:
    """Chains as they are written, and the counters they use."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    counters: dict[str, None] = field(default_factory=dict)

    def count(self, name: str) -> str:
        self.counters.setdefault(name)
        return f'counter name "{name}"'


def ruleset(policy: NetworkPolicy, machines: Sequence[Machine], present: Present) -> tuple[str, Present]:
    """The text for ``nft -f`` and what the table will hold once it is loaded."""
    text = _Text(counters=dict.fromkeys(FIXED_COUNTERS))
    members = {member.ref: member for member in policy.members}
    for machine in machines:
        _machine_rules(text, machine, members.get(machine.ref))
    text.chains |= {
        **{f"lost.{reason}": _drop_chain(reason) for reason in DROP_REASONS},
        "guard": _guard(text, machines),
        "forward": _forward(text),
        "input": _input(text),
        "routes": _routes(text, machines),
        "egress": _dispatch("iifname", "out"),
        "ingress": _dispatch("oifname", "in"),
    }
    owners = {link.name: machine for machine in machines for link in machine.links}
    after = Present(frozenset(text.chains), frozenset(text.counters), frozenset(owners))
    return "\n".join(_transaction(text, owners, present, after)) + "\n", after


def counter_labels(name: str) -> tuple[str, str, str, str]:
    """Machine key, direction, verdict and firewall's hash of a counter's name."""
    machine, direction, verdict, *firewall = name.split(".")
    return machine, direction, verdict, firewall[0] if firewall else ""


def firewall_hash(firewall: str) -> str:
    """The hash that stands for a firewall in counters' names."""
    return hashlib.sha256(firewall.encode()).hexdigest()[:8]


def _transaction(
    text: _Text, owners: Mapping[str, Machine], present: Present, after: Present
) -> Iterable[str]:
    yield f"add table {TABLE}"
    for name in text.counters:
        if name not in present.counters:
            yield f"add counter {TABLE} {name}"
    yield f"flush table {TABLE}"
    stale = sorted(present.links - after.links)
    for direction in DIRECTIONS if stale else ():
        yield f"delete element {TABLE} gates.{direction} {_set(map(_quoted, stale))}"
    for name in sorted(present.chains - after.chains):
        yield f"delete chain {TABLE} {name}"
    for name in sorted(present.counters - after.counters):
        yield f"delete counter {TABLE} {name}"
    yield f"table {TABLE} {{"
    yield from _sets()
    yield from _maps({name: owners[name] for name in owners if name not in present.links})
    for name, rules in text.chains.items():
        yield f"  chain {name} {{"
        yield from (f"    {rule}" for rule in rules)
        yield "  }"
    yield "}"


def _sets() -> Iterable[str]:
    """Declared each time, which changes nothing in those that are there."""
    counted = "flags dynamic; counter;"
    for reason in DROP_REASONS[:3]:
        yield f"  set flows.{reason} {{ typeof {PAIR}; size {FLOWS_MOST}; {counted} }}"
    for reason in DROP_REASONS:
        yield f"  set probes.{reason} {{ typeof {PAIR} . tcp sport; size {PROBES_MOST}; {counted} }}"
        yield f"  set echoes.{reason} {{ typeof {PAIR} . icmp id; size {PROBES_MOST}; {counted} }}"


def _maps(fresh: Mapping[str, Machine]) -> Iterable[str]:
    """Whose rules interfaces lead to, with those that are ``fresh``; what is there stays untouched."""
    for direction in DIRECTIONS:
        yield f"  map gates.{direction} {{"
        yield "    type ifname : verdict"
        if fresh:
            entries = (f"{_quoted(name)} : goto {direction}.{machine.key}" for name, machine in fresh.items())
            yield f"    elements = {_set(entries)}"
        yield "  }"


def _drop_chain(reason: str) -> list[str]:
    """Drop a packet, and count it by pair: each reason to drop ends in one of these chains."""
    flow = [f"add @flows.{reason} {{ {PAIR} counter }}"] if reason in DROP_REASONS[:3] else []
    return [
        *flow,
        f"{SYN} tcp sport {PROBES} add @probes.{reason} {{ {PAIR} . tcp sport counter }} drop",
        f"udp sport {PROBES} add @probes.{reason} {{ {PAIR} . udp sport counter }} drop",
        f"{ECHO} icmp id {PROBES} add @echoes.{reason} {{ {PAIR} . icmp id counter }} drop",
        "drop",
    ]


def _guard(text: _Text, machines: Sequence[Machine]) -> list[str]:
    rules = [
        "type filter hook prerouting priority raw; policy drop;",
        'iifname "lo" accept',
        *(f'iifname "edge0" ip saddr {network} accept' for network in layout.OUTSIDE),
    ]
    links = [link for machine in machines for link in machine.links]
    if links:
        known = _set(f"{_quoted(link.name)} . {link.ip}" for link in links)
        rules.append(f"iifname . ip saddr {known} accept")
    named = (
        f"iifname {_names(machine.links)} {text.count(f'{machine.key}.spoof.drop')} goto lost.other"
        for machine in machines
    )
    return [*rules, *named, f"{text.count('all.spoof.drop')} goto lost.other"]


def _forward(text: _Text) -> list[str]:
    return [
        "type filter hook forward priority filter; policy drop;",
        f"ct state invalid {text.count('all.invalid.drop')} goto lost.other",
        # Only what a firewall can allow goes on by itself: an ESP flow must not outlive a change of rules.
        "meta l4proto { tcp, udp, icmp } ct state established,related "
        f"{text.count('all.established.pass')} accept",
        "jump routes",
        "jump egress",
        "jump ingress",
        "accept",
    ]


def _input(text: _Text) -> list[str]:
    """What machines may ask of the fabric itself: metadata always, the rest through their egress rules."""
    return [
        "type filter hook input priority filter; policy drop;",
        'iifname "lo" accept',
        "ct state established,related accept",
        f'iifname != "edge0" ip daddr {layout.METADATA} tcp dport 80 accept',
        "jump egress",
        f"ip daddr {layout.RESOLVER} meta l4proto {{ tcp, udp }} th dport 53 accept",
        f"ip daddr != {layout.METADATA} icmp type echo-request accept",
        f"{text.count('all.input.drop')} drop",
    ]


def _routes(text: _Text, machines: Sequence[Machine]) -> list[str]:
    """Public interfaces reach each other and the edge; those of a VPC reach their own VPC."""
    networks: dict[str, list[str]] = {"": ['"edge0"']}
    for machine in machines:
        for link in machine.links:
            networks.setdefault(link.network, []).append(_quoted(link.name))
    rules = [f"iifname {_set(names)} oifname {_set(names)} return" for names in networks.values()]
    return [*rules, f"{text.count('all.route.drop')} goto lost.route"]


def _dispatch(side: str, direction: str) -> list[str]:
    return [f"{side} vmap @gates.{direction}", f'{side} "edge0" return', "goto lost.other"]


def _machine_rules(text: _Text, machine: Machine, member: MemberPolicy | None) -> None:
    """Write the egress and ingress rules of one machine."""
    for direction, address in (("out", "daddr"), ("in", "saddr")):
        prefix = f"{machine.key}.{direction}"
        if member is not None and not member.covered:
            rules = [f"{text.count(f'{prefix}.pass')} return"]
        else:
            allowed = () if member is None else member.outbound if direction == "out" else member.inbound
            rules = [rule for one in allowed for rule in _allow(text, prefix, address, one)]
            rules.append(f"{text.count(f'{prefix}.drop')} goto lost.{direction}")
        text.chains[f"{direction}.{machine.key}"] = rules


def _allow(text: _Text, prefix: str, address: str, allowed: AllowRule) -> Iterable[str]:
    parts = [f"meta l4proto {allowed.protocol}"]
    first, last = allowed.ports
    if allowed.protocol != "icmp" and (first > 1 or last < 65535):
        parts.append(f"th dport {first}" if first == last else f"th dport {first}-{last}")
    then = [text.count(f"{prefix}.pass.{firewall_hash(allowed.firewall)}"), "return"]
    for peers in _peers(allowed.peers):
        yield " ".join([*parts, *([f"ip {address} {peers}"] if peers else ()), *then])


def _peers(peers: Sequence[str]) -> Iterable[str]:
    """What an address is compared with: each network by itself, then all single addresses; "" for anybody."""
    given = [IPv4Network(peer, strict=False) for peer in peers]
    networks = list(collapse_addresses(one for one in given if one.prefixlen < 32))
    if ANYBODY in networks:
        return [""]
    single = sorted({one for one in given if one.prefixlen == 32 and not any(map(one.subnet_of, networks))})
    together = [_set(str(one.network_address) for one in single)] if single else []
    return [*map(str, networks), *together]


def _set(elements: Iterable[str]) -> str:
    return f"{{ {', '.join(elements)} }}"


def _names(links: Sequence[Link]) -> str:
    return _set(_quoted(link.name) for link in links)


def _quoted(name: str) -> str:
    return f'"{name}"'


def firewalls_by_hash(policy: NetworkPolicy) -> dict[tuple[str, str, str], str]:
    """Firewall names by machine key, direction and hash, to read counters with."""
    return {
        (key(member.ref), direction, firewall_hash(rule.firewall)): rule.firewall
        for member in policy.members
        for direction, rules in (("out", member.outbound), ("in", member.inbound))
        for rule in rules
    }
