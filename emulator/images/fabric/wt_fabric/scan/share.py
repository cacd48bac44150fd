"""One worker's share of a scan: probes out, answers and counters in, and an account of each pair.

Pairs are taken in batches. In each pass all pairs of a batch are probed first and settled together, so that
late answers are waited for once. An *attempt* is one burst of probes: its account must balance (sent =
arrived + dropped, by name), or it does not count and is made again. What arrived and was not answered is
probed again.
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
PROBE_ERRORS = (OSError, LostError, FabricError)


class CancelledError(Exception):
    """The scan was cancelled."""


class Worker:
    """Scans pairs. ``sent`` gets the packets that were sent, and returns whether to carry on."""

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
        """How much these attempts have filled the targets' sets; read early, so errors can wait."""
        try:
            counts = self._sites.target(attempts[0].pair.target).counts() if attempts else {}
        except PROBE_ERRORS:
            return 0
        return sum(counts.get(each.key, 0) for each in attempts)

    def _finish(self, batch: list[Pair], attempts: list[Attempt]) -> None:
        """Settle the first pass, make the others, and collect what the targets recorded."""
        for turn in range(self._passes):
            if turn:
                attempts = [each for pair in batch for each in self._probe(pair, turn)]
            self._probe_again(self._settle(attempts))
            for pair in batch:
                _count_pass(pair)
        self._collect(batch, flush=True)
        for pair in batch:
            pair.done = True

    def _probe(self, pair: Pair, turn: int) -> list[Attempt]:
        """Probe all that is to be probed on a pair, every other time from the last port to the first."""
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
        except PROBE_ERRORS as error:
            pair.fail(self._sites.explain(pair, error))
        return attempt

    def _send(self, attempt: Attempt) -> None:
        pair = attempt.pair
        self._sites.target(pair.target)
        probe_source = self._sites.probe_source(*pair.probe_source)
        path = frames.Path(probe_source.mac, probe_source.gateway_mac, pair.source_ip, pair.target_ip)
        made = frames.frames(path, attempt.protocol, attempt.port, attempt.ports)
        size = made.shape[1]
        if size not in self._outboxes:
            self._outboxes[size] = Outbox(PORTS, size)

        def after_chunk(count: int) -> None:
            attempt.sent += count
            self._read_answers(pair)
            if not self._sent(count):
                raise CancelledError

        self._outboxes[size].send(probe_source.out, made, after_chunk)

    def _read_answers(self, pair: Pair) -> bool:
        """Read the answers to a pair's probe source; returns whether there were any."""
        inbox = self._sites.probe_source(*pair.probe_source).inbox
        received = False
        while (packets := inbox.read()) is not None:
            received = True
            for answers in read(packets):
                self._record(pair, answers)
            if len(packets) < CHUNK:
                break
        return received

    def _record(self, pair: Pair, answers: Answers) -> None:
        """Answers received at a pair's source may be those to another pair of the same source."""
        attempt = self._waiting.get(
            (pair.source, pair.device, answers.target, answers.protocol, answers.attempt)
        )
        if attempt is not None:
            attempt.answered[answers.ports] = True
            attempt.account.answers[answers.how][answers.ports] = True

    def _settle(self, attempts: list[Attempt]) -> list[Attempt]:
        """Wait for answers and counters; what does not balance is probed again.

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
            self._flush_conntrack(balanced)
            lost = [each for each in attempts if not each.balanced]
            attempts = [retried for each in lost if (retried := self._retry(each, last=not rest))]
            if not attempts:
                break
        return silent

    def _retry(self, attempt: Attempt, *, last: bool) -> Attempt | None:
        """Repeat an attempt that did not balance; None if there is no use."""
        pair = attempt.pair
        attempt.account.discarded += attempt.sent
        pair.fail(self._sites.lost(pair) or (_unbalanced(attempt) if last else ""))
        return None if pair.error else self._attempt(pair, attempt.protocol, attempt.ports)

    def _flush_conntrack(self, attempts: list[Attempt]) -> None:
        """Before connection tables fill with probes that are not answered, delete their entries."""
        silent = [each for each in attempts if not each.complete]
        if sum(each.outcome["arrived"] for each in silent) > MOST_CONNECTIONS:
            targets = {each.pair.target for each in silent}
            ports = {(NAMES[each.protocol], each.port) for each in silent if each.protocol != ICMP}
            self._sites.flush_conntrack(targets, ports)

    def _await(self, attempts: list[Attempt]) -> None:
        """Until every attempt is complete, or nothing has come for long enough."""
        waiting = [each for each in attempts if not each.pair.error]
        deadline = time.monotonic() + LATE_SECONDS
        while waiting:
            probe_sources = {each.pair.probe_source: each.pair for each in waiting}
            received = [self._listen(pair) for pair in probe_sources.values()]
            self._read_counters(waiting)
            waiting = [each for each in waiting if not (each.complete or each.pair.error)]
            if any(received):
                deadline = time.monotonic() + LATE_SECONDS
            if not self._sent(0):
                raise CancelledError
            if time.monotonic() > deadline:
                return
            if waiting:
                time.sleep(POLL_SECONDS)

    def _listen(self, pair: Pair) -> bool:
        try:
            return self._read_answers(pair)
        except PROBE_ERRORS as error:
            pair.fail(self._sites.explain(pair, error))
            return False

    def _read_counters(self, attempts: list[Attempt]) -> None:
        """Read the counters of the fabric and the targets for these attempts."""
        drops = self._sites.fabric.drops()
        by_target: dict[str, list[Attempt]] = defaultdict(list)
        for each in attempts:
            by_target[each.pair.target].append(each)
        for target, some in by_target.items():
            try:
                arrived = self._sites.target(target).counts()
            except PROBE_ERRORS as error:
                for each in some:
                    each.pair.fail(self._sites.explain(each.pair, error))
                continue
            for each in some:
                each.outcome = {DROPS[reason]: counts.get(each.key, 0) for reason, counts in drops.items()}
                each.outcome["arrived"] = arrived.get(each.key, 0)

    def _probe_again(self, silent: list[Attempt]) -> None:
        """Probe again what arrived and was not answered; of UDP, silence is an answer."""
        silent = [each for each in silent if each.protocol != UDP and not each.pair.error]
        self._collect([each.pair for each in silent])
        retried = [
            self._attempt(each.pair, each.protocol, ports)
            for each in silent
            if not each.pair.error and len(ports := each.account.unanswered())
        ]
        self._settle(retried)

    def _collect(self, pairs: list[Pair], *, flush: bool = False) -> None:
        """Take over what the targets have recorded of these pairs."""
        by_target: dict[str, list[Pair]] = defaultdict(list)
        for pair in pairs:
            by_target[pair.target].append(pair)
        for target, some in by_target.items():
            try:
                counters = self._sites.target(target)
                _enter(some, counters.arrived())
                if flush:
                    counters.flush()
            except PROBE_ERRORS as error:
                for pair in some:
                    pair.fail(self._sites.explain(pair, error))


def _where(pair: Pair, protocol: int, port: int) -> tuple[str, str, str, int, int]:
    return pair.source, pair.device, pair.target_ip, protocol, port


def _unbalanced(attempt: Attempt) -> str:
    outcomes = ", ".join(f"{count} {name}" for name, count in attempt.outcome.items())
    return f"packets were lost on the way, {ATTEMPTS} times over (of the last {attempt.sent}: {outcomes})"


def _count_pass(pair: Pair) -> None:
    for account in pair.accounts.values():
        account.passes += not pair.error


def _enter(pairs: list[Pair], rows: Array) -> None:
    for pair in pairs:
        mine = rows[(rows[:, 0] == number(pair.source_ip)) & (rows[:, 1] == number(pair.target_ip))]
        for protocol, account in pair.accounts.items():
            ports = mine[mine[:, 2] == protocol][:, 3]
            account.arrived[ports if protocol != ICMP else ports * 0 + 1] = True
