"""The intent against the firewalls: everything intended is admitted, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from harness.core import ports
from harness.core.ports import Ports
from harness.firewall.addresses import address
from harness.firewall.evaluate import admitted, allowed_by, received, sent
from harness.firewall.from_topology import declared, rule_of
from harness.firewall.model import Network, Pair
from harness.firewall.ranges import ports_with
from harness.topology.build import flows
from harness.topology.flows import intended, intended_ports
from harness.topology.model import (
    INTERNET,
    OPERATORS,
    PROTOCOLS,
    VPC,
    Flow,
    Judge0Endpoint,
    Protocol,
    Rule,
    RunnerEndpoint,
    Topology,
)
from harness.topology.names import Names
from harness.topology.schema import RawTopology
from harness.topology.source import Problems, Step
from harness.topology.validation import openness, placement

SHOWN = 3


def check(raw: RawTopology, names: Names, topology: Topology, problems: Problems) -> None:
    """Note every difference between the intent and what firewalls and trusted sources do."""
    network = declared(topology)
    for index, each in enumerate(raw.intent):
        _check_passes(topology, network, flows(each, names), ("intent", index), problems)
    explained = _check_rules(topology, problems)
    _check_wide_peers(topology, network, explained, problems)
    openness.check(topology, network, problems)
    _check_trusted_sources(raw, names, topology, problems)
    _check_service_ports(topology, problems)
    _check_checks(topology, problems)


def _check_passes(
    topology: Topology,
    network: Network,
    meant: Sequence[Flow],
    path: tuple[Step, ...],
    problems: Problems,
) -> None:
    closed = list(dict.fromkeys(each for flow in meant for each in _obstacles(topology, network, flow)))
    if closed:
        problem = "; ".join(problem for problem, _ in closed[:SHOWN])
        remedy = "; ".join(dict.fromkeys(remedy for _, remedy in closed[:SHOWN]))
        problems.add(path, problem, f"{remedy}; or take the line out of the intent")


def _obstacles(topology: Topology, network: Network, flow: Flow) -> Iterator[tuple[str, str]]:
    """Problem and remedy for each thing that stops a flow."""
    wanted, pair = ports.parse(flow.ports), Pair(flow.source, flow.destination)
    source, destination = flow.source, flow.destination
    shown = describe(flow)
    for name, other in ((source, destination), (destination, source)):
        droplet = topology.droplets.get(name)
        if droplet and not droplet.public_networking and _outside(topology, other):
            yield f"{shown}: {name!r} has no public interface", f"set public_networking of {name} to true"
    if left := ports.subtract(wanted, sent(network, pair, flow.protocol)):
        peer = VPC if destination in topology.databases else destination
        yield (
            f"{shown}: no outbound rule of {_covering(topology, source)} admits it at the sender",
            f"add {_rule_text(flow.protocol, left, 'to', peer)} to outbound there",
        )
    if left := ports.subtract(wanted, received(network, pair, flow.protocol)):
        if destination in topology.databases:
            yield f"{shown}: {destination!r} does not trust {source!r}", _trust(source, destination)
        else:
            yield (
                f"{shown}: no inbound rule of {_covering(topology, destination)} admits it at the receiver",
                f"add {_rule_text(flow.protocol, left, 'from', source)} to inbound there",
            )


def _check_rules(topology: Topology, problems: Problems) -> set[tuple[str, str, Protocol]]:
    """Each rule admits only what is intended. Returns the pairs that were reported."""
    meant, explained = intended(topology), set()
    for firewall in topology.firewalls:
        for way, rules in (("inbound", firewall.inbound), ("outbound", firewall.outbound)):
            for index, rule in enumerate(rules):
                excess = [
                    flow
                    for droplet in firewall.droplets
                    for flow in _excess(topology, meant, droplet, rule, outbound=way == "outbound")
                ]
                if excess:
                    _report_excess(problems, ("firewalls", firewall.name, way, index), excess)
                    explained |= {(flow.source, flow.destination, flow.protocol) for flow in excess}
    return explained


def _excess(
    topology: Topology, meant: Sequence[Flow], droplet: str, rule: Rule, *, outbound: bool
) -> Iterator[Flow]:
    """What one rule admits for one droplet and the intent does not have."""
    for peer in rule.peers:
        if peer == droplet:
            continue
        allowed = ports.union(
            *(
                ports.parse(flow.ports)
                for flow in meant
                if flow.protocol == rule.protocol
                and (flow.source if outbound else flow.destination) == droplet
                and _justifies(
                    topology, flow.destination if outbound else flow.source, peer, outbound=outbound
                )
            )
        )
        if left := ports.subtract(ports.parse(rule.ports), allowed):
            text = "0" if left == ports.ALL else ports.render(left)
            ends = (droplet, peer) if outbound else (peer, droplet)
            yield Flow(*ends, rule.protocol, text)


def _justifies(topology: Topology, end: str, peer: str, *, outbound: bool) -> bool:
    """Whether a flow with this end is a reason for a rule with this peer.

    Outbound rules may name the whole VPC for the sake of one member, for databases can't be named.
    """
    if end == peer or (end == VPC and peer in topology.droplets):
        return True
    member = end == VPC or end in topology.droplets or end in topology.databases
    if peer == VPC:
        return outbound and member
    if peer in topology.droplets or peer in (INTERNET, OPERATORS):
        return peer == INTERNET and end == "0.0.0.0/0"
    if member:
        within = topology.ip_range is not None and IPv4Network(peer).overlaps(IPv4Network(topology.ip_range))
        return outbound and within
    return end == INTERNET or (end != OPERATORS and IPv4Network(peer).subnet_of(IPv4Network(end)))


def _check_wide_peers(
    topology: Topology, network: Network, explained: set[tuple[str, str, Protocol]], problems: Problems
) -> None:
    """``internet`` and ``vpc`` include the droplets' own addresses: two such rules may admit too much.

    What one rule admits is one problem, however many pairs of droplets it is.
    """
    meant, excess = intended(topology), defaultdict[object, list[Flow]](list)
    for source in topology.droplets:
        for destination in topology.droplets:
            if not network.covering(destination):
                continue  # everything passes there, which is reported as a whole
            for protocol in PROTOCOLS:
                if source == destination or (source, destination, protocol) in explained:
                    continue
                passing = admitted(network, Pair(source, destination), protocol)
                left = ports.subtract(passing, _meant_ports(meant, source, destination, protocol))
                if left:
                    flow = Flow(source, destination, protocol, ports.render(left))
                    rule = _wide_rule(topology, network, flow)
                    excess[rule or flow].append(flow)
    for found in excess.values():
        _report_excess(problems, _wide_rule(topology, network, found[0]) or ("intent",), found)


def _meant_ports(meant: Sequence[Flow], source: str, destination: str, protocol: Protocol) -> Ports:
    return ports.union(
        *(
            intended_ports(meant, one, other, protocol)
            for one in (source, VPC)
            for other in (destination, VPC)
        )
    )


def _wide_rule(topology: Topology, network: Network, flow: Flow) -> tuple[Step, ...]:
    """The receiver's rule that admits a flow without naming its sender; empty where no single one does."""
    far = address(network, flow.source, "private")
    for firewall in topology.firewalls:
        if flow.destination in firewall.droplets:
            for index, rule in enumerate(firewall.inbound):
                one = allowed_by(network, [rule_of(topology, rule, "inbound")], flow.protocol)
                if flow.source not in rule.peers and ports_with(one, far):
                    return ("firewalls", firewall.name, "inbound", index)
    return ()


def _report_excess(problems: Problems, path: tuple[Step, ...], excess: Sequence[Flow]) -> None:
    shown = ", ".join(describe(flow) for flow in excess[:SHOWN])
    more = f" and {len(excess) - SHOWN} more" if len(excess) > SHOWN else ""
    first = excess[0]
    what = "icmp: true" if first.protocol == "icmp" else f"{first.protocol}: [{first.ports}]"
    line = f"'{{from: {first.source}, to: {first.destination}, {what}}}'"
    problems.add(
        path,
        f"it admits {shown}{more}, which the intent does not mention",
        f"narrow the rule, or add {line} to the intent",
    )


def _check_trusted_sources(raw: RawTopology, names: Names, topology: Topology, problems: Problems) -> None:
    users = {(flow.source, flow.destination) for flow in topology.intent}
    for name, database in raw.databases.items():
        for index, given in enumerate(database.trusted_sources):
            unused = [each for each in names.ends(given) if not users & {(each, name), (VPC, name)}]
            if unused:
                problem = f"the intent has nothing from {', '.join(unused)} to {name!r}"
                remedy = "take it out of trusted_sources, or add the flow to the intent"
                problems.add(("databases", name, "trusted_sources", index), problem, remedy)


def _check_service_ports(topology: Topology, problems: Problems) -> None:
    for path, taken, nodes in _published(topology):
        for index, port in enumerate(taken):
            for node in nodes:
                if not _is_reachable(topology, node, port):
                    problems.add(
                        (*path, "ports", index),
                        f"no firewall rule admits port {port} at {node!r}, and nobody is meant to ask for it",
                        "add an inbound rule and a line of intent for it, or take the port out",
                    )
                    break


def _published(topology: Topology) -> Iterator[tuple[tuple[Step, ...], tuple[int, ...], tuple[str, ...]]]:
    """Path, ports and droplets of every service."""
    for service in topology.services:
        yield ("services", service.name), service.ports, service.nodes
    for each in topology.swarm.services if topology.swarm else ():
        yield ("swarm", "services", each.name), each.ports, placement.eligible(topology, each)


def _is_reachable(topology: Topology, node: str, port: int) -> bool:
    this = ((port, port),)
    by_rule = any(
        ports.intersect(this, ports.parse(rule.ports))
        for firewall in topology.firewalls
        if node in firewall.droplets
        for rule in firewall.inbound
        if rule.protocol != "icmp"
    )
    return by_rule or any(
        ports.intersect(this, ports.parse(flow.ports))
        for flow in topology.intent
        if flow.destination == node and flow.protocol != "icmp"
    )


def _check_checks(topology: Topology, problems: Problems) -> None:
    door = topology.checks.front_door
    if door and not topology.droplets[door.node].public_networking:
        remedy = f"set public_networking of {door.node} to true, or name the droplet that users reach"
        problems.add(("checks", "front_door", "node"), f"{door.node!r} has no public address", remedy)
    elif door and not ports.intersect(
        ((door.port, door.port),), intended_ports(topology.intent, INTERNET, door.node, "tcp")
    ):
        problem = f"the intent does not let the internet talk to {door.node!r} on {door.port}/tcp"
        problems.add(("checks", "front_door"), problem, "name the port that users reach, as 'port'")
    for key, endpoint in (("judge0", topology.checks.judge0), ("runner", topology.checks.runner)):
        if endpoint and endpoint.source != endpoint.node:
            _check_endpoint(topology, key, endpoint, problems)


def _check_endpoint(
    topology: Topology, key: str, endpoint: Judge0Endpoint | RunnerEndpoint, problems: Problems
) -> None:
    source, node, port = endpoint.source, endpoint.node, endpoint.port
    meant = intended_ports(topology.intent, source, node, "tcp")
    if not ports.intersect(((port, port),), meant):
        problem = f"the intent does not let {source!r} talk to {node!r} on {port}/tcp"
        problems.add(("checks", key), problem, "name a source and port that the intent has")


def describe(flow: Flow) -> str:
    """``runner -> judge0-lb 2358/tcp``"""
    what = "icmp" if flow.protocol == "icmp" else f"{_shown(flow.ports)}/{flow.protocol}"
    return f"{flow.source} -> {flow.destination} {what}"


def _shown(text: str) -> str:
    return "all ports" if text == "0" else text


def _outside(topology: Topology, end: str) -> bool:
    """Whether an end of a flow is reached over public addresses only."""
    if end in (INTERNET, OPERATORS):
        return True
    known = end == VPC or end in topology.droplets or end in topology.databases
    return not known and not IPv4Network(end).is_private


def _covering(topology: Topology, name: str) -> str:
    return " or ".join(each.name for each in topology.firewalls if name in each.droplets)


def _rule_text(protocol: Protocol, left: Ports, key: str, peer: str) -> str:
    listed = "" if protocol == "icmp" else f' ports: "{"0" if left == ports.ALL else ports.render(left)}",'
    return f"'{{protocol: {protocol},{listed} {key}: [{peer}]}}'"


def _trust(source: str, database: str) -> str:
    return f"add {source} to trusted_sources of {database}"
