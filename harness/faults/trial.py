"""One fault from beginning to end: programs are handed in, nodes are away, come back, and all is as before.

``run_trial`` is the whole of it; what it returns is only read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness.core.errors import ResourceError, WaitTimeoutError, WavetankError
from harness.core.wait import NotYet, wait_for
from harness.faults import orphan
from harness.faults.expected import Expectation, doors, expect
from harness.faults.fault import POWER_OFF, Fault, carried, leaders, resolve
from harness.faults.history import Entry, Judgement
from harness.faults.measure import STEADY, Measured, Sent, answers_again, known_until, measure, sent
from harness.faults.orphan import Orphan
from harness.faults.run import FaultContext, Times, run_fault
from harness.faults.watch import Look, Watch, is_full, seconds_until_down, shown_down, unsettled
from harness.faults.workload import FIRST_ANSWERS, Source, Workload, handing_in
from harness.swarm import snapshot
from harness.swarm.converge import State

T = TypeVar("T")

SETTLED_SECONDS = 180.0
WATCH_SECONDS = 90.0
AGAIN_SECONDS = 60.0
PAUSE = 0.4
# Longer than a program takes whose worker died, until another worker has run it.
ANSWER_SECONDS = 45.0
QUORUM_SECONDS, ASKED_SECONDS = 60.0, 5.0


@dataclass(frozen=True)
class Trial:
    """What was seen of one fault.

    ``carried``: the services that had tasks on the nodes. ``file`` has the history. ``leaders``: who led
    before, and while it lasted, empty where nobody could be asked. ``control``: what managers said that had
    no majority. ``orphan``: the task that was ended where nothing is rescheduled. ``went_on``: containers of
    a cut-off node that still ran there just before it was let in again, and ``left_over``: those that did
    when all was well. ``trouble``: why it was not well again in time, or empty.
    """

    name: str
    number: int
    fault: Fault
    carried: tuple[str, ...]
    expected: Expectation
    times: Times
    history: tuple[Entry, ...]
    judgement: Judgement
    file: Path
    looks: tuple[Look, ...]
    leaders: tuple[str, str] = ("", "")
    control: str = ""
    orphan: Orphan | None = None
    went_on: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def submissions(self) -> tuple[Sent, ...]:
        """Every program that was handed in, and what came of it."""
        return sent(self.history, self.judgement)

    @property
    def measured(self) -> Measured:
        """The times of it."""
        return measure(
            self.times,
            self.submissions,
            self.looks,
            self.fault.nodes,
            self.expected.room,
            lost_any=bool(self.carried),
        )


def run_trial(context: FaultContext, name: str, number: int = 1) -> Trial:
    """Bring one fault about, watch, heal it, and wait until all is as before.

    ``name``: one of ``fault.names``; ``number``: which trial of it, for the names of files. Raises
    ``WavetankError`` where the swarm was not well to begin with or the fault could not be made or healed,
    ``InconclusiveError`` where it is none of this swarm. The nodes are back in any case.
    """
    setup = context.setup
    watch = Watch(setup.access, setup.topology, setup.deployment)
    before = well(watch)
    fault = resolve(name, setup.topology, before)
    expected = expect(setup.topology, fault, before)
    source = Source(setup.target, context.door, _address(context, fault), ANSWER_SECONDS)
    file = setup.choice.run_dir.path / f"history-{name.replace(':', '-')}-{number}.jsonl"
    with handing_in(source, file) as workload:
        workload.await_first_answers()
        course = Course(context, fault, expected, before, watch=watch, workload=workload)
        times = run_fault(context, fault, course.last, course.come_back)
        judgement = workload.judged(context.judge0)
    return Trial(
        name=name,
        number=number,
        fault=fault,
        carried=carried(before, fault.nodes),
        expected=expected,
        times=times,
        history=workload.entries(),
        judgement=judgement,
        file=file,
        looks=tuple(watch.looks),
        leaders=(_leader(before), course.leader),
        control=course.control,
        orphan=course.orphan,
        went_on=course.went_on,
        left_over=course.still_there() if not course.trouble else (),
        trouble=course.trouble,
    )


def well(watch: Watch) -> State:
    """Wait until nothing is wrong with the swarm. Raises ``WaitTimeoutError`` with what is."""

    def probe() -> State:
        seen = watch.look()
        if seen.state is None:
            raise NotYet(seen.said)
        if missing := unsettled(seen.state):
            raise NotYet("; ".join(missing))
        return seen.state

    return wait_for("the swarm to be well", probe, deadline=SETTLED_SECONDS, max_pause=PAUSE)


class Course:
    """What is done, and noted, while a fault lasts and after it."""

    def __init__(
        self,
        context: FaultContext,
        fault: Fault,
        expected: Expectation,
        before: State,
        *,
        watch: Watch,
        workload: Workload,
    ) -> None:
        self.leader = self.control = self.trouble = ""
        self.orphan: Orphan | None = None
        self.went_on: tuple[str, ...] = ()
        self._setup, self._fault, self._before, self._watch = context.setup, fault, before, watch
        self._expected, self._workload = expected, workload
        self._away = fault.nodes

    def last(self, ordered: float) -> float:
        """Return when everything that is expected of the fault was seen, or its time is up.

        What is returned is the time until which the service was to answer, for then more may be broken.
        """
        if not self._expected.visible:
            self._wait_unseen(ordered)
        elif self._expected.controlled:
            self._wait_for_replacement(ordered)
        else:
            self._hear_the_managers()
        observed = None
        if self._expected.answers:
            observed = _in_vain("programs to be taken", lambda: _answering(self._workload, ordered))
        observed = observed or known_until(sent(self._workload.entries()), time.time())
        if self._expected.visible and not self._expected.controlled:
            self._show_that_nothing_is_rescheduled()
        self.went_on = self.still_there()
        return observed

    def come_back(self, healed: float) -> None:
        """Wait until all is as before the fault; ``trouble`` is what is not, in words."""
        access = self._setup.access
        for node in access.nodes if access.bastion in self._away else self._away:
            access.drop(node)
        try:
            well(self._watch)
            wait_for(
                "programs to be taken",
                lambda: _accepting(self._workload, healed),
                deadline=AGAIN_SECONDS,
                max_pause=PAUSE,
            )
        except WavetankError as error:
            self.trouble = str(error)

    def still_there(self) -> tuple[str, ...]:
        """Of the containers that ran on nodes that are cut off, those that still do."""
        if self._fault.kind == POWER_OFF:
            return ()
        ran = {each.container for each in self._before.tasks if each.node in self._away and each.container}
        return tuple(sorted(ran & orphan.containers(self._setup.access, self._away)))

    def _wait_for_replacement(self, ordered: float) -> None:
        lost = carried(self._before, self._away)

        def probe() -> None:
            seen = self._watch.look(self._away)
            if seen.state is None:
                raise NotYet(seen.said)
            self.leader = _leader(seen.state) or self.leader
            if not shown_down(seen.state, self._away):
                raise NotYet(f"{', '.join(self._away)} not shown Down")
            if lost and not is_full(seen.state, self._expected.room, self._away):
                raise NotYet(f"what ran there ({', '.join(lost)}) does not run elsewhere")
            if self._expected.answers:
                _answering(self._workload, ordered)

        _in_vain("lost tasks to run elsewhere", probe)

    def _wait_unseen(self, ordered: float) -> None:
        """There is no way in: let the managers notice, and some submissions meet it."""
        seconds = seconds_until_down(self._setup.topology.swarm)
        self._watch.look(self._away)

        def probe() -> None:
            gone = time.time() - ordered
            ended = [each for each in sent(self._workload.entries()) if each.begun > ordered and each.ended]
            if gone < seconds or len(ended) < STEADY:
                raise NotYet(f"{gone:.0f} s have passed, and {len(ended)} submissions have ended")

        _in_vain("managers to notice", probe)

    def _hear_the_managers(self) -> None:
        """Without a majority they say so, but a leader that is left alone leads on for a while."""
        setup = self._setup
        self._watch.look(self._away)

        def probe() -> str:
            try:
                self.leader = snapshot.a_manager(setup.access, setup.topology, deadline=ASKED_SECONDS)
            except ResourceError as error:
                self.leader = ""
                return str(error)
            raise NotYet(f"{self.leader} still answers as one that has a leader")

        with suppress(WaitTimeoutError):
            self.control = wait_for("quorum to be missed", probe, deadline=QUORUM_SECONDS, max_pause=PAUSE)

    def _show_that_nothing_is_rescheduled(self) -> None:
        """A task that ends stays ended."""
        setup = self._setup
        task = orphan.choose(setup.topology, self._before, self._away)
        if task is not None:
            self.orphan = orphan.end(setup.access, setup.topology, self._before, task, self._away)


def _answering(workload: Workload, ordered: float) -> float:
    """Until when submissions are served again. Raises ``NotYet``."""
    all_ = sent(workload.entries())
    until = known_until(all_, time.time())
    if answers_again(all_, ordered, until) is None:
        raise NotYet("submissions are not all served")
    return until


def _accepting(workload: Workload, since: float) -> None:
    found = [each for each in sent(workload.entries()) if each.begun > since and each.outcome == "accepted"]
    if len(found) < FIRST_ANSWERS:
        raise NotYet(f"{len(found)} accepted since then")


def _in_vain(awaited: str, probe: Callable[[], T]) -> T | None:
    """Wait, and let what was measured tell where it was in vain: None then."""
    with suppress(WaitTimeoutError):
        return wait_for(awaited, probe, deadline=WATCH_SECONDS, max_pause=PAUSE)
    return None


def _address(context: FaultContext, fault: Fault) -> str:
    """Of the doors that are left the first; where none is, the topology's own, which then is silent."""
    nodes = context.setup.deployment.nodes
    left = [each for each in doors(context.setup.topology, fault.nodes) if nodes[each].public_ip]
    return nodes[left[0] if left else context.door.node].public_ip or ""


def _leader(state: State) -> str:
    return next(iter(leaders(state)), "")
