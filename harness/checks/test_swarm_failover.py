"""Members of a swarm lose their power or are cut off, one after the other, while programs are submitted.

The expected behaviour is derived from the topology (docs/failover.md): whether the service answers again
before the fault is healed, and whether lost tasks run elsewhere. In any case all is well afterwards, by
itself, and every accepted submission ended exactly once. All checks of a fault read one trial of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.faults.final_status import require_none_lost, require_room
from harness.faults.history import Entry
from harness.faults.measure import Sent
from harness.faults.run import FaultContext
from harness.faults.section import section
from harness.faults.steady import is_json_object
from harness.faults.trial import Trial
from harness.faults.trials import Trials
from harness.run.session import Session
from harness.target.api import Api
from harness.topology.model import FrontDoor
from harness.verify.disturbing import Note
from harness.verify.fixtures import Remark
from harness.verify.stash import SECTIONS

pytestmark = pytest.mark.disturbs

ENDS = ("ok", "fail", "info")  # kinds of entries
PARAMETERS = ("fault", "cut_off", "manager_lost")  # what checks ask for trials by


@pytest.fixture(scope="session")
def trials(request: pytest.FixtureRequest, session: Session, door: FrontDoor) -> Iterator[Trials]:
    """One trial of each fault, and all of them in the report."""
    sections, names = request.config.stash[SECTIONS], planned(request.session.items)
    with Api(session.target) as api:
        context = FaultContext(session, door, api)
        with closing(Trials(context, lambda made: sections.update(failover=section(made)), names)) as found:
            yield found


@pytest.fixture
def trial(trials: Trials, fault: str) -> Trial:
    """The trial of this fault."""
    return trials.of(fault)


def test_service_answers_again_or_says_that_it_does_not(trial: Trial, note: Note, remark: Remark) -> None:
    """If something of each service is left: before the fault is healed. Else refusals are clear."""
    found = trial.measured
    note(f"{trial.fault}: {describe(trial)}; {trial.expected.description}")
    if not trial.expected.controlled:
        remark(f"{trial.fault}: {trial.expected.description}")
    if not trial.expected.answers:
        assert refusals(trial) != [], f"nothing was refused without {', '.join(trial.fault.nodes)}"
        return
    if found.rto_s is None:
        require_room(each for each in trial.history if each.kind in ENDS)
        raise CheckFailedError(f"it did not answer again within {lasted(trial):.0f} s; {describe(trial)}")


def test_lost_tasks_run_elsewhere_or_nobody_decides(trial: Trial, note: Note) -> None:
    """With a majority of the managers the node is Down and its tasks run on others; else nothing moves."""
    if not trial.expected.visible:
        pytest.skip("the bastion is down, so no node can be inspected")
    found = trial.measured
    if trial.expected.controlled:
        note(f"Down after {found.detected_s} s, full after {found.full_s} s; {', '.join(trial.carried)}")
        if found.detected_s is None:
            raise CheckFailedError(f"not shown Down within {lasted(trial):.0f} s")
        if found.full_s is None:
            raise CheckFailedError(
                f"{', '.join(trial.carried)} not at full replicas within {lasted(trial):.0f} s"
            )
        return
    if not trial.control:
        raise CheckFailedError(f"{trial.leaders[1]} still leads without a majority")
    if trial.orphan is None:
        raise InconclusiveError("no task is left that could be ended: this shows nothing")
    task = trial.orphan.task
    note(f"{task.service}.{task.slot} was ended on {task.node}, and stayed so; {trial.control}")
    assert trial.orphan.others == (), f"{task.service}.{task.slot} was restarted without a majority"


def test_everything_is_as_before(trial: Trial, note: Note) -> None:
    """Nodes are Ready, services at their replicas, and programs are accepted, without a new deployment."""
    found = trial.measured
    note(f"Ready {found.ready_s} s, all as before {found.settled_s} s after the fault was to be healed")
    assert trial.trouble == ""


def test_no_accepted_submission_is_lost_or_ends_twice(trial: Trial, note: Note) -> None:
    """Each one that has a token has one final status, and its own output."""
    note(f"{trial.judgement}; {trial.pace}")
    require_none_lost(trial.judgement, trial.file)


def test_who_was_cut_off_went_on_and_ended(trials: Trials, cut_off: str, note: Note) -> None:
    """The old tasks ran there all the while beside the new ones, and are gone once the node is back."""
    trial = trials.of(cut_off)
    note(f"{len(trial.went_on)} containers went on")
    if not trial.went_on:
        raise InconclusiveError("nothing ran on the node while it was cut off: this shows nothing")
    assert trial.left_over == ()


def test_leadership_moves(trials: Trials, manager_lost: str, note: Note) -> None:
    """Where the manager that leads is lost and a majority is left, another one leads."""
    trial = trials.of(manager_lost)
    if not trial.expected.controlled:
        pytest.skip(f"no manager is left to take over: {trial.expected.description}")
    before, after = trial.leaders
    note(f"{before}, then {after}")
    assert after not in {"", before}


def planned(items: Iterable[pytest.Item]) -> tuple[str, ...]:
    """The faults for whose trials the chosen checks ask, in their order."""
    asking = (
        item.callspec.params
        for item in items
        if isinstance(item, pytest.Function) and "trials" in item.fixturenames and hasattr(item, "callspec")
    )
    names = (params[name] for params in asking for name in PARAMETERS if name in params)
    return tuple(dict.fromkeys(map(str, names)))


def refusals(trial: Trial) -> list[str]:
    """How programs were refused. Raises ``CheckFailedError`` where one was not, or not clearly."""
    ends = {each.op: each for each in trial.history if each.kind in ENDS}
    times = trial.times
    early = [
        (each, ends[each.op])
        for each in trial.submissions
        if times.in_force <= each.begun and each.ended is not None and each.ended <= times.observed
    ]
    return sorted({refusal(each, end) for each, end in early})


def refusal(submission: Sent, end: Entry) -> str:
    """One refusal. Without any entry point there is no answer, and a failed connection is clear."""
    if end.kind == "ok":
        raise CheckFailedError(f"submission {submission.op} was accepted without what it needs: {end}")
    if end.code and not (end.code >= 400 and is_json_object(end.said)):
        raise CheckFailedError(f"not an error in JSON: {end.code} {end.said[:300]}")
    return f"{end.code or 'no answer'} {end.said[:200].strip()}"


def describe(trial: Trial) -> str:
    """A trial in a line."""
    found = trial.measured
    again = "not answering again" if found.rto_s is None else f"answering again after {found.rto_s} s"
    return f"{again}, {found.gap_s} s without an accepted answer; {trial.judgement}"


def lasted(trial: Trial) -> float:
    """How long the fault was there, in seconds."""
    return trial.times.observed - trial.times.ordered
