"""One worker's share of a scan: probes out, answers and testimonies in, and an account of each pair.

Pairs are taken in batches. In each pass all pairs of a batch are probed first and settled together, so that
late answers are waited for once. An *attempt* is one burst of probes: its account must balance (sent =
arrived + dropped, by name), or it does not count and is made again. What arrived and was not answered is
asked again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from wt_fabric.command import FabricError
from wt_fabric.scan import frames
from wt_fabric.scan.account import DROPS, NAMES, PORTS, Attempt, Pair
from wt_fabric.scan.answers import Answers, read
from wt_fabric.scan.frames import ICMP, UDP, Array
from wt_fabric.scan.ranges import number
from wt_fabric.scan.sites import LostError, Sites
from wt_fabric.scan.wire import CHUNK, Outbox

LATE_SECONDS = 0.5
POLL_SECONDS = 0.002
ATTEMPTS = 5
MOST_ARRIVED, MOST_PAIRS = 30_000, 32
MOST_CONNECTIONS = 20_000
TROUBLE = (OSError, LostError, FabricError)


class CancelledError(Exception):
    """The scan was told to end."""


class Worker:
    """Scans pairs. ``sent`` hears of packets as they go, and says whether to carry on."""

    def __init__(self, sites: Sites, passes: int, sent: Callable[[int], bool]) -> None:
        self._sites, self._passes, self._sent = sites, passes, sent
        self._outboxes: dict[int, Outbox] = {}
        self._waiting: dict[tuple[str, str, str, int, int], Attempt] = {}

    def scan(self, pairs: Iterable[Pair]) -> None:
        """Fill the accounts of all pairs. Raises ``CancelledError``."""
        batch: list[Pair] = []
        attempts: list[Attempt] = []
        arrived = 0
        for pair in pairs:
            batch.append(pair)
            made = self._probe(pair, 0)
            attempts += made
            arrived += self._arrived(made)
            if len(batch) >= MOST_PAIRS or arrived > MOST_ARRIVED:
                self._finish(batch, attempts)
                batch, attempts, arrived = [], [], 0
        self._finish(batch, attempts)

    def _arrived(self, attempts: list[Attempt]) -> int:
        """How much these attempts have filled the targets' sets; asked early, so errors can wait."""
        try:
            counts = self._sites.target(attempts[0].pair.target).counts() if attempts else {}
        except TROUBLE:
            return 0
        return sum(counts.get(each.key, 0) for each in attempts)

    def _finish(self, batch: list[Pair], attempts: list[Attempt]) -> None:
        """Settle the first pass, make the others, and collect what the targets recorded."""
        for turn in range(self._passes):
            if turn:
                attempts = [each for pair in batch for each in self._probe(pair, turn)]
            self._ask_again(self._settle(attempts))
            for pair in batch:
                _count_pass(pair)
        self._collect(batch, flush=True)
        for pair in batch:
            pair.done = True

    def _probe(self, pair: Pair, turn: int) -> list[Attempt]:
        """Ask all that is to be asked of a pair, every other time from the last port to the first."""
        made = []
        for protocol, account in pair.accounts.items():
            ports = account.asked[::-1] if turn % 2 else account.asked
            if not pair.error:
                made.append(self._attempt(pair, protocol, ports))
        return made

    def _attempt(self, pair: Pair, protocol: int, ports: Array) -> Attempt:
        account = pair.accounts[protocol]
        attempt = Attempt(pair, protocol, self._sites.span[0] + account.attempts, ports)
        account.attempts += 1
        self._waiting[_where(pair, protocol, attempt.port)] = attempt
        try:
            if attempt.port > self._sites.span[1]:
                raise LostError(f"{account.attempts} bursts of probes were not enough")
            self._send(attempt)
        except TROUBLE as error:
            pair.fail(self._sites.why(pair, error))
        return attempt

    def _send(self, attempt: Attempt) -> None:
        pair = attempt.pair
        self._sites.target(pair.target)
        vantage = self._sites.vantage(*pair.vantage)
        path = frames.Path(vantage.mac, vantage.gateway_mac, pair.source_ip, pair.target_ip)
        made = frames.frames(path, attempt.protocol, attempt.port, attempt.ports)
        size = made.shape[1]
        if size not in self._outboxes:
            self._outboxes[size] = Outbox(PORTS, size)

        def between(count: int) -> None:
            attempt.sent += count
            self._hear(pair)
            if not self._sent(count):
                raise CancelledError

        self._outboxes[size].send(vantage.out, made, between)

    def _hear(self, pair: Pair) -> bool:
        """Take in what has been answered to a pair's vantage; whether there was anything."""
        inbox = self._sites.vantage(*pair.vantage).inbox
        heard = False
        while (packets := inbox.read()) is not None:
            heard = True
            for answers in read(packets):
                self._note(pair, answers)
            if len(packets) < CHUNK:
                break
        return heard

    def _note(self, pair: Pair, answers: Answers) -> None:
        """Answers heard at a pair's vantage may be those to another pair of the same vantage."""
        attempt = self._waiting.get(
            (pair.source, pair.device, answers.target, answers.protocol, answers.attempt)
        )
        if attempt is not None:
            attempt.answered[answers.ports] = True
            attempt.account.answers[answers.how][answers.ports] = True

    def _settle(self, attempts: list[Attempt]) -> list[Attempt]:
        """Wait for answers and testimonies; what does not balance is probed again.

        Returns the attempts that balance, of which something arrived that was not answered.
        """
        silent = []
        for rest in reversed(range(ATTEMPTS)):
            self._await(attempts)
            for each in attempts:
                self._waiting.pop(_where(each.pair, each.protocol, each.port), None)
            balanced = [each for each in attempts if each.balanced]
            for each in balanced:
                each.enter()
            silent += [each for each in balanced if not each.complete]
            self._forget(balanced)
            lost = [each for each in attempts if not each.balanced]
            attempts = [again for each in lost if (again := self._again(each, last=not rest))]
            if not attempts:
                break
        return silent

    def _again(self, attempt: Attempt, *, last: bool) -> Attempt | None:
        """Make an attempt anew that did not balance; None if there is no use."""
        pair = attempt.pair
        attempt.account.discarded += attempt.sent
        pair.fail(self._sites.lost(pair) or (_unbalanced(attempt) if last else ""))
        return None if pair.error else self._attempt(pair, attempt.protocol, attempt.ports)

    def _forget(self, attempts: list[Attempt]) -> None:
        """Before connection tables fill with probes that nobody answers, have them removed."""
        silent = [each for each in attempts if not each.complete]
        if sum(each.became["arrived"] for each in silent) > MOST_CONNECTIONS:
            targets = {each.pair.target for each in silent}
            ports = {(NAMES[each.protocol], each.port) for each in silent if each.protocol != ICMP}
            self._sites.forget_connections(targets, ports)

    def _await(self, attempts: list[Attempt]) -> None:
        """Until every attempt is complete, or nothing has come for long enough."""
        waiting = [each for each in attempts if not each.pair.error]
        deadline = time.monotonic() + LATE_SECONDS
        while waiting:
            vantages = {each.pair.vantage: each.pair for each in waiting}
            heard = [self._listen(pair) for pair in vantages.values()]
            self._testify(waiting)
            waiting = [each for each in waiting if not (each.complete or each.pair.error)]
            if any(heard):
                deadline = time.monotonic() + LATE_SECONDS
            if not self._sent(0):
                raise CancelledError
            if time.monotonic() > deadline:
                return
            if waiting:
                time.sleep(POLL_SECONDS)

    def _listen(self, pair: Pair) -> bool:
        try:
            return self._hear(pair)
        except TROUBLE as error:
            pair.fail(self._sites.why(pair, error))
            return False

    def _testify(self, attempts: list[Attempt]) -> None:
        """Ask the fabric and the targets what became of these attempts."""
        drops = self._sites.fabric.drops()
        by_target: dict[str, list[Attempt]] = defaultdict(list)
        for each in attempts:
            by_target[each.pair.target].append(each)
        for target, some in by_target.items():
            try:
                arrived = self._sites.target(target).counts()
            except TROUBLE as error:
                for each in some:
                    each.pair.fail(self._sites.why(each.pair, error))
                continue
            for each in some:
                each.became = {DROPS[gate]: counts.get(each.key, 0) for gate, counts in drops.items()}
                each.became["arrived"] = arrived.get(each.key, 0)

    def _ask_again(self, silent: list[Attempt]) -> None:
        """Ask once more what arrived and was not answered; of UDP, silence is an answer."""
        silent = [each for each in silent if each.protocol != UDP and not each.pair.error]
        self._collect([each.pair for each in silent])
        again = [
            self._attempt(each.pair, each.protocol, ports)
            for each in silent
            if not each.pair.error and len(ports := each.account.unanswered())
        ]
        self._settle(again)

    def _collect(self, pairs: list[Pair], *, flush: bool = False) -> None:
        """Take over what the targets have recorded of these pairs."""
        by_target: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            by_target[pair.target].append(pair)
        for target, some in by_target.items():
            try:
                testimony = self._sites.target(target)
                _enter(some, testimony.seen())
                if flush:
                    testimony.flush()
            except TROUBLE as error:
                for pair in some:
                    pair.fail(self._sites.why(pair, error))


def _where(pair: Pair, protocol: int, port: int) -> tuple[str, str, str, int, int]:
    return pair.source, pair.device, pair.target_ip, protocol, port


def _unbalanced(attempt: Attempt) -> str:
    became = ", ".join(f"{count} {name}" for name, count in attempt.became.items())
    return f"packets were lost on the way, {ATTEMPTS} times over (of the last {attempt.sent}: {became})"


def _count_pass(pair: Pair) -> None:
    for account in pair.accounts.values():
        account.passes += not pair.error


def _enter(pairs: list[Pair], seen: Array) -> None:
    for pair in pairs:
        mine = seen[(seen[:, 0] == number(pair.source_ip)) & (seen[:, 1] == number(pair.target_ip))]
        for protocol, account in pair.accounts.items():
            ports = mine[mine[:, 2] == protocol][:, 3]
            account.seen[ports if protocol != ICMP else ports * 0 + 1] = True
