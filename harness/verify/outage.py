"""One outage from beginning to end: nodes lose power while work goes on, and get it back.

``Stage`` is the work that goes on (a stream of submissions from the front door); ``suffer`` makes one outage
of it and returns all that was seen. The checks only read that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import httpx

from harness.errors import CheckError, InconclusiveError, WaitTimeoutError, WavetankError
from harness.faults.history import Begun, Entry
from harness.faults.power import Power
from harness.faults.steady import Request, Requests
from harness.faults.workload import Workload, asking
from harness.judge0.api import IDS
from harness.judge0.client import Judge0
from harness.judge0.route import to_judge0
from harness.parallel import Pool
from harness.topology.model import Topology
from harness.verify import recovery, shares
from harness.verify.balance import enough, parse
from harness.verify.setup import Setup
from harness.wait import NotYet, wait_for

T = TypeVar("T")

BURST = 64
# Longer than the time for which a balancer leaves a dead server alone, so that it tries it again.
SURVIVED_SECONDS, SURVIVED_COUNT = 7.0, 10
BROKEN_SECONDS, BROKEN_COUNT = 4.0, 4
WATCH_DEADLINE = 60.0
LONG_RUNS, FIRST_LONG_RUN, LONG_SECONDS = 6, 50000, 6
RUNNING_DEADLINE = 20.0
SHARE_DEADLINE = 30.0
# The stream goes on meanwhile, so a share is not exact: this much of it must be there.
SHARE = 0.8


@dataclass(frozen=True)
class Outage:
    """What was seen of one. Times are seconds since 1970.

    ``ordered``: power was to be cut; ``off``: the API said it was; ``back``: power was to be given again;
    ``green``: all was well again, or its deadline had passed. ``submissions`` are those begun between
    ``off`` and ``back``, with their ends; ``requests`` all to the load balancer;
    ``running`` how many long programs ran on each node when it lost power. ``troubles``, ``share`` and
    ``walls`` say what was not well in the end: services, the balancer's shares, firewalls.
    """

    nodes: tuple[str, ...]
    survived: bool
    ordered: float
    off: float
    back: float
    green: float
    submissions: tuple[Begun, ...]
    requests: tuple[Request, ...]
    running: Mapping[str, int]
    troubles: tuple[str, ...]
    share: str
    walls: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{' and '.join(self.nodes)} without power for {self.back - self.off:.1f} s, "
            f"well again {self.green - self.back:.1f} s after that"
        )


@dataclass(frozen=True)
class Stage:
    """What goes on while nodes lose power. ``walls`` looks at the firewalls of nodes that were away."""

    setup: Setup
    power: Power
    workload: Workload
    walls: Callable[[Sequence[str]], Sequence[str]]

    @contextmanager
    def judge0(self) -> Iterator[httpx.Client]:
        """Judge0's own API through a connection of its own: an earlier one may have died with a node."""
        with to_judge0(self.setup) as client:
            yield client


def survives(topology: Topology, nodes: Sequence[str]) -> bool:
    """Whether each of ``nodes`` has a sibling left: a droplet of the same role that keeps its power."""
    droplets = topology.droplets
    left = {droplet.role for name, droplet in droplets.items() if name not in nodes}
    return all(droplets[name].role in left for name in nodes)


def upstreams(topology: Topology) -> tuple[str, ...]:
    """The droplets that Judge0's load balancer may talk to; empty where Judge0 is not behind one."""
    endpoint = topology.checks.judge0
    found = {flow.destination for flow in topology.intent if endpoint and flow.source == endpoint.node}
    named = tuple(name for name in topology.droplets if name in found)
    return named if len(named) > 1 else ()


def addresses(setup: Setup) -> dict[str, str]:
    """The load balancer's servers: nodes by ``address:port``."""
    return {
        f"{setup.deployment.nodes[flow.destination].private_ip}:{flow.ports}": flow.destination
        for flow in setup.topology.intent
        if flow.destination in upstreams(setup.topology)
        and setup.topology.checks.judge0
        and flow.source == setup.topology.checks.judge0.node
    }


def suffer(stage: Stage, nodes: tuple[str, ...]) -> Outage:
    """Take power from ``nodes``, watch, give it back, and wait until all is well again.

    Raises ``WavetankError`` where power could not be taken or given, ``InconclusiveError`` where what was to
    be seen could not be brought about. Power is back in any case.
    """
    survived = survives(stage.setup.topology, nodes)
    balanced = any(node in upstreams(stage.setup.topology) for node in nodes)
    before = recovery.picture(stage, nodes)
    with _asking(stage, balanced) as requests:
        running = _long_runs(stage, nodes)
        ordered = time.time()
        with stage.power.without(*nodes):
            off = time.time()
            _watch(stage, off, survived)
            back = time.time()
        troubles = recovery.troubles(stage, nodes, before)
        green = time.time()
        share = _told(lambda: _share_again(stage, nodes)) if balanced else ""
    return Outage(
        nodes,
        survived,
        ordered,
        off,
        back,
        green,
        _submissions(stage, off, back),
        requests.made() if requests else (),
        running,
        tuple(troubles),
        share,
        _walls(stage, nodes),
    )


def _walls(stage: Stage, nodes: Sequence[str]) -> tuple[str, ...]:
    """A look that fails is no reason to lose sight of the rest of the outage."""
    try:
        return tuple(stage.walls(nodes))
    except (WavetankError, CheckError) as error:
        return (f"nobody could look: {error}",)


def _submissions(stage: Stage, off: float, back: float) -> tuple[Begun, ...]:
    """Those that were begun without the nodes, once they have ended."""
    _told(lambda: stage.workload.await_answers(off, back, WATCH_DEADLINE))
    return tuple(stage.workload.begun(off, back))


@contextmanager
def _asking(stage: Stage, balanced: bool) -> Iterator[Requests | None]:
    """A steady stream of requests through the load balancer, where that is what loses a server."""
    if not balanced:
        yield None
        return
    with stage.judge0() as client:
        requests = Requests(client, shares.PATH)
        with Pool(BURST) as pool:  # a balancer that keeps connections has many by then
            list(pool.map(requests.ask, range(-3 * BURST, 0)))
        with asking(requests):
            yield requests


def _long_runs(stage: Stage, nodes: Sequence[str]) -> dict[str, int]:
    """Have long programs run on those of ``nodes`` that run programs, and in the history; how many do."""
    endpoint = stage.setup.topology.checks.judge0
    workers = [node for node in nodes if endpoint and node in endpoint.workers]
    if not workers:
        return {}
    journal, seed = stage.workload.journal, stage.workload.seed
    first = FIRST_LONG_RUN + sum(each.op >= FIRST_LONG_RUN for each in journal.entries())
    nap = f"{LONG_SECONDS}.0{int(seed, 16) % 10**8:08d}"
    with stage.judge0() as client:
        judge0 = Judge0(client)
        for op in range(first, first + LONG_RUNS):
            text = f"{seed}-{op:05d}"
            journal.add(Entry("invoke", time.time(), op, via="judge0", expected=text))
            token = judge0.create(f"sleep {nap}; echo {text}", IDS["bash"])
            journal.add(Entry("ok", time.time(), op, via="judge0", token=token))

    def probe() -> dict[str, int]:
        found = {node: recovery.running(stage.setup.access, node, nap) for node in workers}
        if 0 in found.values():
            raise NotYet(f"long programs running: {found}")
        return found

    try:
        return wait_for("long programs to run on all that lose power", probe, deadline=RUNNING_DEADLINE)
    except WaitTimeoutError as error:
        raise InconclusiveError(str(error)) from error


def _watch(stage: Stage, off: float, survived: bool) -> None:
    """Let enough happen without the nodes: submissions begun and ended, for some seconds at least."""
    seconds = SURVIVED_SECONDS if survived else BROKEN_SECONDS
    count = SURVIVED_COUNT if survived else BROKEN_COUNT

    def probe() -> None:
        now = time.time()
        ended = sum(end is not None for _, end in stage.workload.begun(off, now))
        if ended < count or now - off < seconds:
            raise NotYet(f"{ended} submissions begun and ended")

    _told(lambda: wait_for("submissions to end", probe, deadline=WATCH_DEADLINE, max_pause=0.2))


def _share_again(stage: Stage, nodes: Sequence[str]) -> None:
    """Wait until servers that are back take requests again. Raises ``WaitTimeoutError`` with their shares."""
    setup, endpoint = stage.setup, stage.setup.topology.checks.judge0
    assert endpoint is not None
    servers = addresses(setup)
    config = setup.access.run(endpoint.node, shares.NGINX_CONFIG)
    balance = next(each for each in parse(config) if set(each.weights) & set(servers))

    def probe() -> None:
        counts, source = shares.count(client, setup.access, endpoint.node, servers, enough(balance))
        total = counts.total()
        short = [
            f"{servers[each]} took {counts[each]} of {total} by {source}; its share is {share * total:g}"
            for each, share in balance.share.items()
            if servers.get(each) in nodes and counts[each] < SHARE * share * total
        ]
        if short:
            raise NotYet("; ".join(short))

    with stage.judge0() as client:
        wait_for("servers to take their share again", probe, deadline=SHARE_DEADLINE, max_pause=1.0)


def _told(action: Callable[[], object]) -> str:
    """What went wrong in ``action``, in words; empty if nothing did."""
    try:
        action()
    except (WavetankError, CheckError, httpx.HTTPError) as error:
        return str(error) or repr(error)
    return ""
