"""Every port of every pair: packets pass as the topology intends, and two evidence sources agree on it.

One scan serves all of these checks. It asks every TCP port from each droplet, the internet and an outsider
in the same VPC at every address of every droplet and database, the UDP ports that matter, and ICMP.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness.core import ports
from harness.core.errors import InconclusiveError
from harness.firewall.model import Pair
from harness.isolation.counted.tampering import Tampering, explained, look
from harness.isolation.model import Difference, Seen
from harness.isolation.observe import is_witnessed
from harness.isolation.prove import Proof, cannot_be_asked, missing
from harness.target.target import Target
from harness.topology.model import INTERNET, Topology
from harness.verify.disturbing import Note

SHOWN = 5

# The first of these checks waits for the scan, which a cloud takes minutes for.
pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def tampered(target: Target) -> tuple[Tampering, ...]:
    """What was changed by hand in the emulated network, before anything else is changed."""
    if not target.info.get("plane"):
        pytest.skip(f"target {target.name} is not an emulator; its network cannot be changed by hand")
    return look(target)


def test_network_is_as_it_was_made(tampered: tuple[Tampering, ...]) -> None:
    """The emulator's packet filter and routes are those that it made from the API's rules, and no others."""
    assert not tampered, explained(tampered)


def test_every_port_is_as_intended(probe_source: str, target: Target, proof: Proof, note: Note) -> None:
    """From each probe source exactly what the topology intends gets through, and what the API's rules say."""
    results = [each for each in proof.observation.seen if each.pair.source == probe_source]
    if not results and (why := cannot_be_asked(target, Pair(probe_source, ""))):
        pytest.skip(why)
    note(summary(results))
    wrong = [each for each in proof.differences if each.pair.source == probe_source]
    assert not wrong, describe(wrong)
    if proof.tampered:
        raise InconclusiveError(explained(proof.tampered))
    doubts = [each for each in results if each.inconclusive]
    if doubts:
        raise InconclusiveError(describe_doubts(doubts))


def test_nothing_differs_besides(proof: Proof, probe_sources: tuple[str, ...]) -> None:
    """There is no difference that belongs to none of the probe sources."""
    assert not [each for each in proof.differences if each.pair.source not in probe_sources]


def test_scan_is_whole(proof: Proof) -> None:
    """Every pair was probed, at every TCP port, and the scan was completed."""
    assert missing(proof.observation, proof.pairs) == ()
    short = [
        each.pair for each in proof.observation.seen if each.protocol == "tcp" and each.asked != ports.ALL
    ]
    assert short == []
    if proof.observation.partial:
        raise InconclusiveError(proof.observation.partial)


def test_way_to_the_internet_was_asked(target: Target, topology: Topology, proof: Proof) -> None:
    """Egress of each droplet to an address outside of the deployment was probed, too."""
    if why := cannot_be_asked(target, Pair("", INTERNET)):
        pytest.skip(why)
    asked = {each.pair.source for each in proof.observation.seen if each.pair.target == INTERNET}
    assert asked == {name for name, each in topology.droplets.items() if each.public_networking}


def test_fabric_testified(target: Target, proof: Proof) -> None:
    """The prober is not the only evidence source: the fabric counts every packet."""
    if not is_witnessed(target):
        pytest.skip(f"target {target.name} has no packet counters; its probes are paced, with controls")
    assert proof.observation.witnesses == ("prober", "fabric")
    assert (
        sum(each.evidence.get("sent", 0) for each in proof.observation.seen) == proof.observation.probes > 0
    )


def summary(results: Iterable[Seen]) -> str:
    """What was probed and what got through: ``1,703,990 packets; runner 22,4000/tcp, ...``"""
    every = list(results)
    through = [
        f"{each.pair.target} ({each.pair.side}) {ports.render(each.reachable)}/{each.protocol}"
        for each in every
        if each.reachable
    ]
    return f"{sum(each.probes for each in every):,} packets; reached: {', '.join(through) or 'nothing'}"


def describe(differences: Iterable[Difference]) -> str:
    """The first few differences, each with a command that reproduces it."""
    every = list(differences)
    lines = [f"{each.reason}; try: {each.reproduce}" for each in every[:SHOWN]]
    return "\n".join([*lines, *([f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else [])])


def describe_doubts(results: Iterable[Seen]) -> str:
    """The first few doubts."""
    every = list(results)
    lines = [f"{each.pair} {each.protocol}: {'; '.join(each.doubts)}" for each in every[:SHOWN]]
    return "\n".join([*lines, *([f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else [])])
