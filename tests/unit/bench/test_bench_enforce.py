"""What packets say of how late a change was enforced."""

from __future__ import annotations

from tests.bench.enforce import NEW, OLD, Change, delays_of, table


def test_the_last_packet_judged_by_old_rules_tells_the_delay() -> None:
    """Only packets sent between the answer and the next change count."""
    changes = [Change(NEW, 1.0, 1.1, 1.2), Change(OLD, 2.0, 2.1, 2.2)]
    sent = [
        (1.05, OLD),
        (1.11, OLD),
        (1.12, NEW),
        (1.13, OLD),
        (1.15, NEW),
        (2.05, NEW),
        (2.3, NEW),
        (2.4, OLD),
    ]
    came = [0, 1, 4, 5, 6, 7]
    assert delays_of(changes, sent, came) == {
        "enforced_ms": [20.0, 200.0],
        "said_ms": [100.0, 100.0],
        "late_packets": [0.0, 1.0],
    }


def test_the_table_says_when_the_promise_is_missed() -> None:
    """A single change that came too late is enough."""
    kept = {"enforced_ms": [0.0, 12.0], "said_ms": [9.0, 30.0], "late_packets": [0.0, 0.0]}
    assert "MISSED" not in table(kept)
    assert "MISSED" in table({**kept, "enforced_ms": [0.0, 101.0]})
