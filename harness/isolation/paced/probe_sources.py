"""Have the sources probe: droplets over ssh, this machine directly or through the target's proxy."""

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
from harness.isolation.paced.remote_scripts import Message, RemoteScript, here, on_node
from harness.isolation.paced.tally import ProbeTask, Tally
from harness.isolation.paced.verdict import CLOSED, LOCAL, OPEN, SILENT, UNREACHABLE

HERE = "this machine"
START_SECONDS = 60.0
PROXIED_AT_ONCE = 64
PROXIED_SECONDS = 3.0
SOCKS_REFUSED, SOCKS_UNREACHABLE = 5, {2: "NOTALLOWED", 3: "ENETUNREACH", 4: "EHOSTUNREACH"}


@dataclass(frozen=True)
class Pace:
    """How fast one source may probe: attempts at once, attempts a second, seconds until one counts as silent.

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
    """What one scan from all probe sources shares. ``stop`` ends it early; ``token`` marks its payloads."""

    access: Access
    pace: Pace
    token: str
    tally: Tally
    stop: threading.Event

    def deadline(self, tasks: Sequence[ProbeTask]) -> float:
        """Three times the expected duration, and a minute for everything else."""
        attempts = self.tally.passes * sum(each.size for each in tasks)
        return START_SECONDS + 3 * self.pace.duration(attempts)


def from_droplet(job: Round, node: str, tasks: Sequence[ProbeTask]) -> None:
    """Probe all of it from ``node``. The results are in the tally, and if it ended early, the reason."""
    _run_script(job, on_node(job.access, node), node, tasks)


def from_here(job: Round, tasks: Sequence[ProbeTask]) -> None:
    """Probe all of it from this machine, which reaches the addresses directly."""
    _run_script(job, here(), HERE, tasks)


def _run_script(job: Round, argv: Sequence[str], where: str, tasks: Sequence[ProbeTask]) -> None:
    document = {
        "targets": [_target(each, job.token) for each in tasks],
        "passes": job.tally.passes,
        "seed": where,
        **asdict(job.pace),
    }
    deadline = job.deadline(tasks)
    try:
        with RemoteScript(
            argv, "probe.py", document, where=where, deadline=deadline, stop=job.stop
        ) as script:
            done = [_take(job.tally, where, tasks, line) for line in script.lines()]
    except (CommandError, WaitTimeoutError) as error:
        job.tally.mark_lost(where, f"{where} was lost: {error}")
        return
    if not any(done):
        job.tally.mark_lost(where, f"{where} was lost: its scan ended before it was done")


def _target(task: ProbeTask, token: str) -> Message:
    return {"ip": task.ip, "tcp": task.tcp, "udp": task.udp, "icmp": task.icmp, "payload": token + task.mark}


def _take(tally: Tally, where: str, tasks: Sequence[ProbeTask], line: Message) -> bool:
    """Record one line; returns whether it is the last."""
    if "outcomes" in line:
        tally.add(tasks[line["target"]].pair, line["protocol"], line["pass"], line["outcomes"])
    elif "sent" in line:
        tally.sent(where, line["sent"])
    return "done" in line


def through_proxy(job: Round, proxy: str, tasks: Sequence[ProbeTask]) -> None:
    """Probe every TCP port of ``tasks`` through a SOCKS proxy, which carries nothing else."""
    sent = itertools.count(1)

    def attempt(each: tuple[int, ProbeTask, int]) -> None:
        if job.stop.is_set():
            return
        number, task, port = each
        outcome = _proxied(proxy, task.ip, port)
        job.tally.add(task.pair, "tcp", number, {outcome: ((port, port),)})
        job.tally.sent(HERE, next(sent))

    ends = time.monotonic() + job.deadline(tasks) * 4_000 / PROXIED_AT_ONCE
    with Pool(PROXIED_AT_ONCE) as pool:
        for batch in _batches(_attempts(job, tasks)):
            list(pool.map(attempt, batch))
            if time.monotonic() > ends:
                job.tally.mark_lost(HERE, f"{HERE} did not finish in time")
                return


def _batches(attempts: Iterator[tuple[int, ProbeTask, int]]) -> Iterator[list[tuple[int, ProbeTask, int]]]:
    while batch := list(itertools.islice(attempts, 1024)):
        yield batch


def _attempts(job: Round, tasks: Sequence[ProbeTask]) -> Iterator[tuple[int, ProbeTask, int]]:
    """Every port of every address, once a pass, each pass in an order of its own."""
    for number in range(job.tally.passes):
        order = [(number, task, port) for task in tasks for port in _each(task.tcp)]
        random.Random(f"{job.token} {number}").shuffle(order)  # noqa: S311 (an order, not a secret)
        yield from order


def _each(wanted: ports.Ports) -> Iterator[int]:
    for first, last in wanted:
        yield from range(first, last + 1)


def _proxied(proxy: str, ip: str, port: int) -> str:
    """The outcome of one attempt; what the proxy cannot tell is an error of this side."""
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
