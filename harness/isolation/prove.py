"""The whole proof: an outsider beside the run, every pair scanned, and the three views compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from harness.access.ssh import Access, open_access
from harness.core.names import STRANGER
from harness.core.ports import ALL, Ports
from harness.firewall.from_api import inspect
from harness.firewall.model import Network, Pair
from harness.isolation.compare import differences
from harness.isolation.counted import tampering
from harness.isolation.counted.tampering import Tampering
from harness.isolation.model import Difference, Observation, ScanResult
from harness.isolation.observe import has_packet_counters, observe
from harness.isolation.outsider import outsider
from harness.isolation.pairs import all_pairs, outsider_pairs, udp_ports
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET, Topology

SEED = 20  # of the sample of UDP ports

ReportProgress = Callable[[int, int], None]
Choose = Callable[[Pair], bool]


@dataclass(frozen=True)
class Proof:
    """What was probed, what the API reported then, what packets did, and where the views differ.

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
    progress: ReportProgress = lambda _sent, _total: None,
) -> Proof:
    """Scan every pair that ``choose`` takes, from each droplet, the internet and an outsider, and compare.

    ``udp`` defaults to the ports that matter and a seeded sample. If what the API reports changes during the
    scan, the observation is marked as partial: it belongs to neither state. Raises ``WavetankError``.

    There is an outsider only if ``choose`` takes a pair with one. An emulated network that somebody changed
    by hand is scanned as it is: creating an outsider would apply the rules again, so there is none then.
    """
    found = tampering.inspect(target)
    beside = not found and any(map(choose, outsider_pairs(topology)))
    with _probe_sources(target, topology, deployment, run_dir, with_outsider=beside) as (wider, access):
        before = _inspect(target, topology, deployment.run)
        pairs = tuple(
            pair
            for pair in all_pairs(topology, before, outsider=beside)
            if choose(pair) and not why_not_probed(target, pair)
        )
        powered_off = [doubt for pair in pairs if (doubt := _powered_off(before, pair, tcp))]
        observation = observe(
            target,
            wider,
            access,
            [pair for pair in pairs if pair not in {each.pair for each in powered_off}],
            tcp=tcp,
            udp=udp_ports(topology, SEED) if udp is None else udp,
            icmp=icmp,
            passes=passes,
            refs={STRANGER: f"droplet:{wider.nodes[STRANGER].id}"} if beside else {},
            progress=progress,
        )
        after = _inspect(target, topology, deployment.run)
        found = tuple(dict.fromkeys((*found, *tampering.inspect(target))))
    if powered_off:
        partial = (
            observation.partial or f"{len(powered_off)} pairs could not be probed: {powered_off[0].doubts[0]}"
        )
        observation = replace(observation, results=(*observation.results, *powered_off), partial=partial)
    if before != after and not observation.partial:
        observation = replace(observation, partial="what the API reports changed during the scan")
    if found and not observation.partial:
        observation = replace(observation, partial=tampering.ADVICE)
    return Proof(before, pairs, observation, differences(topology, before, observation), found)


def missing(observation: Observation, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs that were to be scanned and have no result."""
    there = {each.pair for each in observation.results}
    return tuple(pair for pair in pairs if pair not in there)


@contextmanager
def _probe_sources(
    target: Target, topology: Topology, deployment: Deployment, run_dir: RunDir, *, with_outsider: bool
) -> Iterator[tuple[Deployment, Access]]:
    """The deployment with an outsider, and access to all sources; only a cloud's prober logs in to it."""
    if not with_outsider:
        yield deployment, open_access(run_dir, target, topology, deployment)
        return
    with outsider(target, topology, deployment) as wider:
        if has_packet_counters(target):
            yield wider, open_access(run_dir, target, topology, deployment)
            return
        try:
            yield wider, open_access(run_dir, target, topology, wider)
        finally:
            open_access(run_dir, target, topology, deployment)


def why_not_probed(target: Target, pair: Pair) -> str:
    """Why a pair is not probed on this target; empty where it is."""
    if has_packet_counters(target):
        return ""
    if pair.target == INTERNET:
        return f"target {target.name}: no address beyond the deployment is ours to be probed"
    if pair.source == INTERNET and target.proxy:
        return "the proxy towards public addresses is too slow to probe every port through it"
    return ""


def _powered_off(network: Network, pair: Pair, tcp: Ports) -> ScanResult | None:
    """The result for a pair of which one end does not run: inconclusive."""
    for end in (pair.source, pair.target):
        droplet = network.droplets.get(end)
        if droplet is not None and droplet.status != "active":
            return ScanResult(pair, "tcp", inconclusive=tcp, doubts=(f"{end} is {droplet.status}",))
    return None


def _inspect(target: Target, topology: Topology, run: str) -> Network:
    with Api(target, read_only=True) as api:
        return inspect(api, topology, run)
