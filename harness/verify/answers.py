"""Does every worker answer correctly? Programs are submitted until that is shown with a given confidence.

A worker with a share p of wrong answers is missed by n correct ones with probability (1 - p)^n. Which
worker ran is known by fingerprints that both the programs and the worker's node can read. Where there is
none, n programs that w workers share equally miss such a worker with probability (1 - p / w)^n.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from harness.access.ssh import Access
from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.wait import SYSTEM_CLOCK, Clock, scaled
from harness.judge0.api import is_final
from harness.judge0.client import Judge0, batches
from harness.judge0.detect import Capabilities
from harness.judge0.reading import Submission
from harness.judge0.requests import submission
from harness.judge0.workers import named_nodes
from harness.run.session import Session
from harness.verify.programs import SOURCES, Program, fingerprints, programs, wrong
from harness.verify.swarm.workers import services_of

DEADLINE = 60.0
FEW = 0.1  # of the answers of each worker
IDLE = 15.0  # seconds in which a worker that works takes something, while others take all they can
PAUSE = 0.1
WRONG_SHOWN = 3
# The kernel's boot id, and each container's id, layer and name: a program that runs there can see them, too.
FINGERPRINTS = """\
cat /proc/sys/kernel/random/boot_id
for each in $(docker ps -q 2>/dev/null); do
  docker inspect -f '{{.Id}} {{.Config.Hostname}} {{.GraphDriver.Data.UpperDir}}' "$each"
done
true"""


@dataclass(frozen=True)
class Goal:
    """A worker with a wrong answer in ``share`` of all must be detected with probability ``confidence``."""

    share: float = 0.05
    confidence: float = 0.99

    @property
    def each(self) -> int:
        """How many correct answers of one worker that takes."""
        return needed(self.share, self.confidence)

    def pooled(self, workers: int) -> int:
        """How many of all, where ``workers`` share them equally and answers do not show their worker."""
        return needed(self.share / workers, self.confidence)


def needed(share: float, confidence: float) -> int:
    """How many correct answers it takes to miss a faulty worker with 1 - ``confidence`` at most."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share))


def noticed(share: float, answers: int) -> float:
    """The probability that at least one of so many answers of a faulty worker was wrong."""
    return -math.expm1(answers * math.log1p(-share))


@dataclass
class Tally:
    """The answers so far: how many by each worker, and descriptions of the wrong ones.

    ``workers`` maps each worker's node to the fingerprints that only it has. An answer that shows no worker
    counts under ""; ``unread`` are those of programs that ran, and so should have shown it.
    """

    workers: Mapping[str, Collection[str]]
    answers: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    wrong_answers: list[tuple[str, str]] = field(default_factory=list)

    def add(self, program: Program, answer: Submission | None) -> None:
        """Count one more answer."""
        place = self.worker_of(answer.stderr if answer else "")
        self.answers[place] += 1
        self.unread += not place and program.stdout is not None
        if problem := wrong(program, answer):
            self.wrong_answers.append((place, problem))

    def worker_of(self, text: str) -> str:
        """The worker with these fingerprints; empty: no worker, or several."""
        own = fingerprints(text)
        found = [name for name, known in self.workers.items() if own & frozenset(known)]
        return found[0] if len(found) == 1 else ""

    @property
    def names_workers(self) -> bool:
        """Whether any answer showed its worker."""
        return any(self.answers[name] for name in self.workers)

    def enough(self, goal: Goal) -> bool:
        """Whether every worker has as many answers as the goal asks for."""
        if self.names_workers:
            return all(self.answers[name] >= goal.each for name in self.workers)
        return self.answers.total() >= goal.pooled(len(self.workers))

    def idle(self, goal: Goal) -> tuple[str, ...]:
        """The workers that answered nothing, while each other one has as many answers as the goal asks for.

        All take from one queue, in which more waits than the others run at once. None is known to be idle
        where more answers than a few could be of any.
        """
        others = [count for name, count in self.answers.items() if name in self.workers]
        if not others or min(others) < goal.each or self.unread > FEW * min(others):
            return ()
        return tuple(name for name in self.workers if not self.answers[name])

    def probability(self, goal: Goal) -> float:
        """The probability with which a faulty worker, whichever it is, was detected."""
        if self.names_workers:
            return noticed(goal.share, min(self.answers[name] for name in self.workers))
        return noticed(goal.share / len(self.workers), self.answers.total())


def describe(tally: Tally, goal: Goal) -> str:
    """The result in a sentence or two: evidence for the report."""
    count, faulty = tally.answers.total(), f"a worker with 1 wrong answer in {1 / goal.share:.0f}"
    right = f"{count} programs, {len(tally.wrong_answers) or 'none'} answered wrong"
    known = f"{faulty} is detected with a probability of {tally.probability(goal):.4f}"
    if len(tally.workers) == 1 or not tally.names_workers:
        alike = f", where each of {len(tally.workers)} takes as many" if len(tally.workers) > 1 else ""
        whose = " (which worker ran which is unknown)" if alike else ""
        return f"{right}{whose}; {known}{alike}"
    by = ", ".join(f"{name} {tally.answers[name]}" for name in tally.workers)
    unplaced = f", {tally.answers['']} that showed no worker" if tally.answers[""] else ""
    return f"{right}; by worker: {by}{unplaced}; {known} or more"


def describe_wrong(tally: Tally) -> str:
    """How many answers were wrong, of which workers, and the first few of them."""
    by = Counter(place for place, _ in tally.wrong_answers)
    whose = ", ".join(
        f"{count} of {tally.answers[name]} {'by ' + name if name else 'that showed no worker'}"
        for name, count in by.items()
    )
    first = "; ".join(problem for _, problem in tally.wrong_answers[:WRONG_SHOWN])
    wrong = f"{len(tally.wrong_answers)} of {tally.answers.total()}"
    return f"{wrong} programs were answered wrong ({whose}): {first}"


def worker_nodes(session: Session) -> tuple[str, ...]:
    """The nodes that run programs: those that the topology names; in a swarm, those where a task runs now."""
    topology = session.topology
    if services := services_of(topology):
        from harness.swarm.reach import running

        found = (running(session.access, topology, session.deployment, each) for each in services)
        return tuple(sorted({task.node for tasks in found for task in tasks}))
    return named_nodes(topology)


def workers_of(access: Access, nodes: Collection[str]) -> dict[str, frozenset[str]]:
    """The fingerprints that each node alone has."""
    return distinct({node: fingerprints(access.run(node, FINGERPRINTS)) for node in nodes})


def distinct(found: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Each node's fingerprints without those of others: machines of an emulator share a kernel."""
    times = Counter(mark for each in found.values() for mark in frozenset(each))
    return {name: frozenset(mark for mark in each if times[mark] == 1) for name, each in found.items()}


def unnamed(count: int) -> dict[str, frozenset[str]]:
    """So many workers without names, which nothing distinguishes."""
    return {f"worker {number}": frozenset() for number in range(1, count + 1)}


@dataclass(frozen=True)
class Pace:
    """How many submissions are created at once, and how many may be in progress."""

    batch: int = 20
    most: int = 40


def pace_of(capabilities: Capabilities) -> Pace:
    """What this Judge0 allows: batches where it has them, and no more than half of its queue."""
    room = max((capabilities.queue_limit or 100) // 2, 1)
    batch = min(capabilities.batch_limit if capabilities.batches else 1, room)
    return Pace(batch, min(max(2 * batch, 2 * (capabilities.slots or 1)), room))


def examine(
    judge0: Judge0,
    capabilities: Capabilities,
    tally: Tally,
    goal: Goal,
    *,
    seed: str,
    deadline: float = DEADLINE,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Submit until every worker has enough answers, and wait for the rest; at most ``deadline`` s.

    ``seed`` makes the programs. Raises ``CheckFailedError`` where any was answered wrong, or a worker took
    none for 15 s, else ``InconclusiveError`` where time was up before, or Judge0 has no language that there
    is a program in.
    """
    course, begun = _Run(judge0, capabilities, tally, seed), clock.monotonic()
    over, late = begun + scaled(deadline), begun + scaled(IDLE)
    while not tally.enough(goal) or course.under_way:
        if clock.monotonic() >= (late if tally.idle(goal) else over):
            break
        if not course.step(more=not tally.enough(goal)):
            clock.sleep(PAUSE)
    if tally.wrong_answers:
        raise CheckFailedError(describe_wrong(tally))
    if idle := tally.idle(goal):
        raise CheckFailedError(f"no program ran on {' and '.join(idle)}: {describe(tally, goal)}")
    if not tally.enough(goal) or course.under_way:
        raise InconclusiveError(
            f"after {deadline:g} s: {describe(tally, goal)}; {_missing(tally, goal)}, "
            f"{len(course.under_way)} had not ended"
        )


class _Run:
    """The submissions in progress, oldest first."""

    def __init__(self, judge0: Judge0, capabilities: Capabilities, tally: Tally, seed: str) -> None:
        self.under_way: dict[str, Program] = {}
        self._judge0, self._ids, self._tally = judge0, capabilities.ids, tally
        self._pace, self._offered = pace_of(capabilities), programs(seed, capabilities.ids)
        self._waiting: list[Program] = []

    def step(self, *, more: bool) -> bool:
        """Create a batch if the pace allows, and fetch the oldest. Returns whether anything happened."""
        return (more and self._create()) | self._fetch()

    def _create(self) -> bool:
        if len(self.under_way) + self._pace.batch > self._pace.most:
            return False
        self._waiting += islice(self._offered, self._pace.batch - len(self._waiting))
        if not self._waiting:
            raise InconclusiveError(f"Judge0 has none of the languages of our programs: {', '.join(SOURCES)}")
        tokens = self._judge0.create_many([self._body(each) for each in self._waiting])
        if tokens is None:
            return False
        self.under_way |= dict(zip(tokens, self._waiting, strict=True))
        self._waiting = []
        return True

    def _body(self, program: Program) -> Mapping[str, Any]:
        return submission(program.source, self._ids[program.language], **program.extra)

    def _fetch(self) -> bool:
        """Fetch all of them, for one that never ends must not hide those behind it."""
        ended = [each for part in batches(list(self.under_way)) for each in self._ended(part)]
        for token, answer in ended:
            self._tally.add(self.under_way.pop(token), answer)
        return bool(ended)

    def _ended(self, tokens: Sequence[str]) -> list[tuple[str, Submission | None]]:
        looked = zip(tokens, self._judge0.fetch(tokens), strict=True)
        return [(token, answer) for token, answer in looked if answer is None or is_final(answer.status)]


def _missing(tally: Tally, goal: Goal) -> str:
    if tally.names_workers:
        return f"each takes {goal.each} answers"
    return f"that takes {goal.pooled(len(tally.workers))} answers"
