"""What nginx's configuration says of its upstreams, and whether counts agree with it."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from harness.core.errors import InconclusiveError
from harness.verify.balancer.balance import Balance, enough, parse, slack, took, wrong

A, B = "10.0.0.1:2358", "10.0.0.2:2358"
CONFIG = """\
http {
    upstream judge0 {
        zone judge0 64k;   # server 9.9.9.9:1;
        server 10.0.0.1:2358 weight=3 max_fails=1;
        server 10.0.0.2:2358 max_fails=1 fail_timeout=5s;
        server 10.0.0.3:2358 backup;
    }
    upstream other {
        least_conn;
        server 10.0.0.9:80;
    }
    server { listen 2358; }
}
"""
EVEN = Balance("judge0", {A: 1, B: 1})


def test_weights_methods_and_spares_are_read() -> None:
    """Comments count for nothing, and ``server`` blocks outside are no upstreams."""
    judge0, other = parse(CONFIG)
    assert judge0 == Balance("judge0", {A: 3, B: 1}, "round robin", ("10.0.0.3:2358",))
    assert (other.method, dict(other.weights)) == ("least_conn", {"10.0.0.9:80": 1})
    assert dict(judge0.share) == {A: 0.75, B: 0.25}


@pytest.mark.parametrize(
    ("counts", "fine"),
    [({A: 10, B: 10}, True), ({A: 11, B: 10}, True), ({A: 11, B: 9}, False), ({A: 20}, False)],
)
def test_round_robin_is_exact(counts: dict[str, int], fine: bool) -> None:
    """Whole rounds leave no remainder; a cut one leaves one request."""
    assert (wrong(EVEN, counts) == "") is fine


def test_a_server_that_is_none_is_named() -> None:
    """Requests that went elsewhere are a fault, however even."""
    assert "10.0.0.7:2358 took requests" in wrong(EVEN, {A: 5, B: 5, "10.0.0.7:2358": 1})


def test_chance_has_its_bound() -> None:
    """A fair draw passes over and over, one that never picks a server does not."""
    chosen = Balance("judge0", {A: 1, B: 1}, "random")
    total, draw = enough(chosen), random.Random(3)
    for _ in range(200):
        assert wrong(chosen, Counter(draw.choice([A, B]) for _ in range(total))) == ""
    assert wrong(chosen, {A: total}) != ""
    assert 0 < slack(chosen, total) < total / 2


def test_what_sticks_shows_nothing() -> None:
    """With ip_hash all requests of a client go to one server, rightly."""
    with pytest.raises(InconclusiveError, match="by ip_hash"):
        wrong(Balance("judge0", {A: 1, B: 1}, "ip_hash"), {A: 20})


def test_the_server_that_answered_counts() -> None:
    """The one tried in vain before it does not, nor an address that only begins alike."""
    lines = [f"upstream={A}", f"upstream={A}, {B}", f"upstream=110.0.0.1:2358 {B}", "nothing", f"{A}9"]
    assert took(lines, [A, B]) == Counter({A: 1, B: 2})
