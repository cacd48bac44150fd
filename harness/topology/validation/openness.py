"""What is open at droplets that no firewall covers: the intent must declare it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.core import ports
from harness.firewall.model import Network
from harness.topology.flows import intended, intended_ports
from harness.topology.model import INTERNET, PROTOCOLS, VPC, Protocol, Topology
from harness.topology.source import Problems


def check(topology: Topology, network: Network, problems: Problems) -> None:
    """Note, as one problem, every place that reaches an uncovered droplet, or is reached, undeclared."""
    uncovered = [name for name in topology.droplets if not network.covering(name)]
    unsaid = {place: _unsaid(topology, uncovered, place) for place in (INTERNET, VPC)}
    lines = [line for place, found in unsaid.items() for line in _lines(place, *found)]
    if lines:
        names = dict.fromkeys(name for found in unsaid.values() for ends in found for name in ends)
        problem = (
            f"no firewall covers {', '.join(names)}: everything passes there, and the intent does not say so"
        )
        problems.add(("intent",), problem, f"add {' and '.join(lines)}; or cover them")


def _unsaid(topology: Topology, uncovered: Sequence[str], place: str) -> tuple[list[str], list[str]]:
    """The droplets that a place reaches, and those that reach it, though the intent does not say so."""
    concerned = [each for each in uncovered if place == VPC or topology.droplets[each].public_networking]
    return (
        [each for each in concerned if any(_excess(topology, place, each))],
        [each for each in concerned if any(_excess(topology, each, place))],
    )


def _excess(topology: Topology, source: str, destination: str) -> Iterator[Protocol]:
    """The protocols in which more passes than is intended. The other end has no firewall."""
    meant = intended(topology)
    for protocol in PROTOCOLS:
        declared = intended_ports(meant, source, destination, protocol)
        if ports.subtract(ports.ALL, declared):
            yield protocol


def _lines(place: str, reached: Sequence[str], reaching: Sequence[str]) -> Iterator[str]:
    """The lines of intent that are missing."""
    everything = 'tcp: ["0"], udp: ["0"], icmp: true'
    if reached:
        yield f"'{{from: {place}, to: [{', '.join(reached)}], {everything}}}'"
    if reaching:
        yield f"'{{from: [{', '.join(reaching)}], to: {place}, {everything}}}'"
