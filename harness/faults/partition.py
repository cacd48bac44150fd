"""Cutting one node off from the other members of a swarm, by its Cloud Firewalls, and letting it back in.

The node is removed from every firewall that admits the swarm's ports; other firewalls stay, so that ssh works
and programs reach their databases. Meanwhile the rules from before are in the run's journal. They are
restored at the end of the block, even after ctrl-C; after ``kill -9`` by ``wavetank up``, or the next
``mutate``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError, ResourceError
from harness.core.signals import deferred
from harness.faults.fault import SWARM_PORTS
from harness.firewall.from_api import read
from harness.firewall.model import Droplet, Firewall, FirewallState, Network, lower
from harness.mutation import apply, journal
from harness.mutation.campaign import restore
from harness.target.api import Api
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target

# What a cloud's firewall let through before goes on: TCP is ended at the node, so that it must begin anew.
ENDS = " or ".join(f"{end} = :{port}" for port in (2377, 7946) for end in ("sport", "dport"))
HANG_UP = f"ss --kill --tcp state established '( {ENDS} )' >/dev/null"


@contextmanager
def cut_off(api: Api, target: Target, access: Access, node: str) -> Iterator[None]:
    """Run a block while ``node`` is cut off; the firewalls are as before afterwards, interrupted or not.

    Raises ``InconclusiveError`` where firewalls cannot cut it off, ``NotRestoredError`` where they could not
    be put back: the journal stays then.
    """
    run_dir = access.run_dir
    restore(api, run_dir)
    network = read(api, run_dir.run)
    without = detached(network, node)
    journal.write(run_dir, network.state)
    try:
        apply.put(api, network, without)
        flush_conntrack(target, access, network.droplets[node])
        yield
    finally:
        with deferred("the rules are put back"):
            apply.restore(api, network.state, run_dir.run)
            journal.forget(run_dir)


def detached(network: Network, node: str) -> FirewallState:
    """The firewalls with ``node`` removed from all that admit any of the swarm's ports."""
    droplet = network.droplets.get(node)
    if droplet is None:
        raise ResourceError("droplet", node, f"there is none in run {network.run!r}")
    firewalls = tuple(
        _without(each, droplet) if each.covers(droplet) and each.passes(SWARM_PORTS) else each
        for each in network.state.firewalls
    )
    if firewalls == network.state.firewalls:
        raise InconclusiveError(
            f"{node} is on no firewall that admits the swarm's ports: none can cut it off"
        )
    if not any(each.covers(droplet) for each in firewalls):
        raise InconclusiveError(f"{node} would be on no firewall at all, and so open: this cannot cut it off")
    return replace(network.state, firewalls=firewalls)


def flush_conntrack(target: Target, access: Access, droplet: Droplet) -> None:
    """End what the rules of before had let through. Firewalls are stateful, and gossip never pauses."""
    if target.info:
        with EmulatorApi(target) as emulator:
            emulator.ask("DELETE", f"/connections/droplet/{droplet.id}")
    else:
        access.run(droplet.name, HANG_UP)


def _without(firewall: Firewall, droplet: Droplet) -> Firewall:
    own = lower(droplet.tags)
    return replace(
        firewall,
        tags=tuple(each for each in firewall.tags if each.lower() not in own),
        droplet_ids=tuple(each for each in firewall.droplet_ids if each != droplet.id),
    )
