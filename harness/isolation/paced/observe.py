"""Observing without packet counters, from the machines themselves: a cloud, or the emulator treated as one.

Every droplet probes over ssh, at a bounded rate, each pass in another order; this machine stands for the
internet. What answers can be reached. Silence is a verdict only where the path is shown to carry packets in
the same run: by an answer of the pair, by a control port that is opened for the time of the scan, or, for
databases, by two halves (the target answered another source, the probe source reached another target). Which
datagrams arrived is reported by the droplet that receives them. See docs/measuring-isolation.md.
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
from harness.isolation.model import Observation, ScanResult
from harness.isolation.paced import control
from harness.isolation.paced.ends import Ends, find, gone
from harness.isolation.paced.judging import Findings, verdicts
from harness.isolation.paced.probe_sources import Pace, Round, from_droplet, from_here, through_proxy
from harness.isolation.paced.receiver import Receiver
from harness.isolation.paced.tally import ProbeTask, Tally
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET

EVIDENCE_SOURCES = ("prober",)
CONTROL: Ports = ((control.PORT, control.PORT),)
SSH: Ports = ((22, 22),)
LOGIN_SECONDS = 60.0
NO_ADDRESS = "it has no address that may be probed"
TCP_ONLY = "the proxy of this machine carries TCP only"

ReportProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scan:
    """What all rounds of one observation share.

    ``unreachable`` are probe sources that refused
    the login, with the reason."""

    target: Target
    access: Access
    ends: Ends
    pace: Pace
    token: str
    unreachable: Mapping[str, str]
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
    progress: ReportProgress = lambda _sent, _total: None,
    controls: bool | None = None,
    pace: Pace | None = None,
) -> Observation:
    """Probe every port of ``pairs`` from their own sources; ``progress`` gets attempts so far and in all.

    ``refs`` maps ends that are not of the deployment to ``droplet:ID``; ``access`` must reach them.
    ``controls``: open a control port for the time of the scan; None: yes on a cloud. Raises
    ``ResourceError`` naming what is not there or not running, ``ApiError``, ``WaitTimeoutError``, or
    ``CommandError`` where no probe source can be logged in to. If one is lost on the way, what it found
    is kept, and the observation says so in ``partial``.
    """
    target.require_machines()
    started = time.monotonic()
    ends = find(target, deployment, access, pairs, refs or {})
    unreachable = _check_logins(access, {pair.source for pair in pairs} - {INTERNET})
    scan = Scan(target, access, ends, pace or Pace(), secrets.token_hex(16), unreachable, threading.Event())
    with_control = not target.info if controls is None else controls
    tasks = _tasks(scan, pairs, deployment.databases, tcp, udp, icmp=icmp)
    target.require_machines(*(each.ip for each in tasks if each.pair.source == INTERNET))
    shared_ports = ports.intersect(tcp, CONTROL) if with_control else NONE
    before = _before(scan, tasks, shared_ports, passes)
    with _admitted(scan, deployment.run, on=with_control), _receivers(scan, tasks, passes) as receivers:
        wanted = [_with_ports(each, CONTROL) for each in tasks] if with_control else tasks
        main = _round(scan, wanted, passes, progress)
        findings = Findings(
            tasks, main, before, shared_ports=shared_ports, control=CONTROL if with_control else NONE
        )
        retries = _round(scan, findings.unstable(), 1)
    results = tuple(verdicts(findings, retries, receivers, ends, _not_probed(scan, pairs)))
    lost = tuple(dict.fromkeys((*unreachable.values(), *before.lost.values(), *main.lost.values())))
    return Observation(
        tuple(_without_operator(scan, each) for each in results),
        passes,
        EVIDENCE_SOURCES,
        round(time.monotonic() - started, 3),
        sum(each.probes for each in results),
        _partial(scan, lost),
    )


def _check_logins(access: Access, nodes: set[str]) -> dict[str, str]:
    """Log in to every probe source once; returns the reason for each that fails. Raises when all fail."""
    errors: dict[str, Exception] = {}

    def check_login(node: str) -> None:
        try:
            access.run(node, "true", deadline=LOGIN_SECONDS)
        except (CommandError, WaitTimeoutError) as error:
            errors[node] = error

    if nodes:
        with Pool(len(nodes)) as pool:
            list(pool.map(check_login, sorted(nodes)))
    if nodes and len(errors) == len(nodes):
        raise next(iter(errors.values()))
    return {node: f"{node} was lost: {error}" for node, error in sorted(errors.items())}


def _tasks(
    scan: Scan, pairs: Sequence[Pair], databases: Container[str], tcp: Ports, udp: Ports, *, icmp: bool
) -> list[ProbeTask]:
    """What to probe; a target without an address is skipped later. Databases are probed by TCP only."""
    made = []
    for pair in pairs:
        ip = scan.ends.address(pair.target, pair.side)
        own = ports.subtract(tcp, SSH) if _is_operator_login(scan, pair) else tcp
        has_evidence = pair.target not in databases  # or silence over UDP and ICMP would never be a verdict
        made.append(ProbeTask(pair, ip, own, udp if has_evidence else NONE, icmp and has_evidence))
    return made


def _not_probed(scan: Scan, pairs: Sequence[Pair]) -> dict[tuple[Pair, str], str]:
    """Why something is not probed at all, by pair and protocol ("" for all)."""
    reasons: dict[tuple[Pair, str], str] = {}
    for pair in pairs:
        if pair.source in scan.unreachable:
            reasons[pair, ""] = scan.unreachable[pair.source]
        if not scan.ends.address(pair.target, pair.side):
            reasons[pair, ""] = NO_ADDRESS
        if pair.source == INTERNET and _proxy(scan.target):
            reasons |= {(pair, "udp"): TCP_ONLY, (pair, "icmp"): TCP_ONLY}
    return reasons


def _before(scan: Scan, tasks: Sequence[ProbeTask], shared_ports: Ports, passes: int) -> Tally:
    """Probe the control's own port before it is opened."""
    only = [replace(each, tcp=shared_ports, udp=NONE, icmp=False) for each in tasks if shared_ports]
    return _round(scan, only, passes)


def _with_ports(task: ProbeTask, more: Ports) -> ProbeTask:
    return replace(task, tcp=ports.union(task.tcp, more))


def _round(
    scan: Scan, tasks: Sequence[ProbeTask], passes: int, progress: ReportProgress = lambda _sent, _total: None
) -> Tally:
    """Have every probe source probe its share, all at once."""
    tasks = [each for each in tasks if each.ip]
    total = passes * sum(each.size for each in tasks)
    tally = Tally(passes, lambda sent: progress(min(sent, total), total))
    job = Round(scan.access, scan.pace, scan.token, tally, scan.stop)
    by_source: dict[str, list[ProbeTask]] = {}
    for each in tasks:
        by_source.setdefault(each.pair.source, []).append(each)
    jobs = [
        _job(scan, job, source, mine) for source, mine in by_source.items() if source not in scan.unreachable
    ]
    if jobs:
        with Pool(len(jobs)) as pool, _stopping(scan.stop):
            for future in [pool.submit(call) for call in jobs]:
                future.result()
    return tally


def _job(scan: Scan, job: Round, source: str, tasks: Sequence[ProbeTask]) -> Callable[[], None]:
    if source != INTERNET:
        return partial(from_droplet, job, source, tasks)
    proxy = _proxy(scan.target)
    return partial(through_proxy, job, proxy, tasks) if proxy else partial(from_here, job, tasks)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Stop every probe source when the block ends by an error, ctrl-C too."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


@contextmanager
def _receivers(scan: Scan, tasks: Sequence[ProbeTask], passes: int) -> Iterator[dict[str, Receiver]]:
    """A receiver on every droplet that datagrams go to; all have reported when the block has ended."""
    wanted = sorted({each.pair.target for each in tasks if each.udp or each.icmp} & set(scan.access.nodes))
    attempts = passes * sum(each.size for each in tasks)
    deadline = 3 * scan.pace.duration(attempts) + 10 * LOGIN_SECONDS
    made: dict[str, Receiver] = {}
    try:
        for node in wanted:
            if node not in scan.unreachable:
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
    """The proxy of this machine: the internet's where an emulator has one, else the target's."""
    return str(target.info.get("internet_proxy") or target.proxy or "")


def _is_operator_login(scan: Scan, pair: Pair) -> bool:
    """Whether this pair's ssh port would show what the operator reaches, and not what the internet does."""
    own = scan.target.info.get("internet_proxy")
    return pair.source == INTERNET and pair.target == scan.access.bastion and not own


def _without_operator(scan: Scan, result: ScanResult) -> ScanResult:
    if result.protocol != "tcp" or not _is_operator_login(scan, result.pair):
        return result
    doubt = "22 was left out: this machine logs in there as an operator"
    return replace(result, doubts=(*result.doubts, doubt))


def _partial(scan: Scan, lost: Sequence[str]) -> str:
    """Why not everything was probed; where the deployment is going down, what of it is gone."""
    if not lost:
        return ""
    try:
        missing = gone(scan.target, scan.ends)
    except ApiError as error:
        missing = [f"the API does not answer: {error}"]
    return "; ".join((*lost, *missing))
