"""One fault from beginning to end: programs are submitted, nodes are down, come back, and all is as before.

``run_trial`` does all of it; its result is only read. Its three parts are ``prepared``, before the fault,
``inject``, until all is as before, and ``Recovered.judged``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from harness.core.errors import ResourceError, WaitTimeoutError, WavetankError
from harness.core.wait import NotYet, wait_for
from harness.faults import orphan
from harness.faults.expected import Expectation, entry_points, expect
from harness.faults.fault import POWER_OFF, Fault, carried, leaders, resolve
from harness.faults.history import Entry, Judgement
from harness.faults.measure import STEADY, Measured, Sent, answers_again, known_until, measure, sent
from harness.faults.orphan import Orphan
from harness.faults.pace import UNMEASURED, Pace
from harness.faults.run import FaultContext, Times, run_fault
from harness.faults.watch import Snapshot, Watch, is_at_capacity, seconds_until_down, shown_down, unsettled
from harness.faults.workload import FIRST_ANSWERS, Source, Workload, submitting
from harness.swarm import snapshot
from harness.swarm.converge import State

T = TypeVar("T")

SETTLED_SECONDS = 180.0
WATCH_SECONDS = 90.0
AGAIN_SECONDS = 60.0
PAUSE = 0.4
# Longer than it takes until another worker has run a program whose worker died.
ANSWER_SECONDS = 45.0
QUORUM_SECONDS, ASKED_SECONDS = 60.0, 5.0


@dataclass(frozen=True)
class Trial:
    """What was observed of one fault.

    ``carried``: the services that had tasks on the nodes. ``file`` has the history, ``pace`` is that of the
    submissions. ``leaders``: who led before, and while it lasted, empty where nobody could be asked.
    ``control``: the answer of managers without a majority. ``orphan``: the task that was ended where nothing
    is rescheduled. ``went_on``: containers of a cut-off node that still ran there just before it was let back
    in, and ``left_over``: those that did so when all was well. ``trouble``: why it was not well again in
    time, or empty.
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
    snapshots: tuple[Snapshot, ...]
    pace: Pace = UNMEASURED
    leaders: tuple[str, str] = ("", "")
    control: str = ""
    orphan: Orphan | None = None
    went_on: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def submissions(self) -> tuple[Sent, ...]:
        """Every program that was submitted, and its outcome."""
        return sent(self.history, self.judgement)

    @property
    def measured(self) -> Measured:
        """The times of this trial."""
        return measure(
            self.times,
            self.submissions,
            self.snapshots,
            self.fault.nodes,
            self.expected.capacity,
            lost_any=bool(self.carried),
        )


@dataclass(frozen=True)
class Prepared:
    """What a fault needs: a swarm that was well (``before``), and programs that are submitted to it.

    ``entry`` is the node whose front door gets them.
    """

    name: str
    number: int
    before: State
    entry: str
    watch: Watch
    workload: Workload


@dataclass(frozen=True)
class Recovered:
    """A fault that is over: nothing more is submitted, and all is as before, unless there is ``trouble``.

    The last programs may still have to be answered. ``carried`` and ``trouble``: as in ``Trial``.
    """

    fault: Fault
    carried: tuple[str, ...]
    trouble: str
    _context: FaultContext
    _ready: Prepared
    _expected: Expectation
    _times: Times
    _run: TrialRun

    def judged(self) -> Trial:
        """The whole trial: wait for the last answers, poll Judge0, and judge every submission."""
        ready, run = self._ready, self._run
        judgement = ready.workload.judged(self._context.judge0)
        return Trial(
            name=ready.name,
            number=ready.number,
            fault=self.fault,
            carried=self.carried,
            expected=self._expected,
            times=self._times,
            history=ready.workload.entries(),
            judgement=judgement,
            file=_history_file(self._context, ready.name, ready.number),
            snapshots=tuple(ready.watch.snapshots),
            pace=ready.workload.pace,
            leaders=(_leader(ready.before), run.leader),
            control=run.control,
            orphan=run.orphan,
            went_on=run.went_on,
            left_over=run.still_running() if not self.trouble else (),
            trouble=self.trouble,
        )


def run_trial(context: FaultContext, name: str, number: int = 1) -> Trial:
    """Inject one fault, observe, heal it, and wait until all is as before.

    ``name``: one of ``fault.names``; ``number``: which trial of it, for the names of files. Raises
    ``WavetankError`` where the swarm was not well at the beginning or the fault could not be injected or
    healed, ``InconclusiveError`` where this swarm has no such fault. The nodes are back in any case.
    """
    with prepared(context, name, number) as ready:
        return inject(context, ready).judged()


@contextmanager
def prepared(
    context: FaultContext, name: str, number: int = 1, *, at_once: bool = False
) -> Iterator[Prepared]:
    """Wait until the swarm is well, or require it ``at_once``, and submit programs until the block ends.

    The fault may be injected as soon as the block begins. Raises as ``run_trial`` does.
    """
    session = context.session
    watch = Watch(session.access, session.topology, session.deployment)
    before = await_healthy(watch, at_once=at_once)
    entry = _entry_point(context, resolve(name, session.topology, before))
    address = session.deployment.nodes[entry].public_ip or ""
    source = Source(session.target, context.door, address, ANSWER_SECONDS)
    with submitting(source, _history_file(context, name, number), pace=context.pace) as workload:
        workload.await_first_answers()
        yield Prepared(name, number, before, entry, watch, workload)


def renewed(context: FaultContext, ready: Prepared) -> Prepared | None:
    """The same with the swarm as it is now, once it is well; None where programs now go to another node."""
    before = await_healthy(ready.watch)
    entry = _entry_point(context, resolve(ready.name, context.session.topology, before))
    return replace(ready, before=before) if entry == ready.entry else None


def inject(context: FaultContext, ready: Prepared) -> Recovered:
    """Inject the fault, observe, heal it, wait until all is as before, and submit nothing more."""
    topology, before = context.session.topology, ready.before
    fault = resolve(ready.name, topology, before)
    expected = expect(topology, fault, before)
    run = TrialRun(context, fault, expected, ready)
    times = run_fault(context, fault, run.observe, run.recover)
    ready.workload.start_nothing_more()
    return Recovered(fault, carried(before, fault.nodes), run.trouble, context, ready, expected, times, run)


def await_healthy(watch: Watch, *, at_once: bool = False) -> State:
    """Wait until nothing is wrong with the swarm, or look once. Raises ``WaitTimeoutError`` with what is."""

    def probe() -> State:
        found = watch.inspect()
        if found.state is None:
            raise NotYet(found.error)
        if missing := unsettled(found.state):
            raise NotYet("; ".join(missing))
        return found.state

    deadline = 0.0 if at_once else SETTLED_SECONDS
    return wait_for("the swarm to be well", probe, deadline=deadline, max_pause=PAUSE)


class TrialRun:
    """What is done and recorded while a fault lasts and after it."""

    def __init__(self, context: FaultContext, fault: Fault, expected: Expectation, ready: Prepared) -> None:
        self.leader = self.control = self.trouble = ""
        self.orphan: Orphan | None = None
        self.went_on: tuple[str, ...] = ()
        self._session, self._fault, self._before = context.session, fault, ready.before
        self._watch, self._workload, self._entry = ready.watch, ready.workload, ready.entry
        self._expected, self._away = expected, fault.nodes
        self._in_force = 0.0

    def observe(self, ordered: float) -> float:
        """Wait until everything that is expected of the fault was observed, or its time is up.

        Returns the time until which the service had to answer, for after that more may be broken.
        """
        self._in_force = time.time()
        if not self._expected.visible:
            self._wait_without_access(ordered)
        elif self._expected.controlled:
            self._wait_for_replacement(ordered)
        else:
            self._query_managers()
        observed = None
        if self._expected.answers:
            observed = _wait_or_none("programs to be accepted", lambda: _answering(self._workload, ordered))
        observed = observed or known_until(sent(self._workload.entries()), time.time())
        if self._expected.visible and not self._expected.controlled:
            self._check_nothing_is_rescheduled()
        self.went_on = self.still_running()
        return observed

    def recover(self, healed: float) -> None:
        """Wait until all is as before the fault; ``trouble`` describes what is not."""
        access = self._session.access
        for node in access.nodes if access.bastion in self._away else self._away:
            access.drop(node)
        if self._fault.kind == POWER_OFF and self._entry in self._away:
            # A machine that lost its power knows nothing of its connections any more.
            self._workload.break_off(self._in_force)
        try:
            await_healthy(self._watch)
            wait_for(
                "programs to be accepted",
                lambda: _accepting(self._workload, healed),
                deadline=AGAIN_SECONDS,
                max_pause=PAUSE,
            )
        except WavetankError as error:
            self.trouble = str(error)

    def still_running(self) -> tuple[str, ...]:
        """The containers that ran on nodes that are cut off, and still do."""
        if self._fault.kind == POWER_OFF:
            return ()
        ran = {each.container for each in self._before.tasks if each.node in self._away and each.container}
        return tuple(sorted(ran & orphan.containers(self._session.access, self._away)))

    def _wait_for_replacement(self, ordered: float) -> None:
        lost = carried(self._before, self._away)

        def probe() -> None:
            found = self._watch.inspect(self._away)
            if found.state is None:
                raise NotYet(found.error)
            self.leader = _leader(found.state) or self.leader
            if not shown_down(found.state, self._away):
                raise NotYet(f"{', '.join(self._away)} not shown Down")
            if lost and not is_at_capacity(found.state, self._expected.capacity, self._away):
                raise NotYet(f"what ran there ({', '.join(lost)}) does not run elsewhere")
            if self._expected.answers:
                _answering(self._workload, ordered)

        _wait_or_none("lost tasks to run elsewhere", probe)

    def _wait_without_access(self, ordered: float) -> None:
        """No node can be reached: let the managers notice, and some submissions meet the fault."""
        seconds = seconds_until_down(self._session.topology.swarm)
        self._watch.inspect(self._away)

        def probe() -> None:
            gone = time.time() - ordered
            ended = [each for each in sent(self._workload.entries()) if each.begun > ordered and each.ended]
            if gone < seconds or len(ended) < STEADY:
                raise NotYet(f"{gone:.0f} s have passed, and {len(ended)} submissions have ended")

        _wait_or_none("managers to notice", probe)

    def _query_managers(self) -> None:
        """Managers without a majority say so, but a leader that is left alone leads on for a while."""
        session = self._session
        self._watch.inspect(self._away)

        def probe() -> str:
            try:
                self.leader = snapshot.a_manager(session.access, session.topology, deadline=ASKED_SECONDS)
            except ResourceError as error:
                self.leader = ""
                return str(error)
            raise NotYet(f"{self.leader} still answers as one that has a leader")

        with suppress(WaitTimeoutError):
            self.control = wait_for("quorum to be missed", probe, deadline=QUORUM_SECONDS, max_pause=PAUSE)

    def _check_nothing_is_rescheduled(self) -> None:
        """A task that ends stays ended."""
        session = self._session
        task = orphan.choose(session.topology, self._before, self._away)
        if task is not None:
            self.orphan = orphan.end(session.access, session.topology, self._before, task, self._away)


def _answering(workload: Workload, ordered: float) -> float:
    """The time until which submissions are served again. Raises ``NotYet``."""
    all_ = sent(workload.entries())
    until = known_until(all_, time.time())
    if answers_again(all_, ordered, until) is None:
        raise NotYet("submissions are not all served")
    return until


def _accepting(workload: Workload, since: float) -> None:
    found = [each for each in sent(workload.entries()) if each.begun > since and each.outcome == "accepted"]
    if len(found) < FIRST_ANSWERS:
        raise NotYet(f"{len(found)} accepted since then")


def _wait_or_none(awaited: str, probe: Callable[[], T]) -> T | None:
    """Wait; None where the time ran out, for then the measurements show it."""
    with suppress(WaitTimeoutError):
        return wait_for(awaited, probe, deadline=WATCH_SECONDS, max_pause=PAUSE)
    return None


def _entry_point(context: FaultContext, fault: Fault) -> str:
    """The first of the entry points that are left; if there is none, the topology's own, which is silent."""
    nodes = context.session.deployment.nodes
    left = [each for each in entry_points(context.session.topology, fault.nodes) if nodes[each].public_ip]
    return left[0] if left else context.door.node


def _history_file(context: FaultContext, name: str, number: int) -> Path:
    return context.session.choice.run_dir.path / f"history-{name.replace(':', '-')}-{number}.jsonl"


def _leader(state: State) -> str:
    return next(iter(leaders(state)), "")
