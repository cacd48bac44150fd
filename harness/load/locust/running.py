"""One run on Locust: wait for the workers, hand out shares, start all at one time, follow, merge."""

from __future__ import annotations

import importlib.util
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import EngineError, ResourceError, UsageError, WaitTimeoutError, WavetankError
from harness.core.wait import scaled
from harness.load.experiments.bench import OnTick
from harness.load.generator.generator import GeneratorError, check
from harness.load.locust.merging import Part, as_part, merge, merged_tick
from harness.load.locust.processes import CONTROL, MASTER, SECRET, WorkerProcesses, worker_processes
from harness.load.locust.shares import Share, as_document, split
from harness.load.model import SECOND, Order, Recording

GATHER_SECONDS = 60.0
PREPARE_SECONDS = 30.0
END_SECONDS = 30.0
RECEIVE_SECONDS = 0.25
TICK_SECONDS = 1.0
# From the message with the start time until that time.
LEAD_SECONDS = 0.5


@dataclass(frozen=True)
class Team:
    """The numbers of workers ``here`` and ``elsewhere``; the master listens at ``bind`` and ``port``."""

    here: int
    elsewhere: int = 0
    bind: str = "127.0.0.1"
    port: int = 0

    @property
    def count(self) -> int:
        """How many there are in all."""
        return self.here + self.elsewhere


@dataclass
class State:
    """The state of a run. ``names``: of workers by Locust's ids; their order is that of the shares."""

    order: Order
    shares: list[Share]
    names: dict[str, str] = field(default_factory=dict)
    prepared: set[str] = field(default_factory=set)
    ticks: dict[str, dict[str, Any]] = field(default_factory=dict)
    parts: dict[int, Part] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    began: float = 0.0

    def index(self, worker: str) -> int:
        """Which share a worker has."""
        return list(self.names).index(worker)

    def lose(self, worker: str, why: str) -> None:
        """A worker is gone, unless it is done."""
        index = self.index(worker)
        if index not in self.parts:
            self.lost.setdefault(index, f"{self.names[worker]} was lost: {why}")

    @property
    def is_over(self) -> bool:
        """Whether no worker is running."""
        return len(self.parts.keys() | self.lost.keys()) == len(self.names)


def check_team(team: Team) -> None:
    """Raise ``EngineError`` if Locust is not installed, ``UsageError`` for invalid numbers of workers."""
    if importlib.util.find_spec("locust") is None:
        raise EngineError("Locust is not installed: pip install 'wavetank[locust]', or use --engine wavetank")
    if team.here < 0 or team.elsewhere < 0 or team.count < 1:
        raise UsageError(f"Locust with {team.count} workers submits nothing: use 1 or more")
    if team.elsewhere and not team.port:
        raise UsageError(
            "workers elsewhere need the master's address: --locust-bind HOST:PORT, like 10.0.0.9:5557"
        )
    if team.elsewhere and not os.environ.get(SECRET):
        raise UsageError(
            f"set {SECRET} here and for the workers elsewhere to the same secret: whoever knows it gets "
            "the load, and the token in it"
        )


def check_order(order: Order, team: Team) -> None:
    """Raise ``UsageError`` for what Locust's workers, or this number of them, cannot do."""
    check(order)
    if order.route.mode == "callback":
        raise UsageError(
            "Locust's workers cannot receive callbacks: use --submission-mode poll, or --engine wavetank"
        )
    if order.loop == "closed" and order.clients < team.count:
        raise UsageError(
            f"{order.clients} clients are too few for {team.count} workers: use at least one for each"
        )
    address = order.route.address
    proxy = address.proxy.rpartition("://")[2].rpartition(":")[0]
    near = {"unix": address.host, "tcp": address.host, "socks": proxy}[address.kind]
    if team.elsewhere and (address.kind == "unix" or _is_loopback(near)):
        raise UsageError(
            f"the route leads through this machine ({near}), which workers elsewhere cannot use: "
            "use --entry-point client at a public address, or omit --locust-expect"
        )


def run(
    order: Order, team: Team, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
) -> Recording:
    """Run a load with Locust, and return what was recorded.

    Raises what :func:`harness.load.generator.generator.generate` raises, and ``WaitTimeoutError`` if
    workers do not connect. A worker that is lost once the run has begun makes it partial.
    """
    check_order(order, team)
    state = State(order, split(order, team.count))
    with worker_processes() as (processes, theirs):
        secret = os.environ.get(SECRET) or secrets.token_hex(16)
        _start(processes, team, theirs.fileno(), secret)
        theirs.close()
        _gather(processes, team, state, secret)
        _prepare(processes, state)
        _go(processes, state)
        _follow(processes, state, on_tick, stop)
        if team.elsewhere:
            processes.quit()
    return merge(state.shares, state.parts, state.lost, state.began)


def _start(processes: WorkerProcesses, team: Team, control: int, secret: str) -> None:
    count, expected = str(team.count), ("--expect-workers", str(team.count))
    where = ("--master-bind-host", team.bind, "--master-bind-port", str(team.port))
    master = ("--master", *where, *expected, "--users", count, "--spawn-rate", count, "--only-summary")
    processes.start(MASTER, master, {CONTROL: str(control)}, fds=(control,))
    host = "127.0.0.1" if team.bind in ("0.0.0.0", "*") else team.bind  # noqa: S104 (an address to connect to)
    find = (
        "--worker",
        "--master-host",
        host,
        "--master-port",
        str(_port(processes)),
        "--exit-code-on-error",
        "0",
    )
    for number in range(team.here):
        processes.start(f"worker {number}", find, {SECRET: secret})


def _gather(processes: WorkerProcesses, team: Team, state: State, secret: str) -> None:
    """Wait until all workers have connected; one that does not know the secret does not count."""
    deadline = time.monotonic() + scaled(GATHER_SECONDS)
    while len(state.names) < team.count:
        message = _receive(processes, state)
        if message and message["kind"] == "ready" and secrets.compare_digest(message["secret"], secret):
            state.names[message["worker"]] = message["name"]
        _require_all(processes)
        if time.monotonic() > deadline:
            came = ", ".join(state.names.values()) or "none"
            raise WaitTimeoutError(
                f"{team.count} Locust workers", scaled(GATHER_SECONDS), f"{len(state.names)} came: {came}"
            )


def _prepare(processes: WorkerProcesses, state: State) -> None:
    for worker, share in zip(state.names, state.shares, strict=True):
        processes.channel.send({"kind": "share", "to": worker, "share": as_document(share)})
    deadline = time.monotonic() + scaled(PREPARE_SECONDS)
    while len(state.prepared) < len(state.names):
        _require_all(processes)
        message = _receive(processes, state)
        if message and message["kind"] == "prepared":
            state.prepared.add(message["worker"])
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                "Locust's workers to take their shares",
                scaled(PREPARE_SECONDS),
                f"{len(state.prepared)} of {len(state.names)} did",
            )


def _go(processes: WorkerProcesses, state: State) -> None:
    lead = scaled(LEAD_SECONDS)
    state.began = time.time() + lead
    for worker in state.names:
        processes.channel.send({"kind": "go", "to": worker, "at": state.began, "within": lead})


def _follow(
    processes: WorkerProcesses, state: State, on_tick: OnTick | None, stop: threading.Event | None
) -> None:
    """Follow the workers until all are done or lost. One that is silent for long after the end is lost."""
    order = state.order
    last = float(order.arrivals[-1]) / SECOND if order.loop == "open" else order.seconds
    until, stopping, ticked = state.began + last + order.drain + scaled(END_SECONDS), False, state.began
    while not state.is_over:
        _take(processes, state)
        now = time.time()
        if stop is not None and stop.is_set() and not stopping:
            stopping, until = True, now + scaled(END_SECONDS)
            _stop(processes, state)
        if on_tick and now - ticked >= TICK_SECONDS and state.ticks:
            ticked = now
            on_tick(merged_tick(order, list(state.ticks.values()), now - state.began))
        if now > until:
            for worker in state.names:
                state.lose(worker, "it did not send what it recorded")


def _take(processes: WorkerProcesses, state: State) -> None:
    """Handle one message; and note dead workers, unless there may be a last message of theirs."""
    message = _receive(processes, state)
    if message is None or message["kind"] == "tick":
        _note_dead(processes, state)
    if message and message["kind"] == "tick":
        state.ticks[message["worker"]] = message["tick"]
    elif message and message["kind"] == "done":
        state.parts[state.index(message["worker"])] = as_part(message["part"])
        state.lost.pop(state.index(message["worker"]), None)
    elif message and message["kind"] == "lost":
        _note_missing(processes, state, message["worker"])


def _note_missing(processes: WorkerProcesses, state: State, worker: str) -> None:
    """Locust misses a worker that was silent for 3 s. A local one may only lack CPU, so it is not lost."""
    if state.names[worker] not in processes.names:
        state.lose(worker, "the master lost contact with it")


def _note_dead(processes: WorkerProcesses, state: State) -> None:
    dead = processes.dead()
    for worker, name in state.names.items():
        if name in dead:
            state.lose(worker, dead[name])


def _stop(processes: WorkerProcesses, state: State) -> None:
    for worker in state.names:
        processes.channel.send({"kind": "stop", "to": worker})


def _receive(processes: WorkerProcesses, state: State) -> dict[str, Any] | None:
    """The next message of one of our workers. Raises the error that a worker reports."""
    message = processes.receive(RECEIVE_SECONDS)
    if message is None or message["kind"] == "ready":
        return message
    if message["worker"] not in state.names:
        return None
    if message["kind"] in ("failed", "refused"):
        raise _error(state.names[message["worker"]], message)
    return message


def _error(name: str, message: dict[str, Any]) -> WavetankError:
    if message["kind"] == "failed":
        return GeneratorError(f"Locust's {name} failed:\n{message['text']}")
    return UsageError(message["usage"]) if "usage" in message else ResourceError(*message["resource"])


def _require_all(processes: WorkerProcesses) -> None:
    """Raise ``GeneratorError`` if a local process has ended before the start."""
    for name, how in processes.dead().items():
        raise GeneratorError(f"Locust's {name} ended before the run began: {how}")


def _port(processes: WorkerProcesses) -> int:
    """Where the master listens, once it does."""
    deadline = time.monotonic() + scaled(GATHER_SECONDS)
    while time.monotonic() < deadline:
        if message := processes.receive(RECEIVE_SECONDS):
            return int(message["port"])
        _require_all(processes)
    raise WaitTimeoutError("Locust's master to listen", scaled(GATHER_SECONDS), "nothing")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
