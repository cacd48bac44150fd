"""Observing in the emulator: its prober sends packets, the fabric and the targets count them.

The scan is the emulator's (``/_wavetank/scans``, see docs/emulator.md); here it is requested and
followed, and the two evidence sources are compared. There is no verdict on a pair where they disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from harness.core import ports
from harness.core.errors import ApiError, ResourceError, WaitTimeoutError
from harness.core.ports import Ports
from harness.core.wait import NotYet, wait_for
from harness.firewall.model import Pair
from harness.isolation.counted import tampering
from harness.isolation.counted.verdict import judge
from harness.isolation.model import Observation, ScanResult
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET, Protocol

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")
EVIDENCE_SOURCES = ("prober", "fabric")
DONE = ("completed", "cancelled", "failed")
LONGEST_PAUSE = 0.2
BASE_SECONDS = 120.0
PROBES_A_SECOND = 20_000  # the slowest that was measured, with every port answering, is twice as fast

ReportProgress = Callable[[int, int], None]


def observe(
    target: Target,
    deployment: Deployment,
    pairs: Sequence[Pair],
    *,
    tcp: Ports,
    udp: Ports,
    icmp: bool,
    passes: int,
    refs: Mapping[str, str],
    progress: ReportProgress,
) -> Observation:
    """Have the emulator scan ``pairs``; ``progress`` gets the packets sent so far and the total.

    Raises ``ResourceError`` for an end that is not there, ``ApiError`` or ``WaitTimeoutError``. A scan that
    ends early returns what it has found, marked as partial.
    """
    tampered = tuple(map(str, tampering.inspect(target)))
    pair_bodies = [_pair_body(deployment, pair, refs) for pair in pairs]
    body = {
        "pairs": pair_bodies,
        "tcp": _text(tcp),
        "udp": _text(udp),
        "icmp": icmp,
        "passes": passes,
    }
    with EmulatorApi(target) as emulator:
        scan = _run(emulator, body, _deadline(len(pairs), tcp, udp, passes), progress)
    answers = [*(scan.get("pairs") or ()), *({} for _ in pairs)]
    results = tuple(
        each
        for pair, answer in zip(pairs, answers, strict=False)
        for each in _judged(pair, answer) or [_not_probed(pair, tcp)]
    )
    probes = sum(each.probes for each in results)
    return Observation(
        results, passes, EVIDENCE_SOURCES, float(scan["seconds"]), probes, _partial(scan), tampered=tampered
    )


def _run(
    emulator: EmulatorApi, body: Mapping[str, Any], deadline: float, progress: ReportProgress
) -> dict[str, Any]:
    scan: dict[str, Any] = emulator.ask("POST", "/scans", body)["scan"]
    path = f"/scans/{scan['id']}"

    def probe() -> dict[str, Any]:
        now: dict[str, Any] = emulator.ask("GET", path)["scan"]
        progress(now["sent"], now["total"])
        if now["status"] in DONE:
            return now
        raise NotYet(f"{now['status']}, {now['sent']} of {now['total']} packets sent")

    try:
        return wait_for("the scan to end", probe, deadline=deadline, max_pause=LONGEST_PAUSE)
    except BaseException as error:  # ctrl-C too must not leave it running
        with suppress(ApiError):
            emulator.ask("DELETE", path)
        if isinstance(error, ApiError) and not error.status:
            raise WaitTimeoutError("the scan to end", deadline, f"the emulator went away: {error}") from error
        raise


def _judged(pair: Pair, answer: Mapping[str, Any]) -> list[ScanResult]:
    return [
        judge(pair, protocol, answer[protocol], str(answer.get("error") or ""))
        for protocol in PROTOCOLS
        if answer.get(protocol)
    ]


def _not_probed(pair: Pair, tcp: Ports) -> ScanResult:
    return ScanResult(pair, "tcp", inconclusive=tcp, doubts=("the scan ended before this pair was probed",))


def _partial(scan: Mapping[str, Any]) -> str:
    if scan["status"] == "completed":
        broken = [each for each in scan["pairs"] if each.get("error")]
        return f"{len(broken)} pairs could not be fully probed: {broken[0]['error']}" if broken else ""
    how = "was cancelled" if scan["status"] == "cancelled" else "failed"
    return f"the scan {how}: {scan['error']}" if scan.get("error") else f"the scan {how}"


def _pair_body(deployment: Deployment, pair: Pair, refs: Mapping[str, str]) -> dict[str, str]:
    source, target = (_ref(deployment, end, refs) for end in (pair.source, pair.target))
    return {"source": source, "target": target, "side": pair.side}


def _ref(deployment: Deployment, end: str, refs: Mapping[str, str]) -> str:
    if end in refs:
        return refs[end]
    if end == INTERNET:
        return INTERNET
    if end in deployment.nodes:
        return f"droplet:{deployment.nodes[end].id}"
    if end in deployment.databases:
        return f"database:{deployment.databases[end].id}"
    known = ", ".join((*deployment.nodes, *deployment.databases, *refs, INTERNET))
    raise ResourceError("end", end, f"is not there; there are {known}")


def _text(wanted: Ports) -> str:
    return ports.render(wanted).replace("all", "1-65535") if wanted else ""


def _deadline(pairs: int, tcp: Ports, udp: Ports, passes: int) -> float:
    return BASE_SECONDS + pairs * (ports.size(tcp) + ports.size(udp)) * passes / PROBES_A_SECOND
