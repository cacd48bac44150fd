"""Observing where nothing testifies but the machines themselves: a cloud, or the emulator taken for one.

Every droplet asks over ssh, at a bounded rate, each pass in an order of its own; this machine stands for the
internet. What answers can be reached. Silence is a verdict only where the path is shown to carry packets in
the same run: by an answer of the pair, by a control port that is opened for the time of the scan, or, for
databases, by two halves (the target answered somebody else, the vantage reached something else). Datagrams
are vouched for by the droplet that receives them. See docs/measuring-isolation.md.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from harness.access.ssh import Access
from harness.core import ports
from harness.core.errors import ApiError, CommandError, WaitTimeoutError
from harness.core.parallel import Pool
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import Observation, Seen
from harness.isolation.paced import control
from harness.isolation.paced.ends import Ends, find, gone
from harness.isolation.paced.judging import Findings, verdicts
from harness.isolation.paced.probe_sources import Pace, Round, from_droplet, from_here, through_proxy
from harness.isolation.paced.receiver import Receiver
from harness.isolation.paced.tally import Ask, Tally
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET

WITNESSES = ("prober",)
CONTROL: Ports = ((control.PORT, control.PORT),)
SSH: Ports = ((22, 22),)
MEET_SECONDS = 60.0
NOWHERE = "there is no address of it that may be asked"
TCP_ONLY = "the way out of this machine carries TCP only"

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Scan:
    """What all rounds of one observation share. ``unmet`` are vantages that did not let us in, with why."""

    target: Target
    access: Access
    ends: Ends
    pace: Pace
    token: str
    unmet: Mapping[str, str]
    stop: threading.Event


def observe(
    target: Target,
    deployment: Deployment,
    access: Access,
    pairs: Sequence[Pair],
    *,
    tcp: Ports = ALL,
    udp: Ports = NONE,
    icmp: bool = True,
    passes: int = 2,
    refs: Mapping[str, str] | None = None,
    progress: Told = lambda _sent, _total: None,
    controls: bool | None = None,
    pace: Pace | None = None,
) -> Observation:
    """Ask every port of ``pairs`` from their own vantages; ``progress`` hears of attempts made and in all.

    ``refs`` maps ends that are not of the deployment to ``droplet:ID``; ``access`` must reach them.
    ``controls``: open a control port for the time of the scan; None: yes on a cloud. Raises
    ``ResourceError`` naming what is not there or not running, ``ApiError``, ``WaitTimeoutError``, or
    ``CommandError`` where no vantage can be logged in to. A vantage that is lost on the way keeps what it
    saw, and the observation says so in ``partial``.
    """
    target.require_machines()
    started = time.monotonic()
    ends = find(target, deployment, access, pairs, refs or {})
    unmet = _meet(access, {pair.source for pair in pairs} - {INTERNET})
    scan = Scan(target, access, ends, pace or Pace(), secrets.token_hex(16), unmet, threading.Event())
    with_control = not target.info if controls is None else controls
    asks = _asks(scan, pairs, deployment.databases, tcp, udp, icmp=icmp)
    target.require_machines(*(each.ip for each in asks if each.pair.source == INTERNET))
    spare = ports.intersect(tcp, CONTROL) if with_control else NONE
    before = _before(scan, asks, spare, passes)
    with _admitted(scan, deployment.run, on=with_control), _receivers(scan, asks, passes) as receivers:
        wanted = [_with(each, CONTROL) for each in asks] if with_control else asks
        main = _round(scan, wanted, passes, progress)
        findings = Findings(asks, main, before, spare=spare, control=CONTROL if with_control else NONE)
        again = _round(scan, findings.wavering(), 1)
    seen = tuple(verdicts(findings, again, receivers, ends, _unasked(scan, pairs)))
    lost = tuple(dict.fromkeys((*unmet.values(), *before.lost.values(), *main.lost.values())))
    return Observation(
        tuple(_without_operator(scan, each) for each in seen),
        passes,
        WITNESSES,
        round(time.monotonic() - started, 3),
        sum(each.probes for each in seen),
        _partial(scan, lost),
    )


def _meet(access: Access, nodes: set[str]) -> dict[str, str]:
    """Log in to every vantage once; returns why, for those that do not let us. Raises when none does."""
    errors: dict[str, Exception] = {}

    def meet(node: str) -> None:
        try:
            access.run(node, "true", deadline=MEET_SECONDS)
        except (CommandError, WaitTimeoutError) as error:
            errors[node] = error

    if nodes:
        with Pool(len(nodes)) as pool:
            list(pool.map(meet, sorted(nodes)))
    if nodes and len(errors) == len(nodes):
        raise next(iter(errors.values()))
    return {node: f"{node} was lost: {error}" for node, error in sorted(errors.items())}


def _asks(
    scan: Scan, pairs: Sequence[Pair], databases: Container[str], tcp: Ports, udp: Ports, *, icmp: bool
) -> list[Ask]:
    """What is to be asked; where a target has no address, nobody will be. Databases are asked TCP only."""
    made = []
    for pair in pairs:
        ip = scan.ends.address(pair.target, pair.side)
        own = ports.subtract(tcp, SSH) if _is_operators_way_in(scan, pair) else tcp
        testifies = pair.target not in databases  # or silence over UDP and ICMP would never be a verdict
        made.append(Ask(pair, ip, own, udp if testifies else NONE, icmp and testifies))
    return made


def _unasked(scan: Scan, pairs: Sequence[Pair]) -> dict[tuple[Pair, str], str]:
    """Why something is not asked at all, by pair and protocol ("" for all)."""
    reasons: dict[tuple[Pair, str], str] = {}
    for pair in pairs:
        if pair.source in scan.unmet:
            reasons[pair, ""] = scan.unmet[pair.source]
        if not scan.ends.address(pair.target, pair.side):
            reasons[pair, ""] = NOWHERE
        if pair.source == INTERNET and _proxy(scan.target):
            reasons |= {(pair, "udp"): TCP_ONLY, (pair, "icmp"): TCP_ONLY}
    return reasons


def _before(scan: Scan, asks: Sequence[Ask], spare: Ports, passes: int) -> Tally:
    """Ask the control's own port while it is what the firewalls make of it."""
    only = [replace(each, tcp=spare, udp=NONE, icmp=False) for each in asks if spare]
    return _round(scan, only, passes)


def _with(ask: Ask, more: Ports) -> Ask:
    return replace(ask, tcp=ports.union(ask.tcp, more))


def _round(
    scan: Scan, asks: Sequence[Ask], passes: int, progress: Told = lambda _sent, _total: None
) -> Tally:
    """Have every vantage ask its share, all at once."""
    asks = [each for each in asks if each.ip]
    total = passes * sum(each.size for each in asks)
    tally = Tally(passes, lambda sent: progress(min(sent, total), total))
    job = Round(scan.access, scan.pace, scan.token, tally, scan.stop)
    by_source: dict[str, list[Ask]] = {}
    for each in asks:
        by_source.setdefault(each.pair.source, []).append(each)
    jobs = [_job(scan, job, source, mine) for source, mine in by_source.items() if source not in scan.unmet]
    if jobs:
        with Pool(len(jobs)) as pool, _stopping(scan.stop):
            for future in [pool.submit(call) for call in jobs]:
                future.result()
    return tally


def _job(scan: Scan, job: Round, source: str, asks: Sequence[Ask]) -> Callable[[], None]:
    if source != INTERNET:
        return partial(from_droplet, job, source, asks)
    proxy = _proxy(scan.target)
    return partial(through_proxy, job, proxy, asks) if proxy else partial(from_here, job, asks)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Have every vantage end when the block ends by an error, ctrl-C too."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


@contextmanager
def _receivers(scan: Scan, asks: Sequence[Ask], passes: int) -> Iterator[dict[str, Receiver]]:
    """A receiver on every droplet that datagrams go to; they have testified when the block has ended."""
    wanted = sorted({each.pair.target for each in asks if each.udp or each.icmp} & set(scan.access.nodes))
    attempts = passes * sum(each.size for each in asks)
    deadline = 3 * scan.pace.duration(attempts) + 10 * MEET_SECONDS
    made: dict[str, Receiver] = {}
    try:
        for node in wanted:
            if node not in scan.unmet:
                made[node] = Receiver(scan.access, node, scan.token, deadline=deadline, stop=scan.stop)
        yield made
    finally:
        for each in made.values():
            each.finish()


@contextmanager
def _admitted(scan: Scan, run: str, *, on: bool) -> Iterator[None]:
    others = scan.target.operators
    if scan.target.info.get("internet_proxy"):
        others = (f"{scan.ends.internet}/32",)
    made = control.admitted(scan.target, run, scan.ends.nodes, others=others) if on else nullcontext()
    with made:
        yield


def _proxy(target: Target) -> str:
    """The way out of this machine: the internet's where an emulator has one, else the target's."""
    return str(target.info.get("internet_proxy") or target.proxy or "")


def _is_operators_way_in(scan: Scan, pair: Pair) -> bool:
    """Whether this pair's ssh port would tell of the operator, and not of the internet."""
    own = scan.target.info.get("internet_proxy")
    return pair.source == INTERNET and pair.target == scan.access.bastion and not own


def _without_operator(scan: Scan, seen: Seen) -> Seen:
    if seen.protocol != "tcp" or not _is_operators_way_in(scan, seen.pair):
        return seen
    return replace(seen, doubts=(*seen.doubts, "22 was left out: this machine logs in there as an operator"))


def _partial(scan: Scan, lost: Sequence[str]) -> str:
    """Why not everything was seen; where the deployment is going down, what of it is gone."""
    if not lost:
        return ""
    try:
        missing = gone(scan.target, scan.ends)
    except ApiError as error:
        missing = [f"the API does not answer: {error}"]
    return "; ".join((*lost, *missing))
