"""Who may talk to whom in a topology: the declared intent, and the flows that it implies."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core import ports
from harness.core.ports import Ports
from harness.topology.model import OPERATORS, SSH_PORT, Flow, Protocol, Topology


def intended(topology: Topology) -> tuple[Flow, ...]:
    """Who may talk to whom: the declared intent, and the log-ins that ``management`` implies."""
    bastion = topology.management.bastion
    log_ins = [Flow(OPERATORS, bastion, "tcp", SSH_PORT)]
    log_ins += [Flow(bastion, name, "tcp", SSH_PORT) for name in topology.droplets if name != bastion]
    return tuple(dict.fromkeys((*topology.intent, *log_ins)))


def intended_ports(flows: Sequence[Flow], source: str, destination: str, protocol: Protocol) -> Ports:
    """The ports on which these flows let ``source`` talk to ``destination``, both named exactly so."""
    wanted = (source, destination, protocol)
    return ports.union(
        *(
            ports.parse(each.ports)
            for each in flows
            if (each.source, each.destination, each.protocol) == wanted
        )
    )
