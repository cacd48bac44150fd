"""From accounts and controls to the verdict on every pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.core import ports
from harness.core.ports import Ports
from harness.firewall.model import Pair
from harness.isolation.model import ScanResult
from harness.isolation.paced.ends import Ends
from harness.isolation.paced.probe_sources import HERE
from harness.isolation.paced.receiver import Receiver
from harness.isolation.paced.tally import ProbeTask, Tally
from harness.isolation.paced.verdict import Account, Control, Outcomes, judge, merge
from harness.topology.model import INTERNET, Protocol

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")


@dataclass(frozen=True)
class Findings:
    """The results: ``main`` on all ports, and ``before`` on ``shared_ports``, before the control was opened.

    ``control`` is the port that was opened for the scan (empty: none was).
    """

    tasks: Sequence[ProbeTask]
    main: Tally
    before: Tally
    shared_ports: Ports
    control: Ports

    def unstable(self) -> list[ProbeTask]:
        """What to probe again: ports that answered in one pass and not in another."""
        found = [
            ProbeTask(
                each.pair, each.ip, self.account(each, "tcp").unstable, self.account(each, "udp").unstable
            )
            for each in self.tasks
        ]
        return [each for each in found if each.size]

    def account(self, task: ProbeTask, protocol: Protocol) -> Account:
        """What a probe source found, without the control's port."""
        probed = task.of(protocol)
        passes = self.main.of(task.pair, protocol)
        if protocol == "tcp":
            probed = ports.subtract(probed, self.control)
            passes = tuple(_restricted(each, probed) for each in passes)
        return Account(probed, passes, lost=self.main.lost.get(_probe_source(task.pair), ""))

    def before_control(self, task: ProbeTask) -> Account:
        """What a probe source found at the control's port before that was opened."""
        lost = self.before.lost.get(_probe_source(task.pair), "")
        return Account(self.shared_ports, self.before.of(task.pair, "tcp"), lost=lost)

    def control_answered(self, task: ProbeTask) -> bool:
        """Whether the control port answered in every pass."""
        passes = tuple(_restricted(each, self.control) for each in self.main.of(task.pair, "tcp"))
        return bool(self.control) and Account(self.control, passes).answered_in_every_pass


def verdicts(
    findings: Findings,
    retries: Tally,
    receivers: Mapping[str, Receiver],
    ends: Ends,
    not_probed: Mapping[tuple[Pair, str], str],
) -> Iterator[ScanResult]:
    """The verdict on every pair that was probed, protocol by protocol."""
    accounts = {
        (task.pair, protocol): _complete(findings.account(task, protocol), task, protocol, retries, receivers)
        for task in findings.tasks
        for protocol in PROTOCOLS
        if task.of(protocol)
    }
    controls = _controls(findings, accounts, ends)
    for task in findings.tasks:
        for protocol in PROTOCOLS:
            if (task.pair, protocol) not in accounts:
                continue
            why = not_probed.get((task.pair, "")) or not_probed.get((task.pair, protocol), "")
            mine = [accounts[task.pair, protocol]]
            if protocol == "tcp" and findings.shared_ports:
                mine.append(findings.before_control(task))
            yield merge(
                *(
                    judge(task.pair, protocol, replace(each, lost=why or each.lost), controls[task.pair])
                    for each in mine
                )
            )


def _complete(
    account: Account, task: ProbeTask, protocol: Protocol, retries: Tally, receivers: Mapping[str, Receiver]
) -> Account:
    """The account with the retries, and with what arrived by the target's count."""
    retried = retries.of(task.pair, protocol)[0]
    return replace(account, retries=retried, arrived=_arrived(task, protocol, receivers))


def _arrived(task: ProbeTask, protocol: Protocol, receivers: Mapping[str, Receiver]) -> Ports | None:
    if protocol == "tcp" or task.pair.target not in receivers:
        return None
    receiver = receivers[task.pair.target]
    return receiver.udp(task.mark) if protocol == "udp" else receiver.icmp(task.mark)


def _controls(
    findings: Findings, accounts: Mapping[tuple[Pair, Protocol], Account], ends: Ends
) -> dict[Pair, Control]:
    """The control of each pair's path."""
    answered = {task.pair: _answered(task.pair, accounts) for task in findings.tasks}
    control_answered = {task.pair for task in findings.tasks if findings.control_answered(task)}
    live = {pair for pair, count in answered.items() if count} | control_answered
    shown = {pair: Control("", {"control_answered": count}) for pair, count in answered.items() if count}
    port = findings.control[0][0] if findings.control else 0
    words = f"its path is shown by port {port}, opened for this scan"
    shown = {pair: Control(words, {"control_port": port}) for pair in control_answered} | shown
    halves = {pair: _halves(pair, live) for pair in answered if pair.target in ends.databases}
    return {pair: Control() for pair in answered} | halves | shown


def _answered(pair: Pair, accounts: Mapping[tuple[Pair, Protocol], Account]) -> int:
    """How many ports of a pair answered, or datagrams arrived, if in every pass."""
    mine = [accounts[pair, protocol] for protocol in PROTOCOLS if (pair, protocol) in accounts]
    stable = [ports.size(each.answered) for each in mine if each.answered_in_every_pass]
    return sum(stable)


def _halves(pair: Pair, live: set[Pair]) -> Control:
    """Two halves of a path: the target answers another source, the probe source reaches another target."""
    other = _first(each for each in live if each.target == pair.target and each.side == pair.side)
    own = _first(each for each in live if each.source == pair.source and each.side == pair.side)
    if not (other and own):
        return Control()
    words = f"{other.source} reaches {pair.target}, {pair.source} reaches {own.target}"
    return Control(f"its path is shown in halves: {words}", {"control_halves": 1})


def _first(found: Iterable[Pair]) -> Pair | None:
    return min(found, default=None)


def _restricted(outcomes: Outcomes, wanted: Ports) -> Outcomes:
    found = {outcome: ports.intersect(each, wanted) for outcome, each in outcomes.items()}
    return {outcome: each for outcome, each in found.items() if each}


def _probe_source(pair: Pair) -> str:
    return HERE if pair.source == INTERNET else pair.source
