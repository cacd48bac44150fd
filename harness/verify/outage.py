"""One outage from beginning to end: nodes lose power while submissions go on, and get it back.

``OutageContext`` has the workload (programs submitted at the front door); ``run_outage`` makes one
outage of it and returns all that was seen. The checks only read that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import httpx

from harness.core.errors import CheckError, InconclusiveError, WaitTimeoutError, WavetankError
from harness.core.parallel import Pool
from harness.core.wait import NotYet, wait_for
from harness.faults.fault import Fault
from harness.faults.history import Begun, Entry
from harness.faults.run import FaultContext, Times, run_fault
from harness.faults.steady import Request, Requests
from harness.faults.workload import Workload, requesting
from harness.judge0.api import IDS
from harness.judge0.client import Judge0
from harness.topology.model import Topology
from harness.verify import recovery
from harness.verify.balancer import request_counts
from harness.verify.balancer.balance import enough
from harness.verify.balancer.nginx import NGINX_CONFIG, parse
from harness.verify.balancer.upstreams import upstream_droplets, upstreams_of

T = TypeVar("T")

BURST = 64
# Longer than the time for which a balancer avoids a dead server, so that it tries it again.
SURVIVED_SECONDS, SURVIVED_COUNT = 7.0, 10
BROKEN_SECONDS, BROKEN_COUNT = 4.0, 4
WATCH_DEADLINE = 60.0
# Few at first: they run again on the workers that are left, where the stream's own programs wait for them.
LONG_RUNS, MOST_LONG_RUNS, FIRST_LONG_RUN, LONG_SECONDS = 2, 6, 50000, 6
RUNNING_DEADLINE = 20.0
SHARE_DEADLINE = 30.0
# The stream goes on meanwhile, so a share is not exact: this much of it must be there.
SHARE = 0.8


@dataclass(frozen=True)
class Outage:
    """The observations of one outage.

    ``times``: in force when the API said that power was off. ``well``: when all was well again, or its
    deadline had passed, in seconds since 1970. ``submissions`` are those begun while power was off, with
    their ends; ``requests`` all to the load balancer; ``running`` how many long programs ran on each node
    when it lost power. ``troubles`` and ``share`` say what was not well in the end: services, the balancer's
    shares.
    """

    fault: Fault
    survived: bool
    times: Times
    well: float
    submissions: tuple[Begun, ...]
    requests: tuple[Request, ...]
    running: Mapping[str, int]
    troubles: tuple[str, ...]
    share: str

    def __str__(self) -> str:
        times = self.times
        return (
            f"{self.fault} for {times.healing - times.in_force:.1f} s, "
            f"well again {self.well - times.healing:.1f} s after that"
        )


@dataclass(frozen=True)
class OutageContext(FaultContext):
    """What an outage needs."""

    workload: Workload


def survives(topology: Topology, nodes: Sequence[str]) -> bool:
    """Whether each of ``nodes`` has a sibling left: a droplet of the same role that keeps its power."""
    droplets = topology.droplets
    left = {droplet.role for name, droplet in droplets.items() if name not in nodes}
    return all(droplets[name].role in left for name in nodes)


def run_outage(context: OutageContext, fault: Fault) -> Outage:
    """Take power from nodes, watch, give it back, and wait until all is well again.

    Raises ``WavetankError`` where power could not be taken or given, ``InconclusiveError`` where what was to
    be seen could not be brought about. Power is back in any case.
    """
    nodes, topology = fault.nodes, context.session.topology
    survived = survives(topology, nodes)
    balanced = any(node in upstream_droplets(topology) for node in nodes)
    before = recovery.snapshot(context, nodes)
    with _asking(context, balanced) as requests:
        running = _long_runs(context, nodes)
        times = run_fault(context, fault, lambda _: _watch(context, survived))
        recovery.drop_connections(context.session.access, nodes)
        troubles = tuple(recovery.node_troubles(context, nodes, before))
        with Pool(1) as pool:  # neither of these waits is for the other
            answers = pool.submit(_answers, context, nodes, times, balanced=balanced)
            troubles += tuple(recovery.service_troubles(context, before))
    share, submissions = answers.result()
    asked = requests.made() if requests else ()
    return Outage(fault, survived, times, time.time(), submissions, asked, running, troubles, share)


def _answers(
    context: OutageContext, nodes: Sequence[str], times: Times, *, balanced: bool
) -> tuple[str, tuple[Begun, ...]]:
    """Why servers do not take their share again, or nothing; and then how submissions ended."""
    share = _error_of(lambda: _share_again(context, nodes)) if balanced else ""
    return share, _submissions(context, times)


def _submissions(context: OutageContext, times: Times) -> tuple[Begun, ...]:
    """Those that were begun without the nodes, once they have ended."""
    workload, since, until = context.workload, times.in_force, times.healing
    _error_of(lambda: workload.await_answers(since, until, WATCH_DEADLINE))
    return tuple(workload.begun(since, until))


@contextmanager
def _asking(context: OutageContext, balanced: bool) -> Iterator[Requests | None]:
    """A steady stream of requests through the load balancer, where that is what loses a server."""
    if not balanced:
        yield None
        return
    with context.judge0() as client:
        requests = Requests(client, request_counts.PATH)
        with Pool(BURST) as pool:  # a balancer that keeps connections has many by then
            list(pool.map(requests.ask, range(-3 * BURST, 0)))
        with requesting(requests):
            yield requests


def _long_runs(context: OutageContext, nodes: Sequence[str]) -> dict[str, int]:
    """Have long programs run on those of ``nodes`` that run programs, and in the history; how many do."""
    endpoint = context.session.topology.checks.judge0
    workers = [node for node in nodes if endpoint and node in endpoint.workers]
    if not workers:
        return {}
    with context.judge0() as client:
        long_runs = _LongRuns(context, Judge0(client))
        long_runs.submit(LONG_RUNS)

        def probe() -> dict[str, int]:
            found = {node: recovery.running(context.session.access, node, long_runs.nap) for node in workers}
            if 0 in found.values():
                long_runs.submit(1)  # another worker may have taken the others
                raise NotYet(f"long programs running: {found}")
            return found

        try:
            return wait_for("long programs to run on all that lose power", probe, deadline=RUNNING_DEADLINE)
        except WaitTimeoutError as error:
            raise InconclusiveError(str(error)) from error


class _LongRuns:
    """Programs of one outage that all sleep for exactly ``nap``, at most ``MOST_LONG_RUNS`` of them."""

    def __init__(self, context: OutageContext, judge0: Judge0) -> None:
        self._judge0, self._journal, self._seed = judge0, context.workload.journal, context.workload.seed
        earlier = sum(each.op >= FIRST_LONG_RUN for each in self._journal.entries())
        self._ops = iter(range(FIRST_LONG_RUN + earlier, FIRST_LONG_RUN + earlier + MOST_LONG_RUNS))
        self.nap = f"{LONG_SECONDS}.0{int(self._seed, 16) % 10**8:08d}"

    def submit(self, number: int) -> None:
        """Submit up to ``number`` more to Judge0, and record them."""
        for op in islice(self._ops, number):
            text = f"{self._seed}-{op:05d}"
            self._journal.add(Entry("invoke", time.time(), op, via="judge0", expected=text))
            token = self._judge0.create(f"sleep {self.nap}; echo {text}", IDS["bash"])
            self._journal.add(Entry("ok", time.time(), op, via="judge0", token=token))


def _watch(context: OutageContext, survived: bool) -> float:
    """Wait until enough happened without the nodes: submissions begun and ended, for some seconds at least.

    Returns when that was so, or its time was up.
    """
    off = time.time()
    seconds = SURVIVED_SECONDS if survived else BROKEN_SECONDS
    count = SURVIVED_COUNT if survived else BROKEN_COUNT

    def probe() -> None:
        now = time.time()
        ended = sum(end is not None for _, end in context.workload.begun(off, now))
        if ended < count or now - off < seconds:
            raise NotYet(f"{ended} submissions begun and ended")

    _error_of(lambda: wait_for("submissions to end", probe, deadline=WATCH_DEADLINE, max_pause=0.2))
    return time.time()


def _share_again(context: OutageContext, nodes: Sequence[str]) -> None:
    """Wait until servers that are back take requests again. Raises ``WaitTimeoutError`` with their shares."""
    session, endpoint = context.session, context.session.topology.checks.judge0
    assert endpoint is not None
    found = upstreams_of(session)
    servers = found.servers
    config = session.access.run(endpoint.node, NGINX_CONFIG)
    balance = next((each for each in parse(config) if set(each.weights) & set(servers)), None)
    if balance is None:
        raise InconclusiveError(f"nginx -T on {endpoint.node} shows no upstream with the servers in it")

    def probe() -> None:
        counts, source = request_counts.count(client, session.access, found, enough(balance))
        total = counts.total()
        short = [
            f"{servers[each]} took {counts[each]} of {total} by {source}; its share is {share * total:g}"
            for each, share in balance.share.items()
            if servers.get(each) in nodes and counts[each] < SHARE * share * total
        ]
        if short:
            raise NotYet("; ".join(short))

    with context.judge0() as client:
        wait_for("servers to take their share again", probe, deadline=SHARE_DEADLINE, max_pause=1.0)


def _error_of(action: Callable[[], object]) -> str:
    """The error of ``action``; empty if there was none."""
    try:
        action()
    except (WavetankError, CheckError, httpx.HTTPError) as error:
        return str(error) or repr(error)
    return ""
