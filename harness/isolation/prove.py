"""The whole proof: a stranger beside the run, every pair scanned, and the three views compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from harness.access.ssh import Access, open_access
from harness.core.names import STRANGER
from harness.core.ports import ALL, Ports
from harness.firewall.from_api import look
from harness.firewall.model import Network, Pair
from harness.isolation.compare import differences
from harness.isolation.counted import tampering
from harness.isolation.counted.tampering import Tampering
from harness.isolation.model import Difference, Observation, Seen
from harness.isolation.observe import is_witnessed, observe
from harness.isolation.outsider import stranger
from harness.isolation.pairs import all_pairs, udp_ports
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET, Topology

SEED = 20  # of the sample of UDP ports

Told = Callable[[int, int], None]
Choose = Callable[[Pair], bool]


@dataclass(frozen=True)
class Proof:
    """What was asked, what the API reported then, what packets did, and where the views differ.

    ``tampered`` is what of the emulated network was changed by hand: a violation, whatever packets did.
    """

    network: Network
    pairs: tuple[Pair, ...]
    observation: Observation
    differences: tuple[Difference, ...]
    tampered: tuple[Tampering, ...] = ()


def prove(
    target: Target,
    topology: Topology,
    deployment: Deployment,
    run_dir: RunDir,
    *,
    tcp: Ports = ALL,
    udp: Ports | None = None,
    icmp: bool = True,
    passes: int = 2,
    choose: Choose = lambda _: True,
    progress: Told = lambda _sent, _total: None,
) -> Proof:
    """Scan every pair that ``choose`` takes, from each droplet, the internet and a stranger, and compare.

    ``udp`` defaults to the ports that matter and a seeded sample. If what the API reports changes while the
    scan is under way, the observation is marked as partial: it belongs to neither. Raises ``WavetankError``.

    An emulated network that somebody changed by hand is scanned as it is found: a stranger would have the
    rules applied anew, so there is none then.
    """
    found = tampering.look(target)
    with _vantages(target, topology, deployment, run_dir, with_stranger=not found) as (wider, access):
        before = _look(target, topology, deployment.run)
        pairs = tuple(
            pair
            for pair in all_pairs(topology, before, stranger=not found)
            if choose(pair) and not cannot_be_asked(target, pair)
        )
        silent = [doubt for pair in pairs if (doubt := _without_power(before, pair, tcp))]
        seen = observe(
            target,
            wider,
            access,
            [pair for pair in pairs if pair not in {each.pair for each in silent}],
            tcp=tcp,
            udp=udp_ports(topology, SEED) if udp is None else udp,
            icmp=icmp,
            passes=passes,
            refs={} if found else {STRANGER: f"droplet:{wider.nodes[STRANGER].id}"},
            progress=progress,
        )
        after = _look(target, topology, deployment.run)
        found = tuple(dict.fromkeys((*found, *tampering.look(target))))
    if silent:
        partial = seen.partial or f"{len(silent)} pairs could not be asked: {silent[0].doubts[0]}"
        seen = replace(seen, seen=(*seen.seen, *silent), partial=partial)
    if before != after and not seen.partial:
        seen = replace(seen, partial="what the API reports changed during the scan")
    if found and not seen.partial:
        seen = replace(seen, partial=tampering.ADVICE)
    return Proof(before, pairs, seen, differences(topology, before, seen), found)


def missing(observation: Observation, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs that were to be scanned and of which nothing was seen."""
    there = {each.pair for each in observation.seen}
    return tuple(pair for pair in pairs if pair not in there)


@contextmanager
def _vantages(
    target: Target, topology: Topology, deployment: Deployment, run_dir: RunDir, *, with_stranger: bool
) -> Iterator[tuple[Deployment, Access]]:
    """The deployment with a stranger, and a way in to all vantages; only a cloud's prober logs in to it."""
    if not with_stranger:
        yield deployment, open_access(run_dir, target, topology, deployment)
        return
    with stranger(target, topology, deployment) as wider:
        if is_witnessed(target):
            yield wider, open_access(run_dir, target, topology, deployment)
            return
        try:
            yield wider, open_access(run_dir, target, topology, wider)
        finally:
            open_access(run_dir, target, topology, deployment)


def cannot_be_asked(target: Target, pair: Pair) -> str:
    """Why packets cannot tell anything of a pair on this target; empty where they can."""
    if is_witnessed(target):
        return ""
    if pair.target == INTERNET:
        return f"target {target.name}: no address beyond the deployment is ours to be asked"
    if pair.source == INTERNET and target.proxy:
        return "the proxy towards public addresses is too slow to ask every port through it"
    return ""


def _without_power(network: Network, pair: Pair, tcp: Ports) -> Seen | None:
    """What can be said of a pair one end of which does not run: nothing."""
    for end in (pair.source, pair.target):
        droplet = network.droplets.get(end)
        if droplet is not None and droplet.status != "active":
            return Seen(pair, "tcp", inconclusive=tcp, doubts=(f"{end} is {droplet.status}",))
    return None


def _look(target: Target, topology: Topology, run: str) -> Network:
    with Api(target, read_only=True) as api:
        return look(api, topology, run)
