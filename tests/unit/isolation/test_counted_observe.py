"""Asking an emulator for a scan: what is asked, how its end is awaited, and what becomes of half a scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.core.errors import ApiError, ResourceError, WaitTimeoutError
from harness.firewall.model import Pair
from harness.isolation.counted import observe as counted
from harness.isolation.counted import tampering
from harness.isolation.model import Observation
from harness.target.target import Target
from harness.topology.deployment import Deployment, Node

DEPLOYMENT = Deployment(
    "test",
    "vpc",
    "10.0.0.0/20",
    {
        name: Node(name, number, "active", f"203.0.113.{number}", f"10.0.0.{number}")
        for name, number in (("a", 1), ("b", 2))
    },
    {},
)
TARGET = Target("local", "https://127.0.0.1:1", "token", info={"plane": "docker"})
PAIRS = [Pair("a", "b"), Pair("internet", "a", "public"), Pair("stranger", "b")]
SILENT = {
    "asked": [[1, 65535]],
    "passes": 2,
    "sent": 131070,
    "arrived": 0,
    "denied_out": 131070,
    "denied_in": 0,
    "unrouted": 0,
    "other_drops": 0,
    "answered_open": [],
    "answered_closed": [],
    "answered_rejected": [],
    "arrived_ports": [],
}


class Emulator:
    """Answers in place of an emulator: each look at the scan takes the next of ``looks``."""

    def __init__(self, looks: list[dict[str, Any] | Exception]) -> None:
        self.looks: Iterator[dict[str, Any] | Exception] = iter(looks)
        self.asked: list[tuple[str, str]] = []
        self.body: dict[str, Any] = {}

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """As ``EmulatorApi.ask``."""
        self.asked.append((method, path))
        if method == "POST":
            self.body = body
            return {"scan": look("waiting")}
        if method == "DELETE":
            return {}
        answer = next(self.looks)
        if isinstance(answer, Exception):
            raise answer
        return {"scan": answer}


def look(status: str, *told: dict[str, Any], sent: int = 0, error: str = "") -> dict[str, Any]:
    """A scan as the emulator shows it."""
    shown = {"id": "7", "status": status, "error": error, "sent": sent, "total": 393210, "seconds": 1.5}
    return shown | {"pairs": list(told)}


def pair(error: str = "") -> dict[str, Any]:
    """A pair of which no packet got through."""
    return {"error": error, "tcp": SILENT, "udp": None, "icmp": None}


def observe(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, **given: Any) -> Observation:
    """Observe three pairs by this emulator."""
    monkeypatch.setattr(counted, "EmulatorApi", lambda _target: emulator)
    monkeypatch.setattr(tampering, "inspect", lambda _target: ())
    asked = {"tcp": ((1, 65535),), "udp": ((53, 53),), "icmp": True, "passes": 2}
    return counted.observe(
        TARGET, DEPLOYMENT, PAIRS, **asked, refs={"stranger": "droplet:9"}, progress=lambda *_: None, **given
    )


def test_ends_are_asked_for_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of the topology become what the API calls them."""
    emulator = Emulator([look("completed", pair(), pair(), pair())])
    observe(monkeypatch, emulator)
    assert emulator.body["pairs"] == [
        {"source": "droplet:1", "target": "droplet:2", "side": "private"},
        {"source": "internet", "target": "droplet:1", "side": "public"},
        {"source": "droplet:9", "target": "droplet:2", "side": "private"},
    ]
    assert (emulator.body["tcp"], emulator.body["udp"]) == ("1-65535", "53")


def test_completed_scan_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair and protocol has its verdict, and the packets are counted."""
    observation = observe(monkeypatch, Emulator([look("running"), look("completed", pair(), pair(), pair())]))
    assert [each.pair for each in observation.results] == PAIRS
    assert observation.results[0].filtered == ((1, 65535),)
    assert (observation.probes, observation.seconds, observation.partial) == (3 * 131070, 1.5, "")
    assert observation.evidence_sources == ("prober", "fabric")


def test_lost_source_leaves_its_pair_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' verdicts stand, and the whole is marked as partial."""
    observation = observe(
        monkeypatch, Emulator([look("completed", pair(), pair("a lost its power"), pair())])
    )
    assert [bool(each.inconclusive) for each in observation.results] == [False, True, False]
    assert observation.partial == "1 pairs could not be fully probed: a lost its power"


def test_failed_scan_keeps_what_it_has_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not asked is in doubt, not left out."""
    observation = observe(monkeypatch, Emulator([look("failed", pair(), error="the fabric is gone")]))
    assert [bool(each.inconclusive) for each in observation.results] == [False, True, True]
    assert observation.partial == "the scan failed: the fabric is gone"


def test_scan_is_cancelled_when_its_user_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """ctrl-C leaves nothing running."""
    emulator = Emulator([])
    monkeypatch.setattr(Emulator, "ask", _interrupting(Emulator.ask))
    with pytest.raises(KeyboardInterrupt):
        observe(monkeypatch, emulator)
    assert emulator.asked[-1] == ("DELETE", "/scans/7")


def test_emulator_that_goes_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is not an endless wait."""
    gone = ApiError("GET x", 0, "unreachable", "connection refused")
    with pytest.raises(WaitTimeoutError, match="the emulator went away"):
        observe(monkeypatch, Emulator([gone]))


def test_scan_of_what_went_down_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that is not there is named, with those that are."""
    monkeypatch.setattr(tampering, "inspect", lambda _target: ())
    with pytest.raises(ResourceError, match="'c': is not there; there are a, b, internet"):
        counted.observe(
            TARGET,
            DEPLOYMENT,
            [Pair("a", "c")],
            tcp=((1, 1),),
            udp=(),
            icmp=False,
            passes=1,
            refs={},
            progress=lambda *_: None,
        )


def _interrupting(ask: Any) -> Any:
    def asked(self: Emulator, method: str, path: str, body: Any = None) -> Any:
        if method == "GET":
            self.asked.append((method, path))
            raise KeyboardInterrupt
        return ask(self, method, path, body)

    return asked
