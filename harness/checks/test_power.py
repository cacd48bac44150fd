"""Nodes lose their power one after the other, by the API's droplet actions, while programs are submitted.

A droplet whose role has another droplet is redundant: its loss is survived. Any other is missed, and then the
front door says so. With power, all is as it was, by itself, and nothing that was accepted is lost.
A swarm's tasks move, so there it is ``swarm_failover`` that takes nodes away.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.faults.final_status import require_none_lost, require_room
from harness.faults.history import Entry
from harness.faults.steady import is_json_object
from harness.verify.disturbing import Note, Work
from harness.verify.outage import Outage

# First: a submission that hangs as its answer is lost with a node ends while other nodes lose their power.
pytestmark = pytest.mark.disturbs(first=True)

Ended = Sequence[tuple[Entry, Entry | None]]


@pytest.fixture
def outage(fallen: str, work: Work, note: Note) -> Outage:
    """The outage of these nodes."""
    found = work.outage(tuple(fallen.split("+")))
    note(str(found))
    return found


def test_what_is_left_works_or_says_what_is_wrong(outage: Outage, work: Work, note: Note) -> None:
    """Without a redundant node submissions go on; without another each is refused in time, with an error."""
    begun = outage.submissions
    if not begun:
        raise InconclusiveError(f"nothing was submitted: {outage}")
    ended = [end for _, end in begun if end is not None]
    if len(ended) < len(begun):
        raise CheckFailedError(f"{len(begun) - len(ended)} of {len(begun)} submissions hang: {outage}")
    if outage.survived:
        require_room(ended)
        note(f"{len(ended)} submitted meanwhile, all accepted")
        refused = [f"{each.code} {each.said[:300] or each.status}" for each in ended if not each.is_accepted]
        assert refused == [], f"{len(refused)} of {len(ended)} submissions, {outage}"
        return
    early = [(each, end) for each, end in begun if end is not None and end.at <= outage.times.healing]
    if not early:
        raise CheckFailedError(
            f"no answer before power was back, {outage.times.healing - outage.times.in_force:.0f} s: {outage}"
        )
    reasons = refusals(early, away=work.workload.door.node in outage.fault.nodes)
    note("; ".join(reasons))


def test_everything_is_back(outage: Outage) -> None:
    """Services, workers and the first submission: by themselves, without being deployed again."""
    assert outage.troubles == (), str(outage)


@pytest.mark.disturbs(last=True)
def test_walls_hold_again(outage: Outage, work: Work) -> None:
    """The firewalls of nodes that were off admit what they should and nothing else."""
    assert work.firewall_violations(outage) == (), str(outage)


@pytest.mark.needs("fallen")
@pytest.mark.disturbs(last=True)
def test_no_accepted_submission_is_lost(work: Work, note: Note) -> None:
    """Every submission accepted while nodes went off and on ended exactly once, and its status stays."""
    work.workload.stop()
    if not work.outages.results():
        raise InconclusiveError("no node lost its power: this shows nothing")
    found = work.workload.judged(work.context.judge0)
    long_runs = sum(sum(each.running.values()) for each in work.outages.results())
    note(f"{found}; {long_runs} ran on a node as it lost power; {work.workload.pace}; {work.workload.file}")
    require_none_lost(found, work.workload.file)


def refusals(early: Ended, *, away: bool) -> list[str]:
    """How submissions were refused. Raises ``CheckFailedError`` where one was not, or not clearly.

    ``away``: the front door itself has no power, so that nobody can answer at all.
    """
    reasons = set()
    for each, end in early:
        assert end is not None
        if end.kind == "ok":
            raise CheckFailedError(f"submission {each.op} was accepted without what it needs: {end}")
        if away:
            if end.code:
                raise CheckFailedError(f"{end.code} came from a front door without power: {end.said}")
            reasons.add(f"{end.said} after {end.at - each.at:.1f} s")
            continue
        if end.code < 400 or not is_json_object(end.said):
            what = f"{end.code} {end.said[:300]}" if end.code else end.said
            raise CheckFailedError(f"not an error in JSON: {what} after {end.at - each.at:.1f} s")
        reasons.add(f"{end.code} {end.said.strip()} after {end.at - each.at:.0f} s")
    return sorted(reasons)[:5]
