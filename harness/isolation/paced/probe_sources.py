"""Have vantages ask: droplets over ssh, this machine by itself or through the target's proxy."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from python_socks import ProxyError, ProxyTimeoutError

from harness.access.socks import connect
from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import CommandError, WaitTimeoutError
from harness.core.parallel import Pool
from harness.isolation.paced.remote_scripts import Conversation, Told, here, on_node
from harness.isolation.paced.tally import Ask, Tally
from harness.isolation.paced.verdict import CLOSED, LOCAL, OPEN, SILENT, UNREACHABLE

HERE = "this machine"
START_SECONDS = 60.0
PROXIED_AT_ONCE = 64
PROXIED_SECONDS = 3.0
SOCKS_REFUSED, SOCKS_UNREACHABLE = 5, {2: "NOTALLOWED", 3: "ENETUNREACH", 4: "EHOSTUNREACH"}


@dataclass(frozen=True)
class Pace:
    """How hard a vantage may ask: attempts at once, attempts a second, seconds until one counts as silent.

    A SYN is sent again after one second, so an attempt of 1.2 s is two packets.
    """

    in_flight: int = 4_000
    rate: int = 10_000
    seconds: float = 1.2

    def duration(self, attempts: int) -> float:
        """How many seconds so many attempts take where all are silent."""
        return attempts / min(self.rate, self.in_flight / self.seconds) + self.seconds


@dataclass(frozen=True)
class Round:
    """One scan of all vantages: what it shares. ``stop`` ends it early; ``token`` marks its payloads."""

    access: Access
    pace: Pace
    token: str
    tally: Tally
    stop: threading.Event

    def deadline(self, asks: Sequence[Ask]) -> float:
        """Three times what it takes, and a minute for everything else."""
        attempts = self.tally.passes * sum(each.size for each in asks)
        return START_SECONDS + 3 * self.pace.duration(attempts)


def from_droplet(job: Round, node: str, asks: Sequence[Ask]) -> None:
    """Ask everything from ``node``; what it saw is in the tally, and why it ended early, where it did."""
    _converse(job, on_node(job.access, node), node, asks)


def from_here(job: Round, asks: Sequence[Ask]) -> None:
    """Ask everything from this machine, which reaches the addresses directly."""
    _converse(job, here(), HERE, asks)


def _converse(job: Round, argv: Sequence[str], where: str, asks: Sequence[Ask]) -> None:
    document = {
        "targets": [_target(each, job.token) for each in asks],
        "passes": job.tally.passes,
        "seed": where,
        **asdict(job.pace),
    }
    deadline = job.deadline(asks)
    try:
        with Conversation(argv, "probe.py", document, where=where, deadline=deadline, stop=job.stop) as told:
            done = [_take(job.tally, where, asks, line) for line in told.lines()]
    except (CommandError, WaitTimeoutError) as error:
        job.tally.lose(where, f"{where} was lost: {error}")
        return
    if not any(done):
        job.tally.lose(where, f"{where} was lost: its scan ended before it was done")


def _target(ask: Ask, token: str) -> Told:
    return {"ip": ask.ip, "tcp": ask.tcp, "udp": ask.udp, "icmp": ask.icmp, "payload": token + ask.mark}


def _take(tally: Tally, where: str, asks: Sequence[Ask], line: Told) -> bool:
    """Take in one line; whether it is the last."""
    if "words" in line:
        tally.add(asks[line["target"]].pair, line["protocol"], line["pass"], line["words"])
    elif "sent" in line:
        tally.sent(where, line["sent"])
    return "done" in line


def through_proxy(job: Round, proxy: str, asks: Sequence[Ask]) -> None:
    """Ask every TCP port of ``asks`` through a SOCKS proxy, which carries nothing else."""
    sent = itertools.count(1)

    def attempt(each: tuple[int, Ask, int]) -> None:
        if job.stop.is_set():
            return
        number, ask, port = each
        word = _proxied(proxy, ask.ip, port)
        job.tally.add(ask.pair, "tcp", number, {word: ((port, port),)})
        job.tally.sent(HERE, next(sent))

    ends = time.monotonic() + job.deadline(asks) * 4_000 / PROXIED_AT_ONCE
    with Pool(PROXIED_AT_ONCE) as pool:
        for batch in _batches(_attempts(job, asks)):
            list(pool.map(attempt, batch))
            if time.monotonic() > ends:
                job.tally.lose(HERE, f"{HERE} did not get done in time")
                return


def _batches(attempts: Iterator[tuple[int, Ask, int]]) -> Iterator[list[tuple[int, Ask, int]]]:
    while batch := list(itertools.islice(attempts, 1024)):
        yield batch


def _attempts(job: Round, asks: Sequence[Ask]) -> Iterator[tuple[int, Ask, int]]:
    """Every port of every address, once a pass, each pass in an order of its own."""
    for number in range(job.tally.passes):
        order = [(number, ask, port) for ask in asks for port in _each(ask.tcp)]
        random.Random(f"{job.token} {number}").shuffle(order)  # noqa: S311 (an order, not a secret)
        yield from order


def _each(wanted: ports.Ports) -> Iterator[int]:
    for first, last in wanted:
        yield from range(first, last + 1)


def _proxied(proxy: str, ip: str, port: int) -> str:
    """The word for one attempt; what the proxy cannot tell is this side's own error."""
    try:
        connect(proxy, ip, port, timeout=PROXIED_SECONDS).close()
    except (TimeoutError, ProxyTimeoutError):
        return SILENT
    except OSError as error:
        cause = error.__cause__
        code = cause.error_code if isinstance(cause, ProxyError) else None
        if code == SOCKS_REFUSED:
            return CLOSED
        if code in SOCKS_UNREACHABLE:
            return UNREACHABLE + SOCKS_UNREACHABLE[code]
        return f"{LOCAL}proxy"
    return OPEN
