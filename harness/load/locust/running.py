"""One run on Locust: gather the workers, hand out shares, give the moment, follow, merge."""

from __future__ import annotations

import importlib.util
import os
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import EngineError, ResourceError, UsageError, WaitTimeoutError, WavetankError
from harness.core.wait import patient
from harness.load.experiments.bench import OnTick
from harness.load.generator.generator import GeneratorError, check
from harness.load.locust.merging import Part, as_part, merge, merged_tick
from harness.load.locust.processes import CONTROL, MASTER, SECRET, Crew, crew
from harness.load.locust.shares import Share, as_document, split
from harness.load.model import SECOND, Order, Recording

GATHER_SECONDS = 60.0
PREPARE_SECONDS = 30.0
END_SECONDS = 30.0
HEAR_SECONDS = 0.25
TICK_SECONDS = 1.0
# From telling all workers the moment until that moment.
LEAD_SECONDS = 0.5


@dataclass(frozen=True)
class Team:
    """So many workers ``here`` and ``elsewhere``; the master listens at ``bind`` and ``port``."""

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
    """How a run stands. ``names`` are those of workers by Locust's ids; their order is that of the shares."""

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
        """Whether nobody is at work."""
        return len(self.parts.keys() | self.lost.keys()) == len(self.names)


def check_team(team: Team) -> None:
    """Raise ``EngineError`` where Locust is not installed, ``UsageError`` for a team that cannot be."""
    if importlib.util.find_spec("locust") is None:
        raise EngineError(
            "Locust is not installed: pip install 'wavetank[locust]', or take --engine wavetank"
        )
    if team.here < 0 or team.elsewhere < 0 or team.count < 1:
        raise UsageError(f"Locust with {team.count} workers hands in nothing: take 1 or more")
    if team.elsewhere and not team.port:
        raise UsageError(
            "workers elsewhere must know where the master is: --locust-bind HOST:PORT, like 10.0.0.9:5557"
        )
    if team.elsewhere and not os.environ.get(SECRET):
        raise UsageError(
            f"set {SECRET} here and for the workers elsewhere, to the same secret: whoever knows it is given "
            "the load, and the token in it"
        )


def check_order(order: Order, team: Team) -> None:
    """Raise ``UsageError`` for what Locust's workers, or this many, cannot do."""
    check(order)
    if order.route.way == "callback":
        raise UsageError("Locust's workers hear no callbacks: take --way poll, or --engine wavetank")
    if order.loop == "closed" and order.clients < team.count:
        raise UsageError(
            f"{order.clients} clients are too few for {team.count} workers: take at least one for each"
        )
    address = order.route.address
    proxy = address.proxy.rpartition("://")[2].rpartition(":")[0]
    near = {"unix": address.host, "tcp": address.host, "socks": proxy}[address.kind]
    if team.elsewhere and (address.kind == "unix" or _is_loopback(near)):
        raise UsageError(
            f"the way in leads through this machine ({near}), where workers elsewhere cannot go: "
            "take --door client at a public address, or leave --locust-expect out"
        )


def run(
    order: Order, team: Team, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
) -> Recording:
    """Put a load on by Locust, and return what came of it.

    Raises what :func:`harness.load.generator.generator.generate` raises, and ``WaitTimeoutError`` where
    workers do not come. A worker that is lost once the run has begun makes it partial.
    """
    check_order(order, team)
    state = State(order, split(order, team.count))
    with crew() as (hands, theirs):
        secret = os.environ.get(SECRET) or secrets.token_hex(16)
        _start(hands, team, theirs.fileno(), secret)
        theirs.close()
        _gather(hands, team, state, secret)
        _prepare(hands, state)
        _go(hands, state)
        _follow(hands, state, on_tick, stop)
        if team.elsewhere:
            hands.quit()
    return merge(state.shares, state.parts, state.lost, state.began)


def _start(hands: Crew, team: Team, control: int, secret: str) -> None:
    count, expected = str(team.count), ("--expect-workers", str(team.count))
    where = ("--master-bind-host", team.bind, "--master-bind-port", str(team.port))
    master = ("--master", *where, *expected, "--users", count, "--spawn-rate", count, "--only-summary")
    hands.start(MASTER, master, {CONTROL: str(control)}, fds=(control,))
    host = "127.0.0.1" if team.bind in ("0.0.0.0", "*") else team.bind  # noqa: S104 (told, not opened)
    find = (
        "--worker",
        "--master-host",
        host,
        "--master-port",
        str(_port(hands)),
        "--exit-code-on-error",
        "0",
    )
    for number in range(team.here):
        hands.start(f"worker {number}", find, {SECRET: secret})


def _gather(hands: Crew, team: Team, state: State, secret: str) -> None:
    """Until as many have come as are wanted; who does not know the secret has not."""
    deadline = time.monotonic() + patient(GATHER_SECONDS)
    while len(state.names) < team.count:
        said = _heard(hands, state)
        if said and said["kind"] == "ready" and secrets.compare_digest(said["secret"], secret):
            state.names[said["worker"]] = said["name"]
        _insist_on_all(hands)
        if time.monotonic() > deadline:
            came = ", ".join(state.names.values()) or "none"
            raise WaitTimeoutError(
                f"{team.count} Locust workers", patient(GATHER_SECONDS), f"{len(state.names)} came: {came}"
            )


def _prepare(hands: Crew, state: State) -> None:
    for worker, share in zip(state.names, state.shares, strict=True):
        hands.line.say({"kind": "share", "to": worker, "share": as_document(share)})
    deadline = time.monotonic() + patient(PREPARE_SECONDS)
    while len(state.prepared) < len(state.names):
        _insist_on_all(hands)
        said = _heard(hands, state)
        if said and said["kind"] == "prepared":
            state.prepared.add(said["worker"])
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                "Locust's workers to take their shares",
                patient(PREPARE_SECONDS),
                f"{len(state.prepared)} of {len(state.names)} did",
            )


def _go(hands: Crew, state: State) -> None:
    lead = patient(LEAD_SECONDS)
    state.began = time.time() + lead
    for worker in state.names:
        hands.line.say({"kind": "go", "to": worker, "at": state.began, "within": lead})


def _follow(hands: Crew, state: State, on_tick: OnTick | None, stop: threading.Event | None) -> None:
    """Until all are done or lost. Who is silent for long after the end is lost."""
    order = state.order
    last = float(order.arrivals[-1]) / SECOND if order.loop == "open" else order.seconds
    until, told, ticked = state.began + last + order.drain + patient(END_SECONDS), False, state.began
    while not state.is_over:
        _take(hands, state)
        now = time.time()
        if stop is not None and stop.is_set() and not told:
            told, until = True, now + patient(END_SECONDS)
            _stop(hands, state)
        if on_tick and now - ticked >= TICK_SECONDS and state.ticks:
            ticked = now
            on_tick(merged_tick(order, list(state.ticks.values()), now - state.began))
        if now > until:
            for worker in state.names:
                state.lose(worker, "it did not tell what it recorded")


def _take(hands: Crew, state: State) -> None:
    """Hear one thing, and note it; and who has died, unless what they said last is yet to be heard."""
    said = _heard(hands, state)
    if said is None or said["kind"] == "tick":
        _count_the_dead(hands, state)
    if said and said["kind"] == "tick":
        state.ticks[said["worker"]] = said["tick"]
    elif said and said["kind"] == "done":
        state.parts[state.index(said["worker"])] = as_part(said["part"])
        state.lost.pop(state.index(said["worker"]), None)
    elif said and said["kind"] == "lost":
        _miss(hands, state, said["worker"])


def _miss(hands: Crew, state: State, worker: str) -> None:
    """Locust misses a worker that was silent for 3 s. One here may only lack CPU: we see if it lives."""
    if state.names[worker] not in hands.names:
        state.lose(worker, "the master heard no more of it")


def _count_the_dead(hands: Crew, state: State) -> None:
    dead = hands.dead()
    for worker, name in state.names.items():
        if name in dead:
            state.lose(worker, dead[name])


def _stop(hands: Crew, state: State) -> None:
    for worker in state.names:
        hands.line.say({"kind": "stop", "to": worker})


def _heard(hands: Crew, state: State) -> dict[str, Any] | None:
    """What is said next, by a worker of ours. Raises what a worker says of its failure."""
    said = hands.hear(HEAR_SECONDS)
    if said is None or said["kind"] == "ready":
        return said
    if said["worker"] not in state.names:
        return None
    if said["kind"] in ("failed", "refused"):
        raise _error(state.names[said["worker"]], said)
    return said


def _error(name: str, said: dict[str, Any]) -> WavetankError:
    if said["kind"] == "failed":
        return GeneratorError(f"Locust's {name} failed:\n{said['text']}")
    return UsageError(said["usage"]) if "usage" in said else ResourceError(*said["resource"])


def _insist_on_all(hands: Crew) -> None:
    """Before the start, nobody here may be missing."""
    for name, how in hands.dead().items():
        raise GeneratorError(f"Locust's {name} ended before the run began: {how}")


def _port(hands: Crew) -> int:
    """Where the master listens, once it does."""
    deadline = time.monotonic() + patient(GATHER_SECONDS)
    while time.monotonic() < deadline:
        if said := hands.hear(HEAR_SECONDS):
            return int(said["port"])
        _insist_on_all(hands)
    raise WaitTimeoutError("Locust's master to listen", patient(GATHER_SECONDS), "nothing")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
