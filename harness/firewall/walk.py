"""One flow, step by step: is there a route, do the egress rules admit it, do the ingress rules admit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.core import ports
from harness.core.ports import ALL, Ports
from harness.firewall.addresses import address, no_route
from harness.firewall.evaluate import allowed, allowed_by, spans
from harness.firewall.model import Direction, Network, Pair
from harness.firewall.naming import peer_name, rule_text
from harness.firewall.ranges import combine, ports_with
from harness.topology.model import INTERNET, OPERATORS, Protocol

StepName = Literal["route", "out", "in"]

STEPS: dict[Direction, StepName] = {"outbound": "out", "inbound": "in"}
TRUSTED = "trusted sources"
OUTSIDE = (INTERNET, OPERATORS)


@dataclass(frozen=True)
class Step:
    """One step: ``route`` (is there one at all), ``out`` (the sender's rules), ``in`` (the receiver's).

    ``gate`` is which of them; it is a key of reports. ``covering`` are the firewalls that cover ``end``;
    ``firewall`` and ``rule`` what admits, or empty where nothing does or nothing needs to. ``reason`` says
    why.
    """

    gate: StepName
    end: str
    admits: bool
    reason: str
    covering: tuple[str, ...] = ()
    firewall: str = ""
    rule: str = ""


@dataclass(frozen=True)
class Walk:
    """One flow through all its steps, even after one denies it. ``notes``: what else matters."""

    pair: Pair
    protocol: Protocol
    port: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether every step lets it pass."""
        return all(step.admits for step in self.steps)

    @property
    def decides(self) -> Step:
        """The first step that denies; where none does, the last one."""
        return next((step for step in self.steps if not step.admits), self.steps[-1])


def walk(network: Network, pair: Pair, protocol: Protocol, port: int) -> Walk:
    """The steps of one flow, one by one; ``port`` is ignored for icmp."""
    this: Ports = ALL if protocol == "icmp" else ((port, port),)
    missing = no_route(network, pair)
    steps = [Step("route", pair.source, not missing, missing or _route(network, pair))]
    if not missing:
        steps += [_out(network, pair, protocol, this), _in(network, pair, protocol, this)]
    return Walk(pair, protocol, port, tuple(steps), tuple(power(network, pair)))


def power(network: Network, pair: Pair) -> Iterator[str]:
    """Which end is not running, as text."""
    for end in (pair.source, pair.target):
        droplet = network.droplet(end)
        if droplet is not None and droplet.status != "active":
            yield f"{end} is {droplet.status}: nothing gets through, whatever the firewalls admit"


def _route(network: Network, pair: Pair) -> str:
    source, target = (address(network, end, pair.side) for end in (pair.source, pair.target))
    if pair.target in network.databases:
        target = f"{pair.target}'s {pair.side} endpoint"
    return f"from {source} to {target}, {'within the VPC' if pair.side == 'private' else 'over the internet'}"


def _out(network: Network, pair: Pair, protocol: Protocol, this: Ports) -> Step:
    if pair.source in network.databases:
        return Step("out", pair.source, admits=False, reason="a managed database opens no connections")
    far = address(network, pair.target, pair.side)
    return _droplet_step(network, pair.source, "outbound", (protocol, this), far)


def _in(network: Network, pair: Pair, protocol: Protocol, this: Ports) -> Step:
    far = address(network, pair.source, pair.side)
    if pair.target in network.databases:
        return _database_step(network, pair.target, protocol, this, far)
    return _droplet_step(network, pair.target, "inbound", (protocol, this), far)


def _droplet_step(
    network: Network, end: str, direction: Direction, flow: tuple[Protocol, Ports], far: str
) -> Step:
    protocol, this = flow
    name = STEPS[direction]
    if end in OUTSIDE:
        return Step(name, end, admits=True, reason=f"{end} is beyond the deployment: no firewall to pass")
    covering = network.covering(end)
    names = tuple(each.name for each in covering)
    if not covering:
        return Step(name, end, admits=True, reason=f"no firewall covers {end}: it is open")
    for firewall in covering:
        for rule in firewall.of(direction):
            if not ports.subtract(this, ports_with(allowed_by(network, [rule], protocol), far)):
                text = rule_text(network, rule)
                return Step(name, end, True, f"{firewall.name} has {text!r}", names, firewall.name, text)
    if not ports.subtract(this, ports_with(allowed(network, end, direction, protocol), far)):
        return Step(name, end, True, "several rules together admit it", names, names[0])
    return Step(name, end, False, f"no {direction} rule of {' or '.join(names)} admits it", names)


def _database_step(network: Network, end: str, protocol: Protocol, this: Ports, far: str) -> Step:
    database = network.databases[end]
    if protocol != "tcp" or this != ((database.port, database.port),):
        return Step("in", end, False, f"{end} takes tcp {database.port} and nothing else", (TRUSTED,))
    sources = network.state.trusted_sources(end)
    if not sources:
        why = f"{end} has no trusted sources: it is open to everybody"
        return Step("in", end, True, why, (TRUSTED,), TRUSTED)
    for source in sources:
        if ports_with(combine((span, ALL) for span in spans(network, [source])), far):
            name = peer_name(network, source)
            return Step("in", end, True, f"{end} trusts {name}", (TRUSTED,), TRUSTED, name)
    trusted = ", ".join(peer_name(network, each) for each in sources)
    return Step("in", end, False, f"{end} trusts only {trusted}", (TRUSTED,))
