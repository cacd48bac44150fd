"""Give every pair its accounts and its control, and so its verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core import ports
from harness.core.ports import Ports
from harness.firewall.model import Pair
from harness.isolation.model import Seen
from harness.isolation.paced.ends import Ends
from harness.isolation.paced.probe_sources import HERE
from harness.isolation.paced.receiver import Receiver
from harness.isolation.paced.tally import Ask, Tally
from harness.isolation.paced.verdict import Account, Control, Words, judge, merge
from harness.topology.model import INTERNET, Protocol

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")


@dataclass(frozen=True)
class Findings:
    """What was found: ``main`` on all ports, and ``before`` on ``spare``, until the control was opened there.

    ``control`` is the port that was opened for the scan (empty: none was).
    """

    asks: Sequence[Ask]
    main: Tally
    before: Tally
    spare: Ports
    control: Ports

    def wavering(self) -> list[Ask]:
        """What is to be asked once more: ports that answered in one pass and not in another."""
        found = [
            Ask(each.pair, each.ip, self.account(each, "tcp").wavering, self.account(each, "udp").wavering)
            for each in self.asks
        ]
        return [each for each in found if each.size]

    def account(self, ask: Ask, protocol: Protocol) -> Account:
        """What a vantage found on its own, but for the control's port."""
        asked = ask.of(protocol)
        passes = self.main.of(ask.pair, protocol)
        if protocol == "tcp":
            asked = ports.subtract(asked, self.control)
            passes = tuple(_only(each, asked) for each in passes)
        return Account(asked, passes, lost=self.main.lost.get(_vantage(ask.pair), ""))

    def spared(self, ask: Ask) -> Account:
        """What a vantage found at the control's port while it was closed to it."""
        lost = self.before.lost.get(_vantage(ask.pair), "")
        return Account(self.spare, self.before.of(ask.pair, "tcp"), lost=lost)

    def by_port(self, ask: Ask) -> bool:
        """Whether the control port answered in every pass."""
        passes = tuple(_only(each, self.control) for each in self.main.of(ask.pair, "tcp"))
        return bool(self.control) and Account(self.control, passes).answered_in_every_pass


def verdicts(
    findings: Findings,
    again: Tally,
    receivers: Mapping[str, Receiver],
    ends: Ends,
    unasked: Mapping[tuple[Pair, str], str],
) -> Iterator[Seen]:
    """What to make of every pair that was asked, protocol by protocol."""
    accounts = {
        (ask.pair, protocol): _complete(findings.account(ask, protocol), ask, protocol, again, receivers)
        for ask in findings.asks
        for protocol in PROTOCOLS
        if ask.of(protocol)
    }
    controls = _controls(findings, accounts, ends)
    for ask in findings.asks:
        for protocol in PROTOCOLS:
            if (ask.pair, protocol) not in accounts:
                continue
            why = unasked.get((ask.pair, "")) or unasked.get((ask.pair, protocol), "")
            mine = [accounts[ask.pair, protocol]]
            if protocol == "tcp" and findings.spare:
                mine.append(findings.spared(ask))
            yield merge(
                *(
                    judge(ask.pair, protocol, replace(each, lost=why or each.lost), controls[ask.pair])
                    for each in mine
                )
            )


def _complete(
    account: Account, ask: Ask, protocol: Protocol, again: Tally, receivers: Mapping[str, Receiver]
) -> Account:
    """With what was asked once more, and what the target says arrived."""
    once_more = again.of(ask.pair, protocol)[0]
    return replace(account, again=once_more, arrived=_arrived(ask, protocol, receivers))


def _arrived(ask: Ask, protocol: Protocol, receivers: Mapping[str, Receiver]) -> Ports | None:
    if protocol == "tcp" or ask.pair.target not in receivers:
        return None
    receiver = receivers[ask.pair.target]
    return receiver.udp(ask.mark) if protocol == "udp" else receiver.icmp(ask.mark)


def _controls(
    findings: Findings, accounts: Mapping[tuple[Pair, Protocol], Account], ends: Ends
) -> dict[Pair, Control]:
    """The control of each pair's path."""
    answered = {ask.pair: _answered(ask.pair, accounts) for ask in findings.asks}
    by_port = {ask.pair for ask in findings.asks if findings.by_port(ask)}
    live = {pair for pair, count in answered.items() if count} | by_port
    shown = {pair: Control("", {"control_answered": count}) for pair, count in answered.items() if count}
    port = findings.control[0][0] if findings.control else 0
    words = f"its path is shown by port {port}, open for this scan"
    shown = {pair: Control(words, {"control_port": port}) for pair in by_port} | shown
    halves = {pair: _halves(pair, live) for pair in answered if pair.target in ends.databases}
    return {pair: Control() for pair in answered} | halves | shown


def _answered(pair: Pair, accounts: Mapping[tuple[Pair, Protocol], Account]) -> int:
    """How many ports of a pair answered, or datagrams arrived, if in every pass."""
    mine = [accounts[pair, protocol] for protocol in PROTOCOLS if (pair, protocol) in accounts]
    steady = [ports.size(each.answered) for each in mine if each.answered_in_every_pass]
    return sum(steady)


def _halves(pair: Pair, live: set[Pair]) -> Control:
    """Two halves of a path: the target answers somebody else, the vantage reaches something else."""
    other = _first(each for each in live if each.target == pair.target and each.side == pair.side)
    own = _first(each for each in live if each.source == pair.source and each.side == pair.side)
    if not (other and own):
        return Control()
    words = f"{other.source} reaches {pair.target}, {pair.source} reaches {own.target}"
    return Control(f"its path is shown in halves: {words}", {"control_halves": 1})


def _first(found: Iterable[Pair]) -> Pair | None:
    return min(found, default=None)


def _only(words: Words, wanted: Ports) -> Words:
    found = {word: ports.intersect(each, wanted) for word, each in words.items()}
    return {word: each for word, each in found.items() if each}


def _vantage(pair: Pair) -> str:
    return HERE if pair.source == INTERNET else pair.source
