"""The three views of a running deployment, compared: with packets or without, for all pairs or for one."""

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
from harness.isolation.session import NetworkSession
from harness.run import lease
from harness.topology.model import OPERATORS


@dataclass(frozen=True)
class Survey:
    """What came of it. ``pairs`` counts them, ``doubts`` is what stays inconclusive, ``notes`` all else.

    ``guests`` are, as text, who is bound to the run and not of it; ``tampered`` is what of the emulated
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
        """What was compared, as text."""
        views = "intended, computed and observed" if self.observation else "intended and computed"
        packets = f", {self.observation.probes:,} probes" if self.observation else ", without packets"
        return f"{views}, {self.pairs} pairs, tcp, udp and icmp{packets}"


def survey(session: NetworkSession, between: tuple[str, str] | None, *, observe: bool) -> Survey:
    """Compare, with packets if ``observe``. Raises ``UsageError`` for unknown ends, ``WavetankError``."""
    chosen, network = _chooser(session, between), session.network
    pairs = tuple(filter(chosen, all_pairs(session.topology, network, outsider=True)))
    _require_pairs(pairs, between)
    if observe:
        return _observed(session, chosen)
    found = differences(session.topology, network, None, pairs)
    tampered = tampering.inspect(session.target)
    return Survey(len(pairs), found, None, (), session.network.notes, session.deployment.guests, tampered)


def _observed(session: NetworkSession, chosen: Callable[[Pair], bool]) -> Survey:
    from harness.isolation import prove

    session.target.require_machines()
    lease.keep(session.target, session.choice.run)
    with bar("scan") as report_progress:
        proof = prove.prove(
            session.target,
            session.topology,
            session.deployment,
            session.choice.run_dir,
            choose=chosen,
            progress=report_progress,
        )
    observation = proof.observation
    doubts = [observation.partial] if observation.partial else []
    doubts += [f"{each} was not scanned" for each in prove.missing(observation, proof.pairs)]
    doubts += [
        f"{each.pair} {ports.render(each.inconclusive)}/{each.protocol}: {'; '.join(each.doubts)}"
        for each in observation.results
        if each.inconclusive
    ]
    notes, guests = proof.network.notes, session.deployment.guests
    return Survey(
        len(proof.pairs), proof.differences, observation, tuple(doubts), notes, guests, proof.tampered
    )


def _chooser(session: NetworkSession, between: tuple[str, str] | None) -> Callable[[Pair], bool]:
    if between is None:
        return lambda _: True
    ends = tuple(end(session.network, session.topology, name) for name in between)
    if OPERATORS in ends:
        raise UsageError(
            "operators cannot be an end of a scan: `wavetank explain operators TO PORT` explains their flows"
        )
    if ends[0] == ends[1]:
        raise UsageError(f"{ends[0]} to itself passes no firewall: name two different ends")
    if ends[0] in session.topology.databases:
        raise UsageError(f"{ends[0]} is a managed database: it opens no connections itself; name it as TO")
    return lambda pair: (pair.source, pair.target) == ends


def _require_pairs(pairs: tuple[Pair, ...], between: tuple[str, str] | None) -> None:
    if between and not pairs:
        raise UsageError(f"there is no route from {between[0]} to {between[1]} to compare: no common address")
