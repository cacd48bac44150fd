"""Observing in the emulator: its prober sends the packets, its fabric and the targets testify.

The scan is the emulator's (``/_wavetank/scans``, see docs/emulator.md); here it is asked for, watched, and
its two testimonies are judged. Nothing is believed of a pair on which they disagree.
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
from harness.isolation.model import Observation, Seen
from harness.target.emulator_api import Extras
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import INTERNET, Protocol

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "icmp")
WITNESSES = ("prober", "fabric")
DONE = ("completed", "cancelled", "failed")
LONGEST_PAUSE = 0.2
BASE_SECONDS = 120.0
PROBES_A_SECOND = 20_000  # the worst that was seen, every port answering, is twice as fast

Told = Callable[[int, int], None]


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
    progress: Told,
) -> Observation:
    """Have the emulator scan ``pairs``; ``progress`` hears of packets sent and packets in all.

    Raises ``ResourceError`` for an end that is not there, ``ApiError`` or ``WaitTimeoutError``. A scan that
    ends before its time gives what it has seen, marked as partial.
    """
    tampered = tuple(map(str, tampering.look(target)))
    asked = [_asked(deployment, pair, refs) for pair in pairs]
    body = {
        "pairs": asked,
        "tcp": _text(tcp),
        "udp": _text(udp),
        "icmp": icmp,
        "passes": passes,
    }
    with Extras(target) as extras:
        scan = _run(extras, body, _deadline(len(pairs), tcp, udp, passes), progress)
    told = [*(scan.get("pairs") or ()), *({} for _ in pairs)]
    seen = tuple(
        each
        for pair, about in zip(pairs, told, strict=False)
        for each in _judged(pair, about) or [_unasked(pair, tcp)]
    )
    probes = sum(each.probes for each in seen)
    return Observation(
        seen, passes, WITNESSES, float(scan["seconds"]), probes, _partial(scan), tampered=tampered
    )


def _run(extras: Extras, body: Mapping[str, Any], deadline: float, progress: Told) -> dict[str, Any]:
    scan: dict[str, Any] = extras.ask("POST", "/scans", body)["scan"]
    path = f"/scans/{scan['id']}"

    def probe() -> dict[str, Any]:
        now: dict[str, Any] = extras.ask("GET", path)["scan"]
        progress(now["sent"], now["total"])
        if now["status"] in DONE:
            return now
        raise NotYet(f"{now['status']}, {now['sent']} of {now['total']} packets sent")

    try:
        return wait_for("the scan to end", probe, deadline=deadline, max_pause=LONGEST_PAUSE)
    except BaseException as error:  # ctrl-C too must not leave it running
        with suppress(ApiError):
            extras.ask("DELETE", path)
        if isinstance(error, ApiError) and not error.status:
            raise WaitTimeoutError("the scan to end", deadline, f"the emulator went away: {error}") from error
        raise


def _judged(pair: Pair, told: Mapping[str, Any]) -> list[Seen]:
    return [
        judge(pair, protocol, told[protocol], str(told.get("error") or ""))
        for protocol in PROTOCOLS
        if told.get(protocol)
    ]


def _unasked(pair: Pair, tcp: Ports) -> Seen:
    return Seen(pair, "tcp", inconclusive=tcp, doubts=("the scan ended before it was asked",))


def _partial(scan: Mapping[str, Any]) -> str:
    if scan["status"] == "completed":
        broken = [each for each in scan["pairs"] if each.get("error")]
        return f"{len(broken)} pairs could not be fully asked: {broken[0]['error']}" if broken else ""
    how = "was cancelled" if scan["status"] == "cancelled" else "failed"
    return f"the scan {how}: {scan['error']}" if scan.get("error") else f"the scan {how}"


def _asked(deployment: Deployment, pair: Pair, refs: Mapping[str, str]) -> dict[str, str]:
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
