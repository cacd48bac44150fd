"""The suite's own evidence sources of isolation, asked about a deployment while a mutant is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import Ports
from harness.firewall.from_api import fetch, network_of
from harness.firewall.model import Network, Pair
from harness.isolation import compare, intended
from harness.isolation.drift import drift
from harness.isolation.model import Difference, Observation, ScanResult
from harness.isolation.observe import has_packet_counters, observe
from harness.mutation.judge import EvidenceSources
from harness.run.session import Session
from harness.target.api import Api
from harness.topology.model import OPERATORS, Protocol
from harness.verify.network.probe import State, from_here

MOST_FROM_HERE = 64


@dataclass(frozen=True)
class Suite(Session):
    """A deployment and what the suite needs to observe it."""

    api: Api

    def evidence_sources(self) -> EvidenceSources:
        """All three, each of which observes again whenever it is called."""
        return EvidenceSources(self.observe, self.differences, self.drift)

    def observe(self, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        """One pass where there are packet counters, two where there are none; operators' pairs from here.

        Raises ``WavetankError``.
        """
        scanned = [each for each in pairs if each.source != OPERATORS]
        own = [each for each in pairs if each.source == OPERATORS]
        found = self._scan(scanned, asked) if scanned else Observation((), 1, ("prober",), 0.0, 0)
        return replace(
            found, results=(*found.results, *(self._from_here(each, asked["tcp"]) for each in own))
        )

    def differences(self, observation: Observation | None) -> tuple[Difference, ...]:
        """Where intended, computed (as the API reports the rules now) and observed differ."""
        return compare.differences(self.topology, self._network(), observation)

    def drift(self) -> tuple[str, ...]:
        """What is not as the topology declares it, as text; our own outsider is not part of it."""
        run = self.deployment.run
        found = drift(self.topology, run, self.target.operators, fetch(self.api, run))
        return tuple(str(each) for each in found if each.name != STRANGER)

    def red(self, pair: Pair, protocol: Protocol, which: Ports) -> bool:
        """Whether it breaks the intent if these ports are reachable, or not, other than before."""
        must = intended.must(self.topology, pair, protocol)
        may = intended.may(self.topology, pair, protocol)
        return bool(ports.intersect(which, must) or ports.subtract(which, may))

    def _network(self) -> Network:
        network = network_of(self.topology, self.deployment.run, fetch(self.api, self.deployment.run))
        return replace(network, operators=self.target.operators)

    def _scan(self, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        return observe(
            self.target,
            self.deployment,
            self.access,
            pairs,
            tcp=asked["tcp"],
            udp=asked["udp"],
            icmp=bool(asked["icmp"]),
            passes=1 if has_packet_counters(self.target) else 2,
            refs={STRANGER: f"droplet:{self.deployment.nodes[STRANGER].id}"},
        )

    def _from_here(self, pair: Pair, tcp: Ports) -> ScanResult:
        """What this machine, an operator's, finds at a public address; not at more than a few ports."""
        address = self.deployment.nodes[pair.target].public_ip or ""
        wanted = list(
            islice((port for first, last in tcp for port in range(first, last + 1)), MOST_FROM_HERE)
        )
        found = from_here(self.target, [(address, port) for port in wanted])

        def those(state: State) -> Ports:
            return ports.union(
                *(((port, port),) for (_, port), found_state in found.items() if found_state == state)
            )

        return ScanResult(pair, "tcp", those("open"), those("closed"), those("filtered"), probes=len(wanted))
