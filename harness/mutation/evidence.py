"""The suite's own witnesses of isolation, asked about a deployment while a mutant is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import Ports
from harness.firewall.from_api import ask, network_of
from harness.firewall.model import Network, Pair
from harness.isolation import compare, intended
from harness.isolation.drift import drift
from harness.isolation.model import Difference, Observation, Seen
from harness.isolation.observe import is_witnessed, observe
from harness.mutation.judge import Witnesses
from harness.run.session import Session
from harness.target.api import Api
from harness.topology.model import OPERATORS, Protocol
from harness.verify.network.probe import State, from_here

MOST_FROM_HERE = 64


@dataclass(frozen=True)
class Suite(Session):
    """A deployment and what the suite needs to look at it."""

    api: Api

    def witnesses(self) -> Witnesses:
        """The three of them, each looking afresh whenever it is asked."""
        return Witnesses(self.observe, self.differences, self.drift)

    def observe(self, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        """One pass where there is a second witness, two where there is none; operators' pairs from here.

        Raises ``WavetankError``.
        """
        scanned = [each for each in pairs if each.source != OPERATORS]
        own = [each for each in pairs if each.source == OPERATORS]
        found = self._scan(scanned, asked) if scanned else Observation((), 1, ("prober",), 0.0, 0)
        return replace(found, seen=(*found.seen, *(self._from_here(each, asked["tcp"]) for each in own)))

    def differences(self, observation: Observation | None) -> tuple[Difference, ...]:
        """Where intended, computed (as the API reports the rules now) and observed differ."""
        return compare.differences(self.topology, self._network(), observation)

    def drift(self) -> tuple[str, ...]:
        """What is not as the topology declares it, in words; our own stranger is none of it."""
        run = self.deployment.run
        found = drift(self.topology, run, self.target.operators, ask(self.api, run))
        return tuple(str(each) for each in found if each.name != STRANGER)

    def red(self, pair: Pair, protocol: Protocol, which: Ports) -> bool:
        """Whether it breaks the intent if these ports are reachable, or not, other than before."""
        must = intended.must(self.topology, pair, protocol)
        may = intended.may(self.topology, pair, protocol)
        return bool(ports.intersect(which, must) or ports.subtract(which, may))

    def _network(self) -> Network:
        told = network_of(self.topology, self.deployment.run, ask(self.api, self.deployment.run))
        return replace(told, operators=self.target.operators)

    def _scan(self, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        return observe(
            self.target,
            self.deployment,
            self.access,
            pairs,
            tcp=asked["tcp"],
            udp=asked["udp"],
            icmp=bool(asked["icmp"]),
            passes=1 if is_witnessed(self.target) else 2,
            refs={STRANGER: f"droplet:{self.deployment.nodes[STRANGER].id}"},
        )

    def _from_here(self, pair: Pair, tcp: Ports) -> Seen:
        """What this machine, an operator's, finds at a public address; not at more than a few ports."""
        address = self.deployment.nodes[pair.target].public_ip or ""
        wanted = list(
            islice((port for first, last in tcp for port in range(first, last + 1)), MOST_FROM_HERE)
        )
        found = from_here(self.target, [(address, port) for port in wanted])

        def those(state: State) -> Ports:
            return ports.union(*(((port, port),) for (_, port), seen in found.items() if seen == state))

        return Seen(pair, "tcp", those("open"), those("closed"), those("filtered"), probes=len(wanted))
