"""From two testimonies to a verdict, for one pair and protocol. Pure.

The *prober* says what was answered; the *fabric* says what arrived at the target and what its gates dropped.
A verdict stands only where the two agree and the fabric's account balances: every packet sent is one that
arrived or one that was dropped by name. Everything else is *inconclusive*, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.core import ports
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import Seen
from harness.topology.model import Protocol

DROPS = ("denied_out", "denied_in", "unrouted", "other_drops")
GATES = DROPS[:3]
COUNTS = ("sent", "arrived", *DROPS)


def judge(pair: Pair, protocol: Protocol, told: Mapping[str, Any], error: str = "") -> Seen:
    """What two witnesses' account of one pair amounts to; ``told`` is the scan's (see the emulator's docs).

    ``error`` says why the pair was not fully asked: then nothing stands.
    """
    asked = _ports(told["asked"])
    counts = {name: int(told[name]) for name in COUNTS}
    if doubt := error or _imbalance(counts):
        return _seen(pair, protocol, counts, inconclusive=asked, doubts=(doubt,))
    arrived = ports.intersect(_ports(told["arrived_ports"]), asked)
    opened, closed, rejected = (
        ports.intersect(_ports(told[f"answered_{how}"]), asked) for how in ("open", "closed", "rejected")
    )
    both_ways = ports.intersect(opened, ports.union(closed, rejected))
    unseen = ports.subtract(ports.union(opened, closed), arrived)
    unanswered = _unanswered(protocol, arrived, ports.union(opened, closed, rejected))
    filtered = ports.subtract(asked, ports.union(arrived, unseen, both_ways))
    vanished = _vanished(counts, int(told["passes"]) * ports.size(filtered))
    doubtful = {
        "were answered in two ways": both_ways,
        "were answered, but the fabric saw nothing arrive": unseen,
        "arrived, but nothing was answered": unanswered,
        vanished: filtered if vanished else NONE,
    }
    inconclusive = ports.union(*doubtful.values())
    return _seen(
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
    """Why the fabric's account does not add up; empty where it does."""
    accounted = counts["arrived"] + sum(counts[name] for name in DROPS)
    if counts["sent"] == accounted:
        return ""
    parts = ", ".join(f"{counts[name]} {name}" for name in COUNTS[1:])
    return f"{counts['sent']} packets were sent but {accounted} accounted for ({parts})"


def _vanished(counts: Mapping[str, int], least: int) -> str:
    """Why silence proves nothing: fewer packets fell at the gates than silent ports were asked."""
    dropped = sum(counts[name] for name in GATES)
    if dropped >= least:
        return ""
    return f"did not arrive, but the gates dropped only {dropped} of {least} packets"


def _unanswered(protocol: Protocol, arrived: Ports, answered: Ports) -> Ports:
    """What arrived must be answered, but by UDP: a datagram's taker may be silent."""
    return NONE if protocol == "udp" else ports.subtract(arrived, answered)


def _seen(
    pair: Pair,
    protocol: Protocol,
    counts: Mapping[str, int],
    *,
    doubts: tuple[str, ...] = (),
    **sets: Ports,
) -> Seen:
    if protocol == "icmp":
        sets = {name: ALL if each else NONE for name, each in sets.items()}
    return Seen(pair, protocol, doubts=doubts, probes=counts["sent"], evidence=dict(counts), **sets)


def _ports(ranges: Iterable[Sequence[int]]) -> Ports:
    return ports.union(*(((first, last),) for first, last in ranges))
