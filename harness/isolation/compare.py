"""Where the three views of one network differ: intended, computed and observed. Pure.

Ports on which the same views differ for the same reason are one difference. So a rule that is too wide is
reported once for each pair, however many ports it opens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.evaluate import admitted, received, rules_of, sent
from harness.firewall.from_topology import declared
from harness.firewall.model import DIRECTIONS, Network, Pair
from harness.firewall.walk import Step, power, walk
from harness.isolation import intended
from harness.isolation.model import Difference, Observation, ScanResult
from harness.isolation.pairs import all_pairs
from harness.isolation.reproduce import reproduce
from harness.topology.model import PROTOCOLS, VPC, Protocol, Topology

ADMITTED, DENIED, EITHER = "admitted", "denied", "either"
INCONCLUSIVE, NOT_OBSERVED = "inconclusive", "not observed"


@dataclass(frozen=True)
class _Case:
    """Ports of one pair and protocol on which each view says one thing."""

    pair: Pair
    protocol: Protocol
    ports: Ports
    intended: str
    computed: str
    observed: str

    @property
    def differs(self) -> bool:
        """Whether two of the views contradict each other; ``either`` contradicts nothing."""
        views = {self.intended, self.computed, self.observed}
        return {ADMITTED, DENIED} <= views


def differences(
    topology: Topology,
    network: Network,
    observation: Observation | None,
    pairs: Sequence[Pair] | None = None,
) -> tuple[Difference, ...]:
    """Every difference, for the pairs that are given, else those that were observed, else all there are.

    Without an ``observation`` only what is intended and what is computed are compared.
    """
    results = {(each.pair, each.protocol): each for each in observation.results} if observation else {}
    if pairs is None:
        observed = dict.fromkeys(pair for pair, _ in results)
        pairs = tuple(observed) if observation else all_pairs(topology, network, outsider=True)
    return tuple(
        difference
        for pair in pairs
        for protocol in PROTOCOLS
        for case in _cases(topology, network, pair, protocol, results.get((pair, protocol)))
        if case.differs
        for difference in _differences_of(topology, network, case)
    )


def _cases(
    topology: Topology, network: Network, pair: Pair, protocol: Protocol, result: ScanResult | None
) -> Iterator[_Case]:
    must, may = intended.must(topology, pair, protocol), intended.may(topology, pair, protocol)
    passed = admitted(network, pair, protocol)
    meant = {ADMITTED: must, EITHER: ports.subtract(may, must), DENIED: ports.subtract(ALL, may)}
    by_rules = {ADMITTED: passed, DENIED: ports.subtract(ALL, passed)}
    for what, wanted in meant.items():
        for verdict, ruled in by_rules.items():
            common = ports.intersect(wanted, ruled)
            for outcome, packets in _outcomes(result).items():
                if left := ports.intersect(common, packets):
                    yield _Case(pair, protocol, left, what, verdict, outcome)


def _outcomes(result: ScanResult | None) -> Mapping[str, Ports]:
    if result is None:
        return {NOT_OBSERVED: ALL}
    return {
        ADMITTED: result.reachable,
        DENIED: result.filtered,
        INCONCLUSIVE: result.inconclusive,
        NOT_OBSERVED: ports.subtract(ALL, result.probed),
    }


def _differences_of(topology: Topology, network: Network, case: _Case) -> Iterator[Difference]:
    """One difference for each cause: where another rule decides, it is another one."""
    causes: dict[Step, Ports] = {}
    for part in _parts(network, case):
        step = _cause(topology, network, case, part[0][0])
        causes[step] = ports.union(causes.get(step, NONE), part)
    for step, which in causes.items():
        yield Difference(
            case.pair,
            case.protocol,
            which,
            ADMITTED if case.intended == EITHER else case.intended,
            case.computed,
            case.observed,
            "" if step.gate == "route" else step.gate,
            step.firewall,
            step.rule,
            _reason(network, case, step),
            reproduce(network, case.pair, case.protocol, which[0][0]),
        )


def _parts(network: Network, case: _Case) -> Iterator[Ports]:
    """The ports of a case, cut wherever some rule at either end begins or ends."""
    cuts = {1}
    for end, direction in zip((case.pair.target, case.pair.source), DIRECTIONS, strict=True):
        for rule in rules_of(network, end, direction) or ():
            cuts |= {cut for first, last in rule.admits for cut in (first, last + 1)}
    starts = sorted(each for each in cuts if each <= ALL[0][1])
    for first, after in zip(starts, (*starts[1:], ALL[0][1] + 1), strict=True):
        if part := ports.intersect(case.ports, ((first, after - 1),)):
            yield part


def _cause(topology: Topology, network: Network, case: _Case, port: int) -> Step:
    """The step that decides. Where both admit what is not intended: the one that the topology denies."""
    found = walk(network, case.pair, case.protocol, port)
    if not found.admitted:
        return found.decides
    out, taken = found.steps[1:]
    if case.pair.target not in network.droplets and case.pair.target not in network.databases:
        return out
    if case.intended == DENIED and _is_declared(topology, case, taken, port):
        return taken if _is_declared(topology, case, out, port) else out
    return taken


def _is_declared(topology: Topology, case: _Case, step: Step, port: int) -> bool:
    """Whether the topology's own rules admit the flow at this step."""
    source, target = (VPC if end == STRANGER else end for end in (case.pair.source, case.pair.target))
    let = sent if step.gate == "out" else received
    admits = let(declared(topology), Pair(source, target), case.protocol)
    return bool(ports.intersect(admits, ((port, port),)))


def _reason(network: Network, case: _Case, step: Step) -> str:
    meant = {ADMITTED: "it is intended to pass", DENIED: "it is not intended to pass", EITHER: "it may pass"}
    packets = {ADMITTED: "packets get through", DENIED: "packets do not get there"}
    clauses = [meant[case.intended]]
    clauses.append(f"{'but ' if _contradict(case.intended, case.computed) else ''}{step.reason}")
    if case.observed in packets:
        odd = _contradict(case.computed, case.observed)
        clauses.append(f"{'but ' if odd else 'and '}{packets[case.observed]}")
    clauses += power(network, case.pair)
    return "; ".join(clauses)


def _contradict(one: str, other: str) -> bool:
    return {one, other} == {ADMITTED, DENIED}
