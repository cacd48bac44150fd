"""What packets do: one call, however the target can be observed.

An emulator that runs machines scans by itself, and its packet counters are a second evidence source. Anywhere
else probes are sent from the droplets, paced, in passes, each path with a positive control of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from harness.access.ssh import Access
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import Observation
from harness.target.target import Target
from harness.topology.deployment import Deployment

ReportProgress = Callable[[int, int], None]


def observe(
    target: Target,
    deployment: Deployment,
    access: Access,
    pairs: Sequence[Pair],
    *,
    tcp: Ports = ALL,
    udp: Ports = NONE,
    icmp: bool = True,
    passes: int = 2,
    refs: Mapping[str, str] | None = None,
    progress: ReportProgress = lambda _sent, _total: None,
) -> Observation:
    """Probe every port of ``pairs``; ``progress`` gets the packets sent so far and the total.

    ``refs`` maps further ends, like ``stranger``, to the names that the API has for them (``droplet:12``);
    ``access`` must reach them as well. Raises ``WavetankError``; what was begun and not completed is marked
    as partial.
    """
    from harness.isolation.counted import observe as counted
    from harness.isolation.paced import observe as paced

    target.require_machines()
    prober = (
        partial(counted.observe, target, deployment, pairs)
        if has_packet_counters(target)
        else partial(paced.observe, target, deployment, access, pairs)
    )
    return prober(tcp=tcp, udp=udp, icmp=icmp, passes=passes, refs=refs or {}, progress=progress)


def has_packet_counters(target: Target) -> bool:
    """Whether the target's network counts packets, as a second evidence source."""
    return target.info.get("plane") == "docker"
