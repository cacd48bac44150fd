"""From two evidence sources to a verdict, for one pair and protocol. Pure.

The *prober* reports the answers. The *fabric* counts what arrived at the target and what its rules dropped.
There is a verdict only where the two agree and the fabric's counters balance: every packet that was sent
either arrived or was dropped by a counted rule. Everything else is *inconclusive*, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.core import ports
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import ScanResult
from harness.topology.model import Protocol

DROPS = ("denied_out", "denied_in", "unrouted", "other_drops")
BY_RULES = DROPS[:3]
COUNTS = ("sent", "arrived", *DROPS)


def judge(pair: Pair, protocol: Protocol, account: Mapping[str, Any], error: str = "") -> ScanResult:
    """The verdict on one pair from both evidence sources; ``account`` is the scan's (see docs/emulator.md).

    ``error`` says why the pair was not fully probed: then there is no verdict.
    """
    probed = _ports(account["asked"])
    counts = {name: int(account[name]) for name in COUNTS}
    if doubt := error or _imbalance(counts):
        return _result(pair, protocol, counts, inconclusive=probed, doubts=(doubt,))
    arrived = ports.intersect(_ports(account["arrived_ports"]), probed)
    opened, closed, rejected = (
        ports.intersect(_ports(account[f"answered_{how}"]), probed) for how in ("open", "closed", "rejected")
    )
    both_ways = ports.intersect(opened, ports.union(closed, rejected))
    not_arrived = ports.subtract(ports.union(opened, closed), arrived)
    unanswered = _unanswered(protocol, arrived, ports.union(opened, closed, rejected))
    filtered = ports.subtract(probed, ports.union(arrived, not_arrived, both_ways))
    vanished = _vanished(counts, int(account["passes"]) * ports.size(filtered))
    doubtful = {
        "were answered in two ways": both_ways,
        "were answered, but the fabric saw nothing arrive": not_arrived,
        "arrived, but nothing was answered": unanswered,
        vanished: filtered if vanished else NONE,
    }
    inconclusive = ports.union(*doubtful.values())
    return _result(
        pair,
        protocol,
        counts,
        open=ports.subtract(ports.intersect(opened, arrived), inconclusive),
        closed=ports.subtract(ports.subtract(arrived, opened), inconclusive),
        filtered=ports.subtract(filtered, inconclusive),
        inconclusive=inconclusive,
        doubts=tuple(f"{ports.render(each)} {words}" for words, each in doubtful.items() if each),
    )


def _imbalance(counts: Mapping[str, int]) -> str:
    """Why the fabric's counters do not balance; empty where they do."""
    accounted = counts["arrived"] + sum(counts[name] for name in DROPS)
    if counts["sent"] == accounted:
        return ""
    parts = ", ".join(f"{counts[name]} {name}" for name in COUNTS[1:])
    return f"{counts['sent']} packets were sent but {accounted} accounted for ({parts})"


def _vanished(counts: Mapping[str, int], least: int) -> str:
    """Why silence proves nothing: the rules dropped fewer packets than silent ports were probed."""
    dropped = sum(counts[name] for name in BY_RULES)
    if dropped >= least:
        return ""
    return f"did not arrive, but the firewall rules and routing dropped only {dropped} of {least} packets"


def _unanswered(protocol: Protocol, arrived: Ports, answered: Ports) -> Ports:
    """What arrived must be answered, except over UDP: a receiver of datagrams may be silent."""
    return NONE if protocol == "udp" else ports.subtract(arrived, answered)


def _result(
    pair: Pair,
    protocol: Protocol,
    counts: Mapping[str, int],
    *,
    doubts: tuple[str, ...] = (),
    **sets: Ports,
) -> ScanResult:
    if protocol == "icmp":
        sets = {name: ALL if each else NONE for name, each in sets.items()}
    return ScanResult(pair, protocol, doubts=doubts, probes=counts["sent"], evidence=dict(counts), **sets)


def _ports(ranges: Iterable[Sequence[int]]) -> Ports:
    return ports.union(*(((first, last),) for first, last in ranges))
