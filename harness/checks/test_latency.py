"""Packets to one node are late for a while, by the emulator's links: the deployment lives with it.

Only an emulator on a kernel with netem can make links slow; elsewhere all of this is skipped and says so.
"""

from __future__ import annotations

import pytest

from harness.faults import link
from harness.faults.link import Quality
from harness.run.session import Session
from harness.topology.model import FrontDoor, Swarm
from harness.verify.disturbing import Note
from harness.verify.latency import Slow, candidate, run_slow_link

pytestmark = pytest.mark.disturbs(first=True)  # before submissions go on beside it

DELAY_MS = 20.0
AT_LEAST_MS, AT_MOST_MS = 15.0, 60.0  # a timer may be early by a tick, and a busy machine late by more


@pytest.fixture(scope="session")
def slow(session: Session) -> Slow:
    """One node, made slow once; all checks read the same."""
    if reason := link.refusal(session.target):
        pytest.skip(reason)
    node = candidate(session.topology)
    if not node:
        pytest.skip(f"topology {session.topology.name} has no droplet besides its bastion")
    return run_slow_link(session, node, Quality(delay_ms=DELAY_MS))


def test_round_trip_takes_as_much_longer(slow: Slow, note: Note) -> None:
    """A connection to the node takes the delay longer, for packets to it are late by that."""
    note(f"{slow.node}: {slow.before_ms:.1f} ms before, {slow.during_ms:.1f} ms while packets were late")
    assert AT_LEAST_MS <= slow.during_ms - slow.before_ms <= AT_MOST_MS


def test_members_stay_ready(slow: Slow, swarm: Swarm, note: Note) -> None:
    """A late heartbeat still counts: nobody is shown Down for as long as a silent node would take."""
    note(f"{slow.inspections} inspections of {len(swarm.managers)} managers and all workers")
    assert slow.inspections > 0
    assert slow.members == {}


def test_programs_are_accepted(slow: Slow, door: FrontDoor, note: Note) -> None:
    """Submitted at the front door while the node's packets are late."""
    note(f"{slow.accepted} programs through {door.node}")
    assert slow.trouble == ()
    assert slow.accepted > 0


def test_link_is_as_before(slow: Slow, session: Session, note: Note) -> None:
    """Its quality is perfect again, and a connection takes about as long as before."""
    note(f"{slow.node}: {slow.after_ms:.1f} ms afterwards")
    assert link.read(session.target, session.deployment)[slow.node] == link.PERFECT
    assert slow.after_ms - slow.before_ms < AT_LEAST_MS
