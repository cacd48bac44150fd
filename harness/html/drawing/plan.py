"""What the picture shows: boxes, and the arrows between them. From a report; nothing has a place yet."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.core import ports
from harness.core.ports import NONE, Ports
from harness.html.words import PROTOCOLS, read_ports, spaced_ports

Kind = Literal["droplet", "database", "outside", "stranger"]
STRANGER = "stranger"
MOST_VIOLATED = 16


@dataclass(frozen=True)
class Box:
    """One node, or several that have the same flows. ``members`` are (name, second line)."""

    key: str
    kind: Kind
    members: tuple[tuple[str, str], ...]
    among: str = ""


@dataclass(frozen=True)
class Arrow:
    """Allowed flows from one box to another, or violated ones. ``description`` is their full text."""

    source: str
    target: str
    label: str
    description: str
    violated: bool = False


@dataclass(frozen=True)
class Plan:
    """Boxes and arrows. ``sinks`` are the places outside that only receive; ``unshown`` counts violated
    pairs that would be too many to draw."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    sinks: frozenset[str]
    unshown: int = 0


@dataclass(frozen=True)
class _Flow:
    source: str
    target: str
    label: str
    violated: bool


Sets = dict[str, Ports]


def plan(report: Mapping[str, Any]) -> Plan:
    """The picture of a report's nodes, its ``intent`` and its ``isolation.violations``."""
    nodes = _nodes(report)
    violations = report.get("isolation", {}).get("violations", [])
    flows, unshown = _flows(report.get("intent", []), violations, nodes)
    groups = _groups(nodes, flows, report)
    places = {name: group[0] for group in groups for name in group}
    outside = dict.fromkeys(end for flow in flows for end in (flow.source, flow.target) if end not in nodes)
    boxes = [_box(group, nodes, flows) for group in groups]
    boxes += [_outside(key) for key in outside]
    sinks = {key for key in outside if key.startswith("to ")}
    return Plan(tuple(boxes), tuple(_arrows(flows, places)), frozenset(sinks), unshown)


def _nodes(report: Mapping[str, Any]) -> dict[str, tuple[Kind, str]]:
    nodes: dict[str, tuple[Kind, str]] = {}
    for each in report.get("droplets", []):
        addresses = each.get("addresses", {})
        nodes[each["name"]] = "droplet", addresses.get("private") or addresses.get("public") or ""
    for each in report.get("databases", []):
        port = str(each.get("addresses", {}).get("private", "")).rpartition(":")[2]
        nodes[each["name"]] = "database", f"{each.get('engine', '')} {port}".strip()
    return nodes


def _flows(
    intent: Iterable[Mapping[str, str]], violations: Iterable[Mapping[str, str]], nodes: Mapping[str, Any]
) -> tuple[list[_Flow], int]:
    meant: dict[tuple[str, str], Sets] = defaultdict(dict)
    for each in intent:
        pair = _ends(each["source"], each["destination"], nodes)
        _add(meant[pair], each["protocol"], _of_intent(each))
    broken: dict[tuple[str, str], dict[str, Sets]] = defaultdict(lambda: defaultdict(dict))
    for each in violations:
        pair = _ends(each["source"], each["target"], nodes)
        which = ports.ALL if each["protocol"] == "icmp" else read_ports(each["ports"])
        _add(broken[pair][_how(each)], each["protocol"], which)
    shown = list(broken)[:MOST_VIOLATED]
    for pair in shown:
        meant[pair] = _without(meant[pair], broken[pair]["blocked"])
    flows = [_Flow(*pair, _label(sets), violated=False) for pair, sets in meant.items() if any(sets.values())]
    flows += [
        _Flow(*pair, f"{_label(sets)} {how}", violated=True)
        for pair in shown
        for how, sets in broken[pair].items()
        if sets
    ]
    return flows, len(broken) - len(shown)


def _ends(source: str, target: str, nodes: Mapping[str, Any]) -> tuple[str, str]:
    """What is outside stands twice: on the left as it sends, on the right as it receives."""
    known = target in nodes or target == STRANGER
    return source, target if known else f"to {target}"


def _how(violation: Mapping[str, str]) -> str:
    if violation["intended"] == "admitted":
        return "blocked"
    return "passes" if violation["observed"] == "admitted" else "admitted"


def _of_intent(flow: Mapping[str, str]) -> Ports:
    return ports.ALL if flow["protocol"] == "icmp" else ports.parse(flow["ports"] or "0")


def _add(sets: Sets, protocol: str, which: Ports) -> None:
    sets[protocol] = ports.union(sets.get(protocol, NONE), which)


def _without(sets: Sets, others: Sets) -> Sets:
    return {protocol: ports.subtract(which, others.get(protocol, NONE)) for protocol, which in sets.items()}


def _label(sets: Sets) -> str:
    """``80, 443``; what is not TCP is named: ``53 tcp+udp``."""
    by_ports: dict[str, list[str]] = defaultdict(list)
    for protocol in PROTOCOLS:
        if which := sets.get(protocol):
            by_ports["" if protocol == "icmp" else ports.render(which)].append(protocol)
    return "; ".join(
        spaced_ports(text) if protocols == ["tcp"] else f"{_spaced(text)}{'+'.join(protocols)}"
        for text, protocols in by_ports.items()
    )


def _spaced(text: str) -> str:
    return f"{spaced_ports(text)} " if text else ""


def _groups(
    nodes: Mapping[str, Any], flows: Iterable[_Flow], report: Mapping[str, Any]
) -> list[tuple[str, ...]]:
    """Nodes of one role that have the same flows, by the order of the report."""
    roles = {each["name"]: each.get("role", "") for each in report.get("droplets", [])}
    family = {name: roles.get(name) or re.sub(r"[-_]?\d+$", "", name) for name in nodes}
    theirs: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for flow in flows:
        for way, one, other in (("out", flow.source, flow.target), ("in", flow.target, flow.source)):
            alike = one in nodes and other in nodes and family[one] == family[other]
            theirs[one].add((way, "" if alike else other, flow.label, str(flow.violated)))
    groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for name, (kind, _) in nodes.items():
        groups[kind, family[name], frozenset(theirs[name])].append(name)
    return [tuple(group) for group in groups.values()]


def _box(group: tuple[str, ...], nodes: Mapping[str, tuple[Kind, str]], flows: Iterable[_Flow]) -> Box:
    inner = [flow.label for flow in flows if flow.source in group and flow.target in group]
    members = tuple((name, nodes[name][1]) for name in group)
    return Box(group[0], nodes[group[0]][0], members, "; ".join(dict.fromkeys(inner)))


def _outside(key: str) -> Box:
    name = key.removeprefix("to ")
    if name == STRANGER:
        return Box(key, "stranger", ((name, "another droplet"),))
    notes = {"internet": "any address", "operators": "log-in", "vpc": "any member"}
    return Box(key, "outside", ((name, notes.get(name, "")),))


def _arrows(flows: Iterable[_Flow], places: Mapping[str, str]) -> Iterable[Arrow]:
    description: dict[tuple[str, str, str, bool], list[str]] = defaultdict(list)
    for flow in flows:
        source, target = places.get(flow.source, flow.source), places.get(flow.target, flow.target)
        if source != target:
            line = f"{flow.source} → {flow.target.removeprefix('to ')}: {flow.label}"
            description[source, target, flow.label, flow.violated].append(line)
    for (source, target, label, violated), lines in description.items():
        yield Arrow(source, target, label, "\n".join(lines), violated)
