"""Scans of a real tank: what they say is so, every packet is accounted for, and nothing of them is left."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from scan_helpers import (
    LISTENERS,
    TWO,
    UDP_LISTENER,
    account,
    books_balance,
    listening,
    order,
    pair,
    processes,
    tables,
    untouched,
    verdict,
)
from tank import ANYWHERE, Tank, tcp, udp

from emulator.planes.base import AllowRule
from harness.core import ports
from harness.core.ports import ALL, NONE, Ports
from harness.core.wait import NotYet, wait_for
from harness.isolation.model import ScanResult

pytestmark = pytest.mark.docker

ECHO = AllowRule("icmp", (0, 65535), ANYWHERE, "test")
EVERYTHING = ((1, 65535),)


@pytest.fixture(scope="module")
def listeners(shared_tank: Tank) -> Iterator[None]:
    """Droplets 2 and 4 listen on some ports."""
    with listening(shared_tank, 2), listening(shared_tank, 4):
        yield


def run(tank: Tank, *pairs: Any, told: Callable[[int, int], object] | None = None, **asked: Any) -> list[Any]:
    """Scan to the end; each pair's account, in which every packet is accounted for."""
    accounts = tank.plane.scan(order(*pairs, **asked), told or (lambda *_: None), threading.Event())
    for each in accounts:
        books_balance(each)
    return list(accounts)


def some_ports(dice: random.Random) -> Ports:
    """Ranges, single ports, and some of those that are listened on."""
    firsts = [dice.randint(1, 65000) for _ in range(dice.randint(0, 6))]
    ranges = [((first, first + dice.choice((0, 0, 1, 400))),) for first in firsts]
    return ports.union(*ranges, *(((port, port),) for port in dice.sample(LISTENERS, 3)))


def gates(allowed: Ports) -> tuple[AllowRule, ...]:
    """TCP rules that allow these ports with anybody."""
    return tuple(tcp(each) for each in allowed)


def assert_reachable(result: ScanResult, reachable: Ports) -> None:
    """Exactly what is reachable is told to be, and of that, exactly what is listened on is open."""
    listened = ports.union(*(((port, port),) for port in LISTENERS), ((22, 22),))
    assert result.inconclusive == NONE, result.doubts
    assert result.open == ports.intersect(reachable, listened)
    assert result.closed == ports.subtract(reachable, listened)
    assert result.filtered == ports.subtract(ALL, reachable)


def test_twenty_scans_tell_nothing_false(tank: Tank, listeners: None) -> None:
    """All ports, over random rules: open, closed and filtered are told apart, twenty times in a row."""
    for seed in range(20):
        dice = random.Random(seed)
        inward, outward, other = some_ports(dice), some_ports(dice), some_ports(dice)
        tank.rules(n1=((), gates(outward)), n2=(gates(inward), ()), n4=(gates(other), ()))
        found = run(tank, pair(1, 2), pair(1, 4), pair("internet", 2, "public"))
        assert_reachable(verdict(found[0]), ports.intersect(inward, outward))
        assert_reachable(verdict(found[1]), ports.intersect(other, outward))
        assert_reachable(verdict(found[2]), inward)


def test_gates_are_told_apart(tank: Tank) -> None:
    """The account says which gate dropped a packet."""
    tank.rules(n1=((), (tcp((1, 1000)),)), n2=((tcp((1, 10)),), ()))
    (found,) = run(tank, pair(1, 2), tcp=EVERYTHING, passes=1)
    counts = account(found)
    assert (counts["denied_out"], counts["denied_in"], counts["arrived"]) == (64535, 990, 10)
    assert (counts["unrouted"], counts["other_drops"]) == (0, 0)
    denied = {
        each["gate"]: each["packets"]
        for each in tank.plane.flows()
        if (each["source_ip"], each["target_ip"], each["protocol"]) == ("10.1.0.10", TWO, "tcp")
    }
    assert denied["out"] >= 64535
    assert denied["in"] >= 990


def test_what_is_not_routed_is_told(tank: Tank) -> None:
    """Another VPC, and a private address asked from beyond the fabric, are no way at all."""
    for found in run(tank, pair(1, 3), pair("internet", 2), tcp=((1, 2000),)):
        assert account(found)["unrouted"] == account(found)["sent"] == 4000
        assert verdict(found).filtered == ((1, 2000),)


def test_address_beyond_the_fabric_is_a_target(tank: Tank) -> None:
    """The stranger's own kernel testifies, too."""
    tank.rules(n1=((), (tcp(443),)))
    (found,) = run(tank, pair(1, "internet", "public"))
    assert account(found)["arrived_ports"] == [[443, 443]]
    assert verdict(found).closed == ((443, 443),)


def test_uncovered_target_answers_on_every_port(tank: Tank, listeners: None) -> None:
    """Nothing is dropped, everything is answered, and nothing is lost among 131,070 answers."""
    found = run(tank, pair(1, 2), pair(4, 2))
    for each in found:
        assert_reachable(verdict(each), ALL)
        assert account(each)["arrived"] == account(each)["sent"] >= 2 * 65535


def test_udp_and_icmp(tank: Tank, listeners: None) -> None:
    """A datagram that is answered is open; one that is refused or taken in silence has arrived, too."""
    asked = {"tcp": (), "udp": ((1, 2000), (UDP_LISTENER, UDP_LISTENER)), "icmp": True}
    (found,) = run(tank, pair(1, 2), **asked)
    assert account(found, "udp")["answered_open"] == [[UDP_LISTENER, UDP_LISTENER]]
    assert account(found, "udp")["arrived_ports"] == [[1, 2000], [UDP_LISTENER, UDP_LISTENER]]
    assert account(found, "icmp")["answered_open"] == [[1, 1]]
    assert found["tcp"] is None

    tank.rules(n2=((udp(UDP_LISTENER), udp(7)), ()))
    (found,) = run(tank, pair(1, 2), **asked)
    assert verdict(found, "udp").open == ((UDP_LISTENER, UDP_LISTENER),)
    assert verdict(found, "udp").closed == ((7, 7),)
    assert verdict(found, "icmp").filtered == ALL

    tank.rules(n2=((ECHO,), ()))
    (found,) = run(tank, pair(1, 2), **asked)
    assert account(found, "udp")["arrived"] == 0
    assert verdict(found, "icmp").open == ALL


def test_every_udp_port_of_an_uncovered_target(tank: Tank) -> None:
    """What nobody answers fills connection tables; every packet is accounted for all the same."""
    found = run(tank, pair(1, 2), pair(4, 2), tcp=(), udp=EVERYTHING)
    assert [account(each, "udp")["arrived_ports"] for each in found] == [[[1, 65535]]] * 2


def test_rules_that_change_meanwhile(tank: Tank, listeners: None) -> None:
    """What holds before and after is told, whatever was in force when a packet came; nothing breaks."""
    allowed = [((20, 3000),), ((2000, 9000),)]
    policies = 0

    def change(*_: int) -> None:
        nonlocal policies
        policies += 1
        tank.rules(n2=(gates(allowed[policies % 2]), ()))

    change()
    found = run(tank, pair(1, 2), pair(4, 2), pair("internet", 2, "public"), told=change, passes=4)
    assert policies > 2, "the rules changed while it ran"
    for each in found:
        result = verdict(each)
        assert result.doubts == ()
        assert ports.subtract(((2000, 3000),), result.reachable) == NONE
        assert ports.subtract(result.reachable, ((20, 9000),)) == NONE


def test_machine_that_loses_power_half_way(tank: Tank) -> None:
    """Its pairs say so, in words; all others are scanned to the end."""
    tank.rules(n2=((tcp(22),), ()))
    off = threading.Thread(target=tank.plane.power_off, args=(4,))

    def cut(*_: int) -> None:
        if off.ident is None:
            off.start()

    try:
        found = run(tank, pair(1, 4), pair(4, 1), pair(1, 2), pair(2, 1), told=cut, passes=4)
    finally:
        off.join()
        tank.plane.power_on(tank.nodes[4], tank.policy())
    assert all("droplet:4 was lost" in each["error"] for each in found[:2]), found[:2]
    assert [each["error"] for each in found[2:]] == ["", ""]
    assert verdict(found[2]).open == ((22, 22),)


def test_cancelled_scan_ends_soon_and_says_so(tank: Tank) -> None:
    """What was not done has a reason, and nothing runs on."""
    stop = threading.Event()
    everybody = [pair(one, other) for one in (1, 2, 4) for other in (1, 2, 4) if one != other]
    found = tank.plane.scan(order(*everybody, passes=8), lambda *_: stop.set(), stop)
    assert all("cancelled" in each["error"] for each in found)
    await_no_trace(tank)


def test_nothing_of_a_scan_is_left(tank: Tank) -> None:
    """Tables of the targets and of the host, and the host's routes, are as they were."""
    before = untouched(tank)
    result: list[Sequence[str]] = []
    run(tank, pair(1, 2), pair(2, 1, "public"), told=lambda *_: result.append(tables(tank, 2)))
    assert any("wavetank_scan" in each for each in map(str, result)), "it was there while it ran"
    assert untouched(tank) == before
    await_no_trace(tank)


def test_scan_whose_emulator_dies_ends_by_itself(tank: Tank) -> None:
    """Nobody has to cancel it: it ends with its input."""
    with processes(tank).begin(order(pair(1, 2), pair(2, 1), passes=8)):
        await_running(tank)
    await_no_trace(tank)


def test_killed_scan_is_swept_by_the_next(tank: Tank) -> None:
    """A scan that could not clean up leaves a table, which the next one removes, wherever it scans."""
    with processes(tank).begin(order(pair(1, 2), pair(4, 2), passes=8)):
        await_running(tank)
        processes(tank).kill()
        wait_for("it to be dead", lambda: _none(processes(tank).pids()), deadline=20)
        assert "wavetank_scan" in str(tables(tank, 2))
    (found,) = run(tank, pair(2, 4), tcp=((1, 100),))
    assert found["error"] == ""
    await_no_trace(tank)


def test_machine_that_is_off_is_told_to_be_lost(tank: Tank) -> None:
    """A pair with a machine that is not there has a reason; the others go on."""
    nowhere = pair(1, 77)
    found = run(tank, nowhere, pair(1, 2), tcp=((22, 22),))
    assert "droplet:77 was lost" in found[0]["error"]
    assert verdict(found[1]).open == ((22, 22),)


def await_running(tank: Tank) -> None:
    """Until droplet 2 records what arrives."""

    def probe() -> None:
        if "wavetank_scan" not in str(tables(tank, 2)):
            raise NotYet("no table")

    wait_for("the scan to run", probe, deadline=20, max_pause=0.05)


def await_no_trace(tank: Tank) -> None:
    """Until no process of a scan runs and no target records."""

    def probe() -> None:
        _none(processes(tank).pids())
        for number in (1, 2, 4):
            _none([each for each in tables(tank, number) if "wavetank_scan" in each])

    wait_for("the scan to be gone", probe, deadline=20, max_pause=0.1)


def _none(found: Sequence[object] | Mapping[str, object]) -> None:
    if found:
        raise NotYet(str(found))
