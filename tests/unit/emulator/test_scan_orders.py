"""Scans as a client orders them: what is refused and why, the queue, progress, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from rig import call, make_database, make_droplet

from emulator.cloud.core import Cloud
from emulator.cloud.scans import MAX_FINISHED
from emulator.planes.base import PlaneError, PlaneInfo, ScanOrder
from emulator.planes.memory import MemoryPlane
from harness.core.wait import NotYet, wait_for

ACCOUNT = {"error": "", "tcp": {"sent": 6}, "udp": None, "icmp": None}
SCANS = "/_wavetank/scans"


class ScanningPlane(MemoryPlane):
    """A plane whose scans last until the test lets go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.orders: list[ScanOrder] = []
        self.failure: Exception | None = None

    def info(self) -> PlaneInfo:
        return PlaneInfo("memory", "", "", "192.0.2.10", {})

    def scan_refusal(self) -> str:
        return ""

    def scan(
        self, order: ScanOrder, on_progress: Callable[[int, int], object], cancelled: threading.Event
    ) -> Sequence[Mapping[str, Any]]:
        self.orders.append(order)
        on_progress(3, 6)
        while not (self.go.wait(0.01) or cancelled.is_set()):
            pass
        if self.failure is not None:
            raise self.failure
        return [ACCOUNT for _ in order.pairs]


@pytest.fixture
def plane() -> ScanningPlane:
    """A plane that can scan."""
    return ScanningPlane()


@pytest.fixture
def tank(plane: ScanningPlane) -> Iterator[Cloud]:
    """Droplets 510000001 (public) and 510000002 (private only)."""
    cloud = Cloud(None, plane, transitions="immediate")
    cloud.start()
    make_droplet(cloud, "one")
    make_droplet(cloud, "two", public=False)
    yield cloud
    plane.go.set()
    cloud.close()


ONE, TWO = "droplet:510000001", "droplet:510000002"


def wish(*pairs: tuple[str, str, str], **changes: Any) -> dict[str, Any]:
    """A request's body."""
    named = [
        dict(zip(("source", "target", "side"), each, strict=True))
        for each in pairs or ((ONE, TWO, "private"),)
    ]
    return {"pairs": named, "tcp": "1-3", "passes": 2, **changes}


def begin(cloud: Cloud, **changes: Any) -> str:
    """Order a scan; returns its path."""
    answer = call(cloud, "POST", SCANS, wish(**changes))
    assert answer.status == 202, answer.body
    return f"{SCANS}/{answer.body['scan']['id']}"


def until(cloud: Cloud, path: str, status: str) -> Any:
    """The scan, once it has come to this."""

    def probe() -> Any:
        scan = call(cloud, "GET", path).body["scan"]
        if scan["status"] != status:
            raise NotYet(scan["status"])
        return scan

    return wait_for(f"the scan to be {status}", probe, deadline=10, first_pause=0.01)


def test_scan_is_told_while_it_runs_and_when_it_is_over(tank: Cloud, plane: ScanningPlane) -> None:
    """Progress first, then each pair with its addresses and account."""
    path = begin(tank)

    def progressed() -> None:
        scan = call(tank, "GET", path).body["scan"]
        if (scan["status"], scan["sent"], scan["total"]) != ("running", 3, 6):
            raise NotYet(str(scan))

    wait_for("progress", progressed, deadline=10, first_pause=0.01)
    plane.go.set()
    scan = until(tank, path, "completed")
    one, two = (call(tank, "GET", f"/v2/droplets/51000000{n}").body["droplet"] for n in (1, 2))
    private = [
        next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == "private")
        for droplet in (one, two)
    ]
    ends = {"source": ONE, "target": TWO, "side": "private", "source_ip": private[0], "target_ip": private[1]}
    assert scan["pairs"] == [{**ends, **ACCOUNT}]
    assert plane.orders[0].tcp == ((1, 3),)


def test_one_scan_at_a_time(tank: Cloud, plane: ScanningPlane) -> None:
    """The second waits for the first, and runs when that is over."""
    first, second = begin(tank), begin(tank)
    until(tank, first, "running")
    assert call(tank, "GET", second).body["scan"]["status"] == "waiting"
    assert len(plane.orders) == 1
    plane.go.set()
    until(tank, first, "completed")
    until(tank, second, "completed")


def test_cancelled_while_it_runs_or_waits(tank: Cloud, plane: ScanningPlane) -> None:
    """Both end; one that waited says that nothing was asked."""
    first, second = begin(tank), begin(tank)
    until(tank, first, "running")
    assert call(tank, "DELETE", second).status == 204
    assert call(tank, "DELETE", first).status == 204
    until(tank, first, "cancelled")
    (pair,) = until(tank, second, "cancelled")["pairs"]
    assert "before this pair was probed" in pair["error"]
    assert len(plane.orders) == 1
    assert call(tank, "DELETE", first).status == 204, "once more does no harm"


@pytest.mark.parametrize("failure", [PlaneError("no nft"), KeyError("no nft")])
def test_scan_that_fails_says_why(tank: Cloud, plane: ScanningPlane, failure: Exception) -> None:
    """Whatever goes wrong ends the scan, and the next one runs."""
    plane.failure = failure
    plane.go.set()
    scan = until(tank, begin(tank), "failed")
    assert "no nft" in scan["error"]
    plane.failure = None
    until(tank, begin(tank), "completed")


def test_end_of_the_emulator_ends_a_scan(plane: ScanningPlane) -> None:
    """Closing the cloud cancels what runs."""
    cloud = Cloud(None, plane, transitions="immediate")
    cloud.start()
    make_droplet(cloud, "one")
    make_droplet(cloud, "two")
    path = begin(cloud)
    until(cloud, path, "running")
    cloud.close()
    assert cloud.scans.get(path.rpartition("/")[2]).status == "cancelled"


def test_old_scans_are_forgotten(tank: Cloud, plane: ScanningPlane) -> None:
    """The newest are kept."""
    plane.go.set()
    paths = []
    for _ in range(MAX_FINISHED + 2):
        paths.append(begin(tank))
        until(tank, paths[-1], "completed")
    assert call(tank, "GET", paths[0]).status == 404
    assert call(tank, "GET", paths[-1]).status == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tcp": "0x16"}, "tcp: '0x16' is neither a port nor a range"),
        ({"udp": "70000"}, "udp: '70000' is out of range"),
        ({"tcp": ""}, "nothing is to be probed"),
        ({"passes": 0}, "passes must be between 1 and 8"),
        ({"passes": "2"}, "passes must be an integer"),
        ({"icmp": "yes"}, "icmp must be a boolean"),
        ({"pairs": []}, "pairs must hold between 1"),
        ({"pairs": [{"source": ONE}]}, "target is required"),
    ],
)
def test_bad_wishes_are_refused(tank: Cloud, changes: dict[str, Any], words: str) -> None:
    """The field is named, and what would be right."""
    answer = call(tank, "POST", SCANS, wish() | changes)
    assert (answer.status, answer.body["id"]) == (422, "unprocessable_entity")
    assert words in answer.body["message"]


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((ONE, ONE, "private"), "pairs[0].target is its source"),
        ((ONE, "droplet:7", "private"), "pairs[0].target: there is no droplet 7"),
        (("web", TWO, "private"), "pairs[0].source must be droplet:<id>, database:<uuid> or internet"),
        ((ONE, TWO, "inner"), "pairs[0].side must be private or public"),
        ((ONE, TWO, "public"), "(two) has no public address"),
        ((TWO, ONE, "public"), "pairs[0].source: droplet:510000002 (two) has no public address"),
        ((ONE, "internet", "private"), "pairs[0].target is internet, which has no private address"),
        ((ONE, "database:none", "private"), "there is no database none"),
    ],
)
def test_bad_pairs_are_refused(tank: Cloud, pair: tuple[str, str, str], words: str) -> None:
    """The pair and its field are named."""
    answer = call(tank, "POST", SCANS, wish(pair))
    assert answer.status == 422
    assert words in answer.body["message"]


def test_pair_may_be_there_once(tank: Cloud) -> None:
    """Twice would count twice."""
    pair = (ONE, TWO, "private")
    answer = call(tank, "POST", SCANS, wish(pair, pair))
    assert (answer.status, "pairs[1] is there twice" in answer.body["message"]) == (422, True)


def test_machine_that_is_off_is_refused(tank: Cloud) -> None:
    """It cannot be scanned, and the message says what it is."""
    assert call(tank, "POST", "/v2/droplets/510000002/actions", {"type": "power_off"}).status == 201
    answer = call(tank, "POST", SCANS, wish())
    assert (answer.status, "is off; it must run" in answer.body["message"]) == (422, True)


def test_databases_and_the_internet_are_ends(tank: Cloud, plane: ScanningPlane) -> None:
    """A database by either address; the stranger's private view is asked from its one address."""
    database = make_database(tank)
    ref = f"database:{database.id}"
    pairs = [
        (ONE, ref, "private"),
        (ONE, ref, "public"),
        ("internet", TWO, "private"),
        (ONE, "internet", "public"),
    ]
    assert call(tank, "POST", SCANS, wish(*pairs)).status == 202
    wait_for("the order", lambda: _some(plane.orders), deadline=10, first_pause=0.01)
    found = [(each.source_ip, each.target_ip) for each in plane.orders[0].pairs]
    assert [each[1] for each in found[:2]] == [database.private_ip, database.public_ip]
    assert found[2][0] == found[3][1] == "192.0.2.10"


def test_memory_plane_cannot_scan() -> None:
    """501, with the reason."""
    cloud = Cloud(None, MemoryPlane(), transitions="immediate")
    cloud.start()
    answer = call(cloud, "POST", SCANS, wish())
    cloud.close()
    assert (answer.status, answer.body["id"]) == (501, "not_implemented")
    assert "nothing runs on the memory plane" in answer.body["message"]


def test_unknown_scan_is_not_found(tank: Cloud) -> None:
    """404 for looking and for cancelling."""
    assert call(tank, "GET", f"{SCANS}/none").status == 404
    assert call(tank, "DELETE", f"{SCANS}/none").status == 404


def _some(found: list[Any]) -> None:
    if not found:
        raise NotYet("nothing")
