"""From what a probe source found to a verdict, without packet counters. Pure.

An answer is a verdict by itself: the port can be reached. Silence is one only in every pass, and only where
something else shows that the path carried packets in the same run (the *control*); else it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core import ports
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import ScanResult
from harness.topology.model import Protocol

Outcomes = Mapping[str, Ports]

OPEN, CLOSED, SILENT = "open", "closed", "silent"
UNREACHABLE, LOCAL = "unreachable ", "local "
ICMP_PORT: Ports = ((1, 1),)
NO_CONTROL = "silent, and nothing shows that the path carried packets"
UDP_SILENCE = "silent: without a report from the target that is open or filtered"


@dataclass(frozen=True)
class Control:
    """What shows that a pair's path carries packets: as text, and as counts. False: nothing does."""

    text: str = ""
    evidence: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.evidence)


@dataclass(frozen=True)
class Account:
    """What one probe source found on one pair by one protocol.

    ``passes`` hold, for each pass, the ports by their outcome (see scripts/probe.py); ``retries`` the same
    for what was probed again afterwards. ``arrived`` is what arrived by the target's own report, None where
    there is none. ``lost`` says why something was not probed.
    """

    probed: Ports
    passes: tuple[Outcomes, ...]
    retries: Outcomes = field(default_factory=dict)
    arrived: Ports | None = None
    lost: str = ""

    def found(self, *outcomes: str) -> Ports:
        """The ports that had one of ``outcomes`` in any pass; a prefix of an outcome is enough."""
        return ports.union(*(_of(each, outcomes) for each in (*self.passes, self.retries)))

    @property
    def answered(self) -> Ports:
        """The ports that answered, in any pass."""
        return self.found(OPEN, CLOSED)

    @property
    def answered_in_every_pass(self) -> bool:
        """Whether some port answered in each of the passes."""
        return bool(self.passes) and all(_of(each, (OPEN, CLOSED)) for each in self.passes)

    @property
    def unstable(self) -> Ports:
        """The ports that answered in one pass and did not in another."""
        missed = ports.union(*(_of(each, (SILENT, UNREACHABLE)) for each in self.passes))
        return ports.intersect(self.answered, missed)

    @property
    def confirmed_arrivals(self) -> Ports | None:
        """What arrived, if the target's report can be trusted: it must include all that was answered."""
        if self.arrived is None or ports.subtract(self.answered, self.arrived):
            return None
        return self.arrived


def judge(pair: Pair, protocol: Protocol, account: Account, control: Control) -> ScanResult:
    """The verdict on every port that was probed."""
    probed = account.probed
    opened, closed = account.found(OPEN), account.found(CLOSED)
    both_ways = ports.intersect(opened, closed)
    unstable = ports.subtract(account.unstable, _of(account.retries, (OPEN, CLOSED)))
    unanswered = ports.subtract(probed, account.answered)
    denied = ports.intersect(unanswered, _in_every_pass(account.passes))
    not_probed = ports.subtract(unanswered, denied)
    arrived = ports.intersect(denied, account.confirmed_arrivals or NONE) if protocol != "tcp" else NONE
    denied = ports.subtract(denied, arrived)
    doubtful = {
        "were answered in two ways": both_ways,
        "were answered in one pass and not in another": ports.subtract(unstable, both_ways),
        **_not_probed(account, not_probed),
        **_unproven(protocol, account, denied, control),
    }
    inconclusive = ports.union(*doubtful.values())
    return _result(
        pair,
        protocol,
        doubts=_doubts(doubtful, account, control),
        probes=sum(_sizes(account).values()),
        evidence={"passes": len(account.passes), **_counted(account), **control.evidence},
        open=ports.subtract(opened, inconclusive),
        closed=ports.subtract(ports.union(closed, arrived), inconclusive),
        filtered=ports.subtract(denied, inconclusive),
        inconclusive=inconclusive,
    )


def merge(*results: ScanResult) -> ScanResult:
    """Several verdicts on different ports of one pair and protocol as one."""
    first = results[0]
    evidence = {name: value for each in reversed(results) for name, value in each.evidence.items()}
    return ScanResult(
        first.pair,
        first.protocol,
        open=ports.union(*(each.open for each in results)),
        closed=ports.union(*(each.closed for each in results)),
        filtered=ports.union(*(each.filtered for each in results)),
        inconclusive=ports.union(*(each.inconclusive for each in results)),
        doubts=tuple(dict.fromkeys(doubt for each in results for doubt in each.doubts)),
        probes=sum(each.probes for each in results),
        evidence=evidence,
    )


def _of(outcomes: Outcomes, wanted: Sequence[str]) -> Ports:
    return ports.union(*(found for outcome, found in outcomes.items() if outcome.startswith(tuple(wanted))))


def _in_every_pass(passes: Iterable[Outcomes]) -> Ports:
    """The ports that did not answer in any pass, of which there must be one at least."""
    common: Ports | None = None
    for outcomes in passes:
        found = _of(outcomes, (SILENT, UNREACHABLE))
        common = found if common is None else ports.intersect(common, found)
    return common or NONE


def _not_probed(account: Account, not_probed: Ports) -> dict[str, Ports]:
    """Why some ports have no outcome in every pass: errors of this side, or a probe source that was lost."""
    errors = sorted(
        {
            outcome
            for outcomes in (*account.passes, account.retries)
            for outcome in outcomes
            if LOCAL in outcome
        }
    )
    by_error = {
        f"could not be probed: {outcome}": ports.intersect(not_probed, account.found(outcome))
        for outcome in errors
    }
    rest = ports.subtract(not_probed, ports.union(*by_error.values()))
    return {**by_error, f"were not fully probed: {account.lost or 'no answer came'}": rest}


def _unproven(protocol: Protocol, account: Account, denied: Ports, control: Control) -> dict[str, Ports]:
    """Silence that is no verdict."""
    if protocol == "udp" and account.confirmed_arrivals is None:
        rejected = ports.intersect(denied, account.found(UNREACHABLE)) if control else NONE
        return {UDP_SILENCE: ports.subtract(denied, rejected)}
    return {} if control else {NO_CONTROL: denied}


def _doubts(doubtful: Mapping[str, Ports], account: Account, control: Control) -> tuple[str, ...]:
    doubts = [f"{ports.render(each)} {problem}" for problem, each in doubtful.items() if each]
    outcomes = {
        outcome
        for each in (*account.passes, account.retries)
        for outcome in each
        if outcome.startswith(UNREACHABLE)
    }
    doubts += [f"{ports.render(account.found(outcome))} {outcome}" for outcome in sorted(outcomes)]
    return (*doubts, control.text) if control.text else tuple(doubts)


def _counted(account: Account) -> dict[str, int]:
    arrived = {} if account.arrived is None else {"arrived_ports": ports.size(account.arrived)}
    return {**_sizes(account), **arrived}


def _sizes(account: Account) -> dict[str, int]:
    """Attempts by their outcome, over all passes."""
    sizes: dict[str, int] = {}
    for each in (*account.passes, account.retries):
        for outcome, found in each.items():
            name = outcome.replace(" ", "_")
            sizes[name] = sizes.get(name, 0) + ports.size(found)
    return sizes


def _result(
    pair: Pair,
    protocol: Protocol,
    *,
    doubts: tuple[str, ...],
    probes: int,
    evidence: Mapping[str, int],
    **sets: Ports,
) -> ScanResult:
    if protocol == "icmp":
        sets = {name: ALL if each else NONE for name, each in sets.items()}
        doubts = tuple(each.removeprefix("1 ") for each in doubts)
    return ScanResult(pair, protocol, doubts=doubts, probes=probes, evidence=evidence, **sets)
