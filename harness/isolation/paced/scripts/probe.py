"""Runs on a probe source (Python 3.9 or newer, standard library only): probes ports, reports each outcome.

``main`` reads one line of JSON, the job, from standard input and writes lines of JSON. It ends when it is
done, when standard input ends (ssh has gone), or when the job's deadline passes; nothing of it stays.

A job: ``targets`` (``ip``, ``tcp`` and ``udp`` as ranges, ``icmp``, ``payload`` in hex), ``passes``,
``in_flight``, ``rate`` (attempts a second), ``seconds`` (an attempt's timeout), ``deadline`` (seconds for
all), ``seed`` (of the order). A line: ``{"pass", "target", "protocol", "outcomes": {outcome: ranges}}`` for
each block of ports, ``{"sent", "total"}`` in between, ``{"done": true}`` at the end. Outcomes: ``open``,
``closed``, ``silent``, ``unreachable NAME`` (the network said so), ``local NAME`` (this machine could not).
"""

from __future__ import annotations

import errno
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Union

BLOCK = 1024
TRIES = 6
MIN_SOCKETS = 16
PROGRESS_SECONDS = 0.5
SHORTAGES = {
    errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM,
}  # fmt: skip
REMOTE_ERRORS = {
    errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EHOSTDOWN, errno.ENOPROTOOPT, errno.EPROTO,
    errno.ENONET, errno.EOPNOTSUPP,
}  # fmt: skip
NO_LINGER = struct.pack("ii", 1, 0)

Outcome = Union[str, tuple[str, int]]  # noqa: UP007 (Python 3.9 evaluates it)
Attempt = tuple["Block", int, int]


class Block:
    """Some ports of one target in one pass, reported when all of them have an outcome."""

    def __init__(self, number: int, target: int, protocol: str, ports: list[int]) -> None:
        self.number, self.target, self.protocol, self.ports = number, target, protocol, ports
        self.left = len(ports)
        self.outcomes: dict[str, list[int]] = {}

    def settle(self, port: int, result: str) -> None:
        self.outcomes.setdefault(result, []).append(port)
        self.left -= 1
        if not self.left:
            outcomes = {result: ranges(found) for result, found in self.outcomes.items()}
            write_line(
                {"pass": self.number, "target": self.target, "protocol": self.protocol, "outcomes": outcomes}
            )


class Scan:
    """All attempts of a job, a bounded number of them at once, begun at a bounded rate."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.payloads = [bytes.fromhex(each["payload"]) for each in job["targets"]]
        self.most = within_limits(job["in_flight"])
        self.poll = select.epoll()
        self.live: dict[int, tuple[socket.socket, Block, int, int]] = {}
        self.expiring: deque[tuple[float, int, socket.socket]] = deque()
        self.retries: deque[tuple[float, Block, int, int]] = deque()
        self.sent = 0
        self.total = job["passes"] * sum(
            size(each[kind]) for each in job["targets"] for kind in ("tcp", "udp")
        ) + job["passes"] * sum(bool(each["icmp"]) for each in job["targets"])
        self.reported_at = 0.0

    def run(self) -> None:
        watch_input(self.poll)
        for number in range(self.job["passes"]):
            self.one_pass(number)
        write_line({"sent": self.sent, "total": self.total})
        write_line({"done": True, "in_flight": self.most})

    def one_pass(self, number: int) -> None:
        attempts = self.attempts(number)
        allowance, last, more = 0.0, time.monotonic(), True
        while more or self.live or self.retries:
            now = time.monotonic()
            allowance = min(allowance + (now - last) * self.job["rate"], max(1, self.job["rate"] / 50))
            last = now
            while allowance >= 1 and len(self.live) < self.most and (more or self.due(now)):
                attempt = self.retries.popleft()[1:] if self.due(now) else next(attempts, None)
                if attempt is None:
                    more = False
                    continue
                allowance -= 1
                self.begin(*attempt)
            self.collect(0.002 if more or self.retries else 0.02)
            self.expire(time.monotonic())
            self.report_progress()

    def due(self, now: float) -> bool:
        return bool(self.retries) and self.retries[0][0] <= now

    def attempts(self, number: int) -> Iterator[Attempt]:
        """Every port of the pass, in an order of its own, none of the targets all at once."""
        order = random.Random(f"{self.job['seed']} {number}")  # noqa: S311 (an order, not a secret)
        blocks = []
        for target, each in enumerate(self.job["targets"]):
            for protocol in ("tcp", "udp"):
                ports = [port for first, last in each[protocol] for port in range(first, last + 1)]
                starts = range(0, len(ports), BLOCK)
                blocks += [(target, protocol, ports[start : start + BLOCK]) for start in starts]
            if each["icmp"]:
                blocks.append((target, "icmp", [1]))
        order.shuffle(blocks)
        for target, protocol, ports in blocks:
            order.shuffle(ports)
            block = Block(number, target, protocol, ports)
            for port in list(ports):
                yield block, port, 0

    def begin(self, block: Block, port: int, tries: int) -> None:
        ip = self.job["targets"][block.target]["ip"]
        made = None
        try:
            made = open_socket(block.protocol)
            failed = send(made, block.protocol, ip, port, self.payloads[block.target])
        except OSError as error:
            failed = error.errno or 0
        if not tries:
            self.sent += 1
        if made is not None and failed in (0, errno.EINPROGRESS):
            self.watch(made, block, port, tries)
            return
        if made is not None:
            made.close()
        self.fail(block, port, tries, failed)

    def watch(self, made: socket.socket, block: Block, port: int, tries: int) -> None:
        number = made.fileno()
        self.live[number] = (made, block, port, tries)
        self.expiring.append((time.monotonic() + self.job["seconds"], number, made))
        events = select.EPOLLOUT if block.protocol == "tcp" else select.EPOLLIN
        self.poll.register(number, events)

    def fail(self, block: Block, port: int, tries: int, number: int) -> None:
        """Not the network's fault: fewer at once, and again a little later; in the end it is reported."""
        if number == errno.ECONNREFUSED:
            block.settle(port, "closed")
        elif number in SHORTAGES and tries < TRIES:
            self.most = max(MIN_SOCKETS, min(self.most, len(self.live)) // 2)
            self.retries.append((time.monotonic() + 0.05 * 2**tries, block, port, tries + 1))
        else:
            block.settle(port, "local " + errno.errorcode.get(number, str(number)))

    def collect(self, seconds: float) -> None:
        for number, _ in self.poll.poll(seconds, len(self.live) + 1):
            if number == 0:
                if not os.read(0, 4096):
                    os._exit(3)
                continue
            made, block, _, _ = self.live[number]
            result = outcome(made, block.protocol, self.payloads[block.target])
            if result:
                self.end(number, result)

    def end(self, number: int, result: Outcome) -> None:
        made, block, port, tries = self.live.pop(number)
        self.poll.unregister(number)
        if block.protocol == "tcp":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        made.close()
        if isinstance(result, tuple):
            self.fail(block, port, tries, result[1])
        else:
            block.settle(port, result)

    def expire(self, now: float) -> None:
        while self.expiring and self.expiring[0][0] <= now:
            _, number, made = self.expiring.popleft()
            if self.live.get(number, (None,))[0] is made:
                self.end(number, "silent")

    def report_progress(self) -> None:
        now = time.monotonic()
        if now - self.reported_at >= PROGRESS_SECONDS:
            self.reported_at = now
            write_line({"sent": self.sent, "total": self.total})


def open_socket(protocol: str) -> socket.socket:
    if protocol == "tcp":
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    elif protocol == "udp":
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    else:
        made = echo_socket()
    made.setblocking(False)
    return made


def echo_socket() -> socket.socket:
    """Raw where that is allowed, else the kernel's own kind of ping socket."""
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    except PermissionError:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)


def send(made: socket.socket, protocol: str, ip: str, port: int, token: bytes) -> int:
    """Begin the attempt; returns an error's number, EINPROGRESS for a connection under way."""
    if protocol == "tcp":
        return int(made.connect_ex((ip, port))) or errno.EINPROGRESS
    made.connect((ip, port if protocol == "udp" else 0))
    made.send(token if protocol == "udp" else echo(token))
    return 0


def echo(token: bytes) -> bytes:
    """An ICMP echo request."""
    head = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, 1)
    return struct.pack(">BBHHH", 8, 0, checksum(head + token), os.getpid() & 0xFFFF, 1) + token


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def outcome(made: socket.socket, protocol: str, token: bytes) -> Outcome:
    """The outcome, ("local", errno) for a fault of this machine, "" for nothing yet."""
    number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not number and protocol != "tcp":
        return read_reply(made, protocol, token)
    if not number:
        return "open"
    return outcome_of(number)


def outcome_of(number: int) -> Outcome:
    if number == errno.ECONNREFUSED:
        return "closed"
    if number == errno.ETIMEDOUT:
        return "silent"
    if number == errno.ECONNRESET:
        return "open"
    if number in REMOTE_ERRORS:
        return "unreachable " + errno.errorcode[number]
    return ("local", number)


def read_reply(made: socket.socket, protocol: str, token: bytes) -> Outcome:
    try:
        data = made.recv(2048)
    except BlockingIOError:
        return ""
    except OSError as error:
        return outcome_of(error.errno or 0)
    if protocol == "udp":
        return "open"
    if made.type == socket.SOCK_RAW:
        data = data[(data[0] & 15) * 4 :]
    return "open" if data[:1] == b"\0" and data[8 : 8 + len(token)] == token else ""


def within_limits(wanted: int) -> int:
    """How many sockets there may be at once: as many as wanted, or as this process may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 64
    for limit in ((max(needed, soft), max(needed, hard)), (min(max(needed, soft), hard), hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return max(MIN_SOCKETS, min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 64))


def watch_input(poll: select.epoll) -> None:
    """There is no more standard input; its end means that ssh has gone."""
    poll.register(0, select.EPOLLIN | select.EPOLLHUP)


def ranges(ports: Iterable[int]) -> list[list[int]]:
    """Ports as sorted ranges, [first, last] each."""
    found: list[list[int]] = []
    for port in sorted(ports):
        if found and port == found[-1][1] + 1:
            found[-1][1] = port
        else:
            found.append([port, port])
    return found


def size(wanted: Iterable[Sequence[int]]) -> int:
    return sum(last - first + 1 for first, last in wanted)


def write_line(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def main() -> None:
    job = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.alarm(int(job["deadline"]) + 1)  # its default is to end the process
    Scan(job).run()


if __name__ == "__main__":
    main()
