"""The three views of a standing run, compared: with packets or without, for all pairs or for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.core import ports
from harness.core.errors import UsageError
from harness.firewall.model import Pair
from harness.isolation.bar import bar
from harness.isolation.compare import differences
from harness.isolation.counted import tampering
from harness.isolation.counted.tampering import Tampering
from harness.isolation.explain import end
from harness.isolation.model import Difference, Observation
from harness.isolation.pairs import all_pairs
from harness.isolation.standing import Standing
from harness.run import lease
from harness.topology.model import OPERATORS


@dataclass(frozen=True)
class Survey:
    """What came of it. ``pairs`` counts them, ``doubts`` is what stays undecided, ``notes`` all else.

    ``guests`` are, in words, who is bound to the run and not of it; ``tampered`` is what of the emulated
    network was changed by hand.
    """

    pairs: int
    differences: tuple[Difference, ...]
    observation: Observation | None
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    guests: tuple[str, ...] = ()
    tampered: tuple[Tampering, ...] = ()

    @property
    def compared(self) -> str:
        """What was compared, in words."""
        views = "intended, computed and observed" if self.observation else "intended and computed"
        packets = f", {self.observation.probes:,} probes" if self.observation else ", without packets"
        return f"{views}, {self.pairs} pairs, tcp, udp and icmp{packets}"


def survey(stands: Standing, between: tuple[str, str] | None, *, observe: bool) -> Survey:
    """Compare, with packets if ``observe``. Raises ``UsageError`` for unknown ends, ``WavetankError``."""
    chosen, network = _chooser(stands, between), stands.network
    pairs = tuple(filter(chosen, all_pairs(stands.topology, network, stranger=True)))
    _insist(pairs, between)
    if observe:
        return _observed(stands, chosen)
    found = differences(stands.topology, network, None, pairs)
    tampered = tampering.look(stands.target)
    return Survey(len(pairs), found, None, (), stands.network.notes, stands.deployment.guests, tampered)


def _observed(stands: Standing, chosen: Callable[[Pair], bool]) -> Survey:
    from harness.isolation import prove

    stands.target.require_machines()
    lease.keep(stands.target, stands.choice.run)
    with bar("scan") as told:
        proof = prove.prove(
            stands.target,
            stands.topology,
            stands.deployment,
            stands.choice.run_dir,
            choose=chosen,
            progress=told,
        )
    seen = proof.observation
    doubts = [seen.partial] if seen.partial else []
    doubts += [f"{each} was not scanned" for each in prove.missing(seen, proof.pairs)]
    doubts += [
        f"{each.pair} {ports.render(each.inconclusive)}/{each.protocol}: {'; '.join(each.doubts)}"
        for each in seen.seen
        if each.inconclusive
    ]
    notes, guests = proof.network.notes, stands.deployment.guests
    return Survey(len(proof.pairs), proof.differences, seen, tuple(doubts), notes, guests, proof.tampered)


def _chooser(stands: Standing, between: tuple[str, str] | None) -> Callable[[Pair], bool]:
    if between is None:
        return lambda _: True
    ends = tuple(end(stands.network, stands.topology, name) for name in between)
    if OPERATORS in ends:
        raise UsageError(
            "operators are no end of a scan: `wavetank explain operators TO PORT` walks their way"
        )
    if ends[0] == ends[1]:
        raise UsageError(f"{ends[0]} to itself passes no gate: name two different ends")
    if ends[0] in stands.topology.databases:
        raise UsageError(f"{ends[0]} is a managed database: it opens nothing itself; take it as TO")
    return lambda pair: (pair.source, pair.target) == ends


def _insist(pairs: tuple[Pair, ...], between: tuple[str, str] | None) -> None:
    if between and not pairs:
        raise UsageError(f"there is no way from {between[0]} to {between[1]} to compare: no common address")
