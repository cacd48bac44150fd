"""One flow, gate by gate: what the rules say, what the topology means, and what a probe met on its way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from harness.access.ssh import open_access
from harness.core import ports
from harness.core.errors import UsageError
from harness.core.names import STRANGER
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.from_api import look
from harness.firewall.model import Network, Pair, Side
from harness.firewall.walk import OUTSIDE, Walk, walk
from harness.isolation import intended
from harness.isolation.compare import differences
from harness.isolation.model import Difference, Observation, Seen
from harness.isolation.observe import is_witnessed, observe
from harness.isolation.outsider import stranger
from harness.isolation.standing import Standing
from harness.target.api import Api
from harness.target.emulator_api import Extras
from harness.topology.model import INTERNET, OPERATORS, Flow, Protocol, Topology
from harness.topology.validation.intent import describe

PLACES = (INTERNET, STRANGER, OPERATORS)
FORMS = "22, 22/tcp, 53/udp or icmp"
FLOW = ("source_ip", "target_ip", "protocol", "gate")
COUNTER = ("ref", "gate", "verdict", "firewall")


@dataclass(frozen=True)
class Asked:
    """One flow that is asked about; ``port`` is 0 for icmp."""

    pair: Pair
    protocol: Protocol
    port: int

    def __str__(self) -> str:
        what = "icmp" if self.protocol == "icmp" else f"{self.port}/{self.protocol}"
        return f"{self.pair} {what}"

    @property
    def ports(self) -> Ports:
        """The port as a set; all for icmp."""
        return ALL if self.protocol == "icmp" else ((self.port, self.port),)


@dataclass(frozen=True)
class Explanation:
    """What there is to say of one flow.

    ``meant`` are the lines of the intent that let it pass. ``seen`` is what the probe met, None without one;
    ``tampered`` what of the emulated network was changed by hand; ``counted`` what the emulator's counters
    gained meanwhile, in words; ``unasked`` why nothing was sent.
    """

    asked: Asked
    walk: Walk
    meant: tuple[str, ...]
    differences: tuple[Difference, ...]
    seen: Seen | None = None
    tampered: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    unasked: str = ""

    @property
    def observed(self) -> str:
        """``open``, ``closed``, ``filtered``, ``inconclusive``, or ``not observed``."""
        if self.seen is None:
            return "not observed"
        states = ("open", "closed", "filtered")
        reached = (each for each in states if ports.intersect(getattr(self.seen, each), self.asked.ports))
        return next(reached, "inconclusive")


def ask(network: Network, topology: Topology, words: Sequence[str], *, public: bool) -> Asked:
    """What FROM, TO and PORT mean. Raises ``UsageError`` with what is known, and the nearest."""
    source, target = end(network, topology, words[0]), end(network, topology, words[1])
    if source == target:
        raise UsageError(f"{source} to itself passes no gate: name two different ends")
    if target == OPERATORS:
        raise UsageError("operators only log in, nothing is sent to them: name another end as TO")
    protocol, port = flow(words[2])
    side: Side = "public" if public or {source, target} & {*OUTSIDE} else "private"
    return Asked(Pair(source, target, side), protocol, port)


def end(network: Network, topology: Topology, name: str) -> str:
    """An end by its name. Raises ``UsageError``."""
    known = tuple(
        dict.fromkeys(
            (*topology.droplets, *topology.databases, *network.droplets, *network.databases, *PLACES)
        )
    )
    if name in known:
        return name
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"unknown end {name!r}: {hint}known here: {', '.join(known)}")


def flow(text: str) -> tuple[Protocol, int]:
    """``22``, ``22/tcp``, ``53/udp`` or ``icmp`` as protocol and port. Raises ``UsageError``."""
    if text.lower() == "icmp":
        return "icmp", 0
    found = re.fullmatch(r"(\d{1,5})(?:/(tcp|udp))?", text.lower(), re.ASCII)
    if not found:
        raise UsageError(f"{text!r} is no port: write it as {FORMS}")
    port = int(found[1])
    if not 1 <= port <= ALL[0][1]:
        raise UsageError(f"port {text!r} is out of range: ports go from 1 to 65535; write it as {FORMS}")
    return ("udp" if found[2] == "udp" else "tcp"), port


def explain(stands: Standing, asked: Asked, *, probe: bool) -> Explanation:
    """Walk the gates of one flow and, with ``probe``, send it. Raises ``WavetankError``."""
    network = stands.network
    told = _told(stands.topology, network, asked, None)
    if not probe:
        return told
    if unasked := _why_not(network, asked, told.walk):
        return replace(told, unasked=unasked)
    observation, network, counted = _probe(stands, asked)
    return replace(_told(stands.topology, network, asked, observation), counted=counted)


def _told(topology: Topology, network: Network, asked: Asked, observation: Observation | None) -> Explanation:
    pair, protocol = asked.pair, asked.protocol
    found = differences(topology, network, observation, (pair,))
    seen = (each for each in (observation.seen if observation else ()) if each.protocol == protocol)
    return Explanation(
        asked,
        walk(network, pair, protocol, asked.port),
        _meant(topology, asked),
        tuple(
            replace(each, ports=asked.ports)
            for each in found
            if each.protocol == protocol and ports.intersect(each.ports, asked.ports)
        ),
        next(seen, None),
        observation.tampered if observation else (),
    )


def _meant(topology: Topology, asked: Asked) -> tuple[str, ...]:
    """The lines that let the flow pass, with where they stand."""
    flows = [
        each
        for each in intended.reasons(topology, asked.pair, asked.protocol)
        if asked.protocol == "icmp" or ports.intersect(ports.parse(each.ports), asked.ports)
    ]
    return tuple(f"{describe(each)} ({topology.file}: {_place(topology, each)})" for each in flows)


def _place(topology: Topology, each: Flow) -> str:
    return "intent" if each in topology.intent else "management"


def _why_not(network: Network, asked: Asked, walk: Walk) -> str:
    """Why no probe can be sent; empty where one can."""
    if not walk.steps[0].admits:
        return walk.steps[0].reason
    if asked.pair.source == OPERATORS:
        return "nothing is sent as operators: ask from internet, or log in with `wavetank ssh`"
    if asked.pair.source in network.databases:
        return "nothing can be sent from a managed database"
    return ""


def _probe(stands: Standing, asked: Asked) -> tuple[Observation, Network, tuple[str, ...]]:
    """One probe of one port, with a stranger for as long as it takes if the flow has one as an end."""
    target, deployment, refs = stands.target, stands.deployment, {}
    network = stands.network
    with ExitStack() as stack:
        if STRANGER in (asked.pair.source, asked.pair.target):
            deployment = stack.enter_context(stranger(target, stands.topology, deployment))
            refs[STRANGER] = f"droplet:{deployment.nodes[STRANGER].id}"
            api = stack.enter_context(Api(target, read_only=True))
            network = look(api, stands.topology, stands.choice.run)
        access = open_access(stands.choice.run_dir, target, stands.topology, deployment)
        before = _counters(stands)
        seen = observe(
            target,
            deployment,
            access,
            [asked.pair],
            tcp=asked.ports if asked.protocol == "tcp" else NONE,
            udp=asked.ports if asked.protocol == "udp" else NONE,
            icmp=asked.protocol == "icmp",
            passes=1,
            refs=refs,
        )
        return seen, network, counted(before, _counters(stands), _names(network))


def _counters(stands: Standing) -> Mapping[str, Any]:
    """The emulator's counters now; none on a cloud."""
    if not is_witnessed(stands.target):
        return {}
    with Extras(stands.target) as extras:
        return extras.ask("GET", "/counters")


def counted(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    """What the counters gained, in words. Others' packets count too: nothing tells them apart."""
    lines = []
    for kind, keys in (("flows", FLOW), ("counters", COUNTER)):
        old = {_key(row, keys): int(row["packets"]) for row in before.get(kind) or ()}
        for row in after.get(kind) or ():
            gained = int(row["packets"]) - old.get(_key(row, keys), 0)
            if gained > 0:
                lines.append(f"+{gained} {_flow(row, names) if kind == 'flows' else _counter(row, names)}")
    return tuple(lines)


def _key(row: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(key, "")) for key in keys)


def _flow(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    source, target, protocol, gate = _key(row, FLOW)
    ends = f"{names.get(source, source)} -> {names.get(target, target)}"
    return f"dropped at gate {gate}: {ends} {protocol}"


def _counter(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    ref, gate, verdict, firewall = _key(row, COUNTER)
    where = f"{verdict} at {names.get(ref, ref or 'the fabric')}, gate {gate}"
    return f"{where}: {firewall}" if firewall else where


def _names(network: Network) -> dict[str, str]:
    """Nodes by how counters call them: by address, and by the API's kind and id."""
    names = {network.internet: INTERNET}
    for droplet in (*network.droplets.values(), *network.others.values()):
        names |= {each: droplet.name for each in (droplet.private, droplet.public) if each}
        names[f"droplet:{droplet.id}"] = droplet.name
    return names | {f"database:{each.id}": each.name for each in network.databases.values()}
