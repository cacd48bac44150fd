"""What two evidence sources report of one pair, and the verdict that is confirmed or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core import ports
from harness.core.ports import ALL
from harness.firewall.model import Pair
from harness.isolation.counted.verdict import judge
from harness.isolation.model import STATES, ScanResult

PAIR = Pair("client", "runner")


def account(**given: Any) -> dict[str, Any]:
    """What a scan tells of ports 1 to 100 in two passes where nothing got through."""
    told: dict[str, Any] = {
        "asked": [[1, 100]],
        "passes": 2,
        "sent": 200,
        "arrived": 0,
        "denied_out": 0,
        "denied_in": 200,
        "unrouted": 0,
        "other_drops": 0,
        "answered_open": [],
        "answered_closed": [],
        "answered_rejected": [],
        "arrived_ports": [],
    }
    return told | given


def reached(first: int, last: int, **given: Any) -> dict[str, Any]:
    """The same where ports ``first`` to ``last`` arrived, twice each."""
    arrived = 2 * (last - first + 1)
    return account(arrived=arrived, denied_in=200 - arrived, arrived_ports=[[first, last]], **given)


def sets(result: ScanResult) -> dict[str, str]:
    """Every state that has ports."""
    found = {state: getattr(result, state) for state in STATES}
    return {state: ports.render(each) for state, each in found.items() if each}


def test_silence_that_the_gates_account_for_is_filtered() -> None:
    """Nothing arrived, and every packet fell at a gate."""
    assert sets(judge(PAIR, "tcp", account())) == {"filtered": "1-100"}


def test_open_and_closed_are_told_apart() -> None:
    """A SYN-ACK and an RST both mean that the packet arrived."""
    result = judge(
        PAIR, "tcp", reached(21, 23, answered_open=[[22, 22]], answered_closed=[[21, 21], [23, 23]])
    )
    assert sets(result) == {"open": "22", "closed": "21,23", "filtered": "1-20,24-100"}
    assert result.reachable == ((21, 23),)
    assert not result.doubts


def test_answer_without_arrival_is_inconclusive() -> None:
    """The prober heard somebody, the target took in nothing: one of the two is wrong."""
    result = judge(PAIR, "tcp", account(answered_open=[[22, 22]]))
    assert sets(result) == {"filtered": "1-21,23-100", "inconclusive": "22"}
    assert "22 were answered, but the fabric saw nothing arrive" in result.doubts


def test_arrival_without_answer_is_inconclusive() -> None:
    """The target took it in and the prober heard nothing."""
    result = judge(PAIR, "tcp", reached(22, 22))
    assert sets(result) == {"filtered": "1-21,23-100", "inconclusive": "22"}


def test_silent_taker_of_datagrams_is_reachable() -> None:
    """UDP needs no answer: what arrived arrived."""
    result = judge(PAIR, "udp", reached(22, 23, answered_open=[[22, 22]]))
    assert sets(result) == {"open": "22", "closed": "23", "filtered": "1-21,24-100"}


def test_account_that_does_not_balance_proves_nothing() -> None:
    """One packet of 200 is nowhere: no verdict of this pair stands, and the numbers are told."""
    result = judge(PAIR, "tcp", account(denied_in=199))
    assert sets(result) == {"inconclusive": "1-100"}
    assert result.doubts[0].startswith("200 packets were sent but 199 accounted for")


def test_silence_that_no_gate_accounts_for_is_inconclusive() -> None:
    """Packets that fell elsewhere than at a gate say nothing of the gates."""
    result = judge(PAIR, "tcp", account(denied_in=150, other_drops=50))
    assert sets(result) == {"inconclusive": "1-100"}


def test_other_drops_beside_enough_of_the_gates_do_no_harm() -> None:
    """A packet asked once more may fall elsewhere as long as each silent port fell at a gate."""
    assert sets(judge(PAIR, "tcp", account(sent=203, other_drops=3))) == {"filtered": "1-100"}


def test_error_of_a_pair_leaves_nothing_standing() -> None:
    """A source that was lost half-way has proved nothing."""
    result = judge(PAIR, "tcp", account(), "droplet:1 lost its power")
    assert sets(result) == {"inconclusive": "1-100"}
    assert result.doubts == ("droplet:1 lost its power",)


def test_port_answered_in_two_ways_is_inconclusive() -> None:
    """Open in one pass and closed in the other is neither."""
    result = judge(PAIR, "tcp", reached(22, 22, answered_open=[[22, 22]], answered_closed=[[22, 22]]))
    assert sets(result)["inconclusive"] == "22"


def test_rejection_by_the_target_itself_means_that_it_was_reached() -> None:
    """The target's own filter rejects: the Cloud Firewall let it pass."""
    result = judge(PAIR, "tcp", reached(22, 22, answered_rejected=[[22, 22]]))
    assert sets(result) == {"closed": "22", "filtered": "1-21,23-100"}


@pytest.mark.parametrize("arrived", [True, False])
def test_icmp_has_no_ports(arrived: bool) -> None:
    """One echo request stands for all of ICMP."""
    one = {"asked": [[1, 1]], "sent": 2}
    told = {"arrived": 2, "denied_in": 0, "answered_open": [[1, 1]], "arrived_ports": [[1, 1]]}
    result = judge(PAIR, "icmp", account(**one, **(told if arrived else {"denied_in": 2})))
    assert (result.open, result.filtered) == ((ALL, ()) if arrived else ((), ALL))


some = st.sets(st.integers(1, 100), max_size=8)


@given(some, some, some, some, st.integers(0, 3))
def test_every_port_is_in_exactly_one_state(
    arrived: set[int], opened: set[int], closed: set[int], rejected: set[int], lost: int
) -> None:
    """Whatever the evidence sources report, no port is left out and none is in two states."""
    told = account(
        arrived=2 * len(arrived),
        denied_in=200 - 2 * len(arrived) - lost,
        arrived_ports=[[each, each] for each in arrived],
        answered_open=[[each, each] for each in opened],
        answered_closed=[[each, each] for each in closed],
        answered_rejected=[[each, each] for each in rejected],
    )
    result = judge(PAIR, "tcp", told)
    assert result.probed == ((1, 100),)
    assert sum(ports.size(getattr(result, state)) for state in STATES) == 100
    assert all(port in arrived for first, last in result.reachable for port in range(first, last + 1))
    for port in range(1, 101):
        if lost == 0 and port in arrived and port in opened and port not in closed | rejected:
            assert ports.intersect(result.open, ((port, port),))
