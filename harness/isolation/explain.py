"""One flow, step by step: what the rules say, what the topology intends, and what a probe found."""

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
from harness.firewall.from_api import inspect
from harness.firewall.model import Network, Pair, Side
from harness.firewall.walk import OUTSIDE, Walk, walk
from harness.isolation import intended
from harness.isolation.compare import differences
from harness.isolation.model import Difference, Observation, ScanResult
from harness.isolation.observe import has_packet_counters, observe
from harness.isolation.outsider import outsider
from harness.isolation.session import NetworkSession
from harness.target.api import Api
from harness.target.emulator_api import EmulatorApi
from harness.topology.model import INTERNET, OPERATORS, Flow, Protocol, Topology
from harness.topology.validation.intent import describe

PLACES = (INTERNET, STRANGER, OPERATORS)
FORMS = "22, 22/tcp, 53/udp or icmp"
FLOW = ("source_ip", "target_ip", "protocol", "gate")
COUNTER = ("ref", "gate", "verdict", "firewall")
DROPPED_BY = {"out": "egress rules", "in": "ingress rules", "route": "routing"}


@dataclass(frozen=True)
class FlowQuery:
    """One flow to explain; ``port`` is 0 for icmp."""

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
    """The explanation of one flow.

    ``meant`` are the lines of the intent that let it pass. ``result`` is what the probe found, None without
    one; ``tampered`` what of the emulated network was changed by hand; ``counted`` by how much the emulator's
    counters grew meanwhile, as text; ``not_probed`` why nothing was sent.
    """

    query: FlowQuery
    walk: Walk
    meant: tuple[str, ...]
    differences: tuple[Difference, ...]
    result: ScanResult | None = None
    tampered: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    not_probed: str = ""

    @property
    def observed(self) -> str:
        """``open``, ``closed``, ``filtered``, ``inconclusive``, or ``not observed``."""
        if self.result is None:
            return "not observed"
        states = ("open", "closed", "filtered")
        reached = (each for each in states if ports.intersect(getattr(self.result, each), self.query.ports))
        return next(reached, "inconclusive")


def parse_query(network: Network, topology: Topology, words: Sequence[str], *, public: bool) -> FlowQuery:
    """The query that FROM, TO and PORT ask. Raises ``UsageError`` with the known and the nearest names."""
    source, target = end(network, topology, words[0]), end(network, topology, words[1])
    if source == target:
        raise UsageError(f"{source} to itself passes no firewall: name two different ends")
    if target == OPERATORS:
        raise UsageError("operators only log in and nothing is sent to them: name another end as TO")
    protocol, port = flow(words[2])
    side: Side = "public" if public or {source, target} & {*OUTSIDE} else "private"
    return FlowQuery(Pair(source, target, side), protocol, port)


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


def explain(session: NetworkSession, query: FlowQuery, *, probe: bool) -> Explanation:
    """Walk through the steps of one flow and, with ``probe``, send it. Raises ``WavetankError``."""
    network = session.network
    explanation = _explain(session.topology, network, query, None)
    if not probe:
        return explanation
    if not_probed := _why_not_probed(network, query, explanation.walk):
        return replace(explanation, not_probed=not_probed)
    observation, network, counted = _probe(session, query)
    return replace(_explain(session.topology, network, query, observation), counted=counted)


def _explain(
    topology: Topology, network: Network, query: FlowQuery, observation: Observation | None
) -> Explanation:
    pair, protocol = query.pair, query.protocol
    found = differences(topology, network, observation, (pair,))
    result = (each for each in (observation.results if observation else ()) if each.protocol == protocol)
    return Explanation(
        query,
        walk(network, pair, protocol, query.port),
        _meant(topology, query),
        tuple(
            replace(each, ports=query.ports)
            for each in found
            if each.protocol == protocol and ports.intersect(each.ports, query.ports)
        ),
        next(result, None),
        observation.tampered if observation else (),
    )


def _meant(topology: Topology, query: FlowQuery) -> tuple[str, ...]:
    """The lines that let the flow pass, with where they stand."""
    flows = [
        each
        for each in intended.reasons(topology, query.pair, query.protocol)
        if query.protocol == "icmp" or ports.intersect(ports.parse(each.ports), query.ports)
    ]
    return tuple(f"{describe(each)} ({topology.file}: {_place(topology, each)})" for each in flows)


def _place(topology: Topology, each: Flow) -> str:
    return "intent" if each in topology.intent else "management"


def _why_not_probed(network: Network, query: FlowQuery, walk: Walk) -> str:
    """Why no probe can be sent; empty where one can."""
    if not walk.steps[0].admits:
        return walk.steps[0].reason
    if query.pair.source == OPERATORS:
        return "nothing is sent as operators: ask from internet, or log in with `wavetank ssh`"
    if query.pair.source in network.databases:
        return "nothing can be sent from a managed database"
    return ""


def _probe(session: NetworkSession, query: FlowQuery) -> tuple[Observation, Network, tuple[str, ...]]:
    """Probe one port; where the flow has an outsider as an end, one exists for as long as that takes."""
    target, deployment, refs = session.target, session.deployment, {}
    network = session.network
    with ExitStack() as stack:
        if STRANGER in (query.pair.source, query.pair.target):
            deployment = stack.enter_context(outsider(target, session.topology, deployment))
            refs[STRANGER] = f"droplet:{deployment.nodes[STRANGER].id}"
            api = stack.enter_context(Api(target, read_only=True))
            network = inspect(api, session.topology, session.choice.run)
        access = open_access(session.choice.run_dir, target, session.topology, deployment)
        before = _counters(session)
        result = observe(
            target,
            deployment,
            access,
            [query.pair],
            tcp=query.ports if query.protocol == "tcp" else NONE,
            udp=query.ports if query.protocol == "udp" else NONE,
            icmp=query.protocol == "icmp",
            passes=1,
            refs=refs,
        )
        return result, network, counted(before, _counters(session), _names(network))


def _counters(session: NetworkSession) -> Mapping[str, Any]:
    """The emulator's counters now; none on a cloud."""
    if not has_packet_counters(session.target):
        return {}
    with EmulatorApi(session.target) as emulator:
        return emulator.ask("GET", "/counters")


def counted(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    """By how much the counters grew, as text. This includes other packets: they cannot be told apart."""
    lines = []
    for kind, keys in (("flows", FLOW), ("counters", COUNTER)):
        old = {_key(row, keys): int(row["packets"]) for row in before.get(kind) or ()}
        for row in after.get(kind) or ():
            grown = int(row["packets"]) - old.get(_key(row, keys), 0)
            if grown > 0:
                lines.append(f"+{grown} {_flow(row, names) if kind == 'flows' else _counter(row, names)}")
    return tuple(lines)


def _key(row: Mapping[str, Any], keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(key, "")) for key in keys)


def _flow(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    source, target, protocol, gate = _key(row, FLOW)
    ends = f"{names.get(source, source)} -> {names.get(target, target)}"
    return f"dropped by {DROPPED_BY.get(gate, gate)}: {ends} {protocol}"


def _counter(row: Mapping[str, Any], names: Mapping[str, str]) -> str:
    ref, gate, verdict, firewall = _key(row, COUNTER)
    where = f"{verdict} at {names.get(ref, ref or 'the fabric')}, {DROPPED_BY.get(gate, gate)}"
    return f"{where}: {firewall}" if firewall else where


def _names(network: Network) -> dict[str, str]:
    """Nodes by the names that counters use: by address, and by the API's kind and id."""
    names = {network.internet: INTERNET}
    for droplet in (*network.droplets.values(), *network.others.values()):
        names |= {each: droplet.name for each in (droplet.private, droplet.public) if each}
        names[f"droplet:{droplet.id}"] = droplet.name
    return names | {f"database:{each.id}": each.name for each in network.databases.values()}
