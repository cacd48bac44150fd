"""What packets do: one call, whichever way the target lets itself be observed.

An emulator that runs machines scans by itself, and its fabric is a second witness. Anywhere else probes
are sent from the droplets, paced, in passes, each path with a positive control of its own.
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

Told = Callable[[int, int], None]


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
    progress: Told = lambda _sent, _total: None,
) -> Observation:
    """Ask every port of ``pairs`` and say what came of it; ``progress`` hears of packets sent and in all.

    ``refs`` maps further ends, like a stranger, to how the API calls them (``droplet:12``); ``access`` must
    reach them as well. Raises ``WavetankError``; what was begun and not ended is marked as partial.
    """
    from harness.isolation.counted import observe as witnessed
    from harness.isolation.paced import observe as paced

    target.require_machines()
    prober = (
        partial(witnessed.observe, target, deployment, pairs)
        if is_witnessed(target)
        else partial(paced.observe, target, deployment, access, pairs)
    )
    return prober(tcp=tcp, udp=udp, icmp=icmp, passes=passes, refs=refs or {}, progress=progress)


def is_witnessed(target: Target) -> bool:
    """Whether the target has a fabric that testifies."""
    return target.info.get("plane") == "docker"
