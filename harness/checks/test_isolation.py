"""Every port of every pair: what packets do is what the topology intends, and two witnesses agree on it.

One scan serves all of these checks. It asks every TCP port from each droplet, the internet and a stranger
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
    """What of the emulated network was changed by hand, before anything else is changed."""
    if not target.info.get("plane"):
        pytest.skip(f"target {target.name} is no emulator; nobody has a hand in its network")
    return look(target)


def test_network_is_as_it_was_made(tampered: tuple[Tampering, ...]) -> None:
    """What filters and forwards packets in the emulator is what it made of the API's rules, nothing else."""
    assert not tampered, explained(tampered)


def test_every_port_is_as_intended(vantage: str, target: Target, proof: Proof, note: Note) -> None:
    """From each vantage exactly what the topology intends gets through, and what the API's rules say."""
    seen = [each for each in proof.observation.seen if each.pair.source == vantage]
    if not seen and (why := cannot_be_asked(target, Pair(vantage, ""))):
        pytest.skip(why)
    note(summary(seen))
    wrong = [each for each in proof.differences if each.pair.source == vantage]
    assert not wrong, told(wrong)
    if proof.tampered:
        raise InconclusiveError(explained(proof.tampered))
    doubts = [each for each in seen if each.inconclusive]
    if doubts:
        raise InconclusiveError(doubted(doubts))


def test_nothing_differs_besides(proof: Proof, vantages: tuple[str, ...]) -> None:
    """No difference is left that belongs to none of the vantages."""
    assert not [each for each in proof.differences if each.pair.source not in vantages]


def test_scan_is_whole(proof: Proof) -> None:
    """Every pair was asked, every TCP port of it, and the scan came to its end."""
    assert missing(proof.observation, proof.pairs) == ()
    short = [
        each.pair for each in proof.observation.seen if each.protocol == "tcp" and each.asked != ports.ALL
    ]
    assert short == []
    if proof.observation.partial:
        raise InconclusiveError(proof.observation.partial)


def test_way_to_the_internet_was_asked(target: Target, topology: Topology, proof: Proof) -> None:
    """What leaves each droplet for an address beyond the deployment is known by packets, too."""
    if why := cannot_be_asked(target, Pair("", INTERNET)):
        pytest.skip(why)
    asked = {each.pair.source for each in proof.observation.seen if each.pair.target == INTERNET}
    assert asked == {name for name, each in topology.droplets.items() if each.public_networking}


def test_fabric_testified(target: Target, proof: Proof) -> None:
    """The prober's word is not alone: the fabric accounts for every packet."""
    if not is_witnessed(target):
        pytest.skip(f"target {target.name} has no fabric that testifies; its probes are paced, with controls")
    assert proof.observation.witnesses == ("prober", "fabric")
    assert (
        sum(each.evidence.get("sent", 0) for each in proof.observation.seen) == proof.observation.probes > 0
    )


def summary(seen: Iterable[Seen]) -> str:
    """What was asked and what got through: ``1,703,990 packets; runner 22,4000/tcp, ...``"""
    every = list(seen)
    through = [
        f"{each.pair.target} ({each.pair.side}) {ports.render(each.reachable)}/{each.protocol}"
        for each in every
        if each.reachable
    ]
    return f"{sum(each.probes for each in every):,} packets; reached: {', '.join(through) or 'nothing'}"


def told(differences: Iterable[Difference]) -> str:
    """The first few differences in words, each with a way to reproduce it."""
    every = list(differences)
    lines = [f"{each.reason}; try: {each.reproduce}" for each in every[:SHOWN]]
    return "\n".join([*lines, *([f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else [])])


def doubted(seen: Iterable[Seen]) -> str:
    """The first few doubts in words."""
    every = list(seen)
    lines = [f"{each.pair} {each.protocol}: {'; '.join(each.doubts)}" for each in every[:SHOWN]]
    return "\n".join([*lines, *([f"and {len(every) - SHOWN} more"] if len(every) > SHOWN else [])])
