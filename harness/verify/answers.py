"""Does every worker answer right? Programs are handed in until each worker is known to within a probability.

A worker that lies in a share p of its answers was missed by n right ones with probability (1 - p)^n. Which
worker ran which is told by marks that the programs see and the worker's node knows, too. Where none is told,
n programs that w workers share alike miss such a worker with probability (1 - p / w)^n.
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
from harness.verify.programs import SOURCES, Program, marks, programs, wrong
from harness.verify.setup import Setup
from harness.verify.swarm.workers import services_of

DEADLINE = 60.0
PAUSE = 0.1
LIES_TOLD = 3
# The kernel's boot, and each container with its layer and its name: what a program there may see, too.
MARKS = """\
cat /proc/sys/kernel/random/boot_id
for each in $(docker ps -q 2>/dev/null); do
  docker inspect -f '{{.Id}} {{.Config.Hostname}} {{.GraphDriver.Data.UpperDir}}' "$each"
done
true"""


@dataclass(frozen=True)
class Goal:
    """A worker that lies in ``share`` of its answers is to be noticed with probability ``confidence``."""

    share: float = 0.05
    confidence: float = 0.99

    @property
    def each(self) -> int:
        """How many right answers of one worker that takes."""
        return needed(self.share, self.confidence)

    def pooled(self, workers: int) -> int:
        """How many of all, where ``workers`` share them alike and nobody tells whose is whose."""
        return needed(self.share / workers, self.confidence)


def needed(share: float, confidence: float) -> int:
    """After how many right answers a liar in ``share`` of them was missed with 1 - ``confidence`` at most."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-share))


def noticed(share: float, answers: int) -> float:
    """The probability that at least one of so many answers of such a liar was a lie."""
    return -math.expm1(answers * math.log1p(-share))


@dataclass
class Tally:
    """What came back so far: answers by the worker that gave them, and what was wrong with some, in words.

    ``workers`` maps each worker's node to the marks that only it has. An answer that tells no place counts
    under "".
    """

    workers: Mapping[str, Collection[str]]
    answers: Counter[str] = field(default_factory=Counter)
    lies: list[tuple[str, str]] = field(default_factory=list)

    def add(self, program: Program, told: Submission | None) -> None:
        """One answer more."""
        place = self.place(told.stderr if told else "")
        self.answers[place] += 1
        if problem := wrong(program, told):
            self.lies.append((place, problem))

    def place(self, text: str) -> str:
        """The worker whose marks these are; empty: nobody's, or several ones'."""
        seen = marks(text)
        found = [name for name, own in self.workers.items() if seen & frozenset(own)]
        return found[0] if len(found) == 1 else ""

    @property
    def tells_places(self) -> bool:
        """Whether any answer told its worker."""
        return any(self.answers[name] for name in self.workers)

    def enough(self, goal: Goal) -> bool:
        """Whether every worker is known as well as the goal asks for."""
        if self.tells_places:
            return all(self.answers[name] >= goal.each for name in self.workers)
        return self.answers.total() >= goal.pooled(len(self.workers))

    def probability(self, goal: Goal) -> float:
        """With which a liar among the workers, whichever it is, was noticed."""
        if self.tells_places:
            return noticed(goal.share, min(self.answers[name] for name in self.workers))
        return noticed(goal.share / len(self.workers), self.answers.total())


def describe(tally: Tally, goal: Goal) -> str:
    """What was seen, in a sentence or two: evidence for the report."""
    count, liar = tally.answers.total(), f"a worker that lies in 1 of {1 / goal.share:.0f} answers"
    right = f"{count} programs, {len(tally.lies) or 'none'} answered wrong"
    known = f"{liar} is noticed with a probability of {tally.probability(goal):.4f}"
    if len(tally.workers) == 1 or not tally.tells_places:
        alike = f", where each of {len(tally.workers)} takes as many" if len(tally.workers) > 1 else ""
        whose = " (which worker ran which is not told)" if alike else ""
        return f"{right}{whose}; {known}{alike}"
    by = ", ".join(f"{name} {tally.answers[name]}" for name in tally.workers)
    unplaced = f", {tally.answers['']} that told no place" if tally.answers[""] else ""
    return f"{right}; by worker: {by}{unplaced}; {known} or more"


def describe_lies(tally: Tally) -> str:
    """How many answers were wrong, whose, and the first few of them."""
    by = Counter(place for place, _ in tally.lies)
    whose = ", ".join(
        f"{count} of {tally.answers[name]} {'by ' + name if name else 'that told no place'}"
        for name, count in by.items()
    )
    first = "; ".join(problem for _, problem in tally.lies[:LIES_TOLD])
    return f"{len(tally.lies)} of {tally.answers.total()} programs were answered wrong ({whose}): {first}"


def worker_nodes(setup: Setup) -> tuple[str, ...]:
    """The nodes that run programs: those that the topology names; in a swarm, those where a task runs now."""
    topology = setup.topology
    if services := services_of(topology):
        from harness.swarm.reach import running

        found = (running(setup.access, topology, setup.deployment, each) for each in services)
        return tuple(sorted({task.node for tasks in found for task in tasks}))
    return topology.checks.judge0.workers if topology.checks.judge0 else ()


def workers_of(access: Access, nodes: Collection[str]) -> dict[str, frozenset[str]]:
    """The marks that each node alone has."""
    return distinct({node: marks(access.run(node, MARKS)) for node in nodes})


def distinct(seen: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Each one's marks without those that another has as well: machines of an emulator share a kernel."""
    times = Counter(mark for each in seen.values() for mark in frozenset(each))
    return {name: frozenset(mark for mark in each if times[mark] == 1) for name, each in seen.items()}


def unnamed(count: int) -> dict[str, frozenset[str]]:
    """So many workers that nobody has named, and that nothing tells apart."""
    return {f"worker {number}": frozenset() for number in range(1, count + 1)}


@dataclass(frozen=True)
class Pace:
    """How many are created at once, and how many may be under way."""

    batch: int = 20
    most: int = 40


def pace_of(capabilities: Capabilities) -> Pace:
    """What this Judge0 takes: batches where it has them, and no more than half of its queue."""
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
    """Hand in until every worker is known, and wait for what is under way then; at most ``deadline`` s.

    ``seed`` makes the programs. Raises ``CheckFailedError`` where any was answered wrong, else
    ``InconclusiveError`` where time was up before, or Judge0 has no language that there is a program in.
    """
    course, over = _Course(judge0, capabilities, tally, seed), clock.monotonic() + scaled(deadline)
    while not tally.enough(goal) or course.under_way:
        if clock.monotonic() >= over:
            break
        if not course.step(more=not tally.enough(goal)):
            clock.sleep(PAUSE)
    if tally.lies:
        raise CheckFailedError(describe_lies(tally))
    if not tally.enough(goal) or course.under_way:
        raise InconclusiveError(
            f"after {deadline:g} s: {describe(tally, goal)}; {_missing(tally, goal)}, "
            f"{len(course.under_way)} had not ended"
        )


class _Course:
    """What is under way, oldest first."""

    def __init__(self, judge0: Judge0, capabilities: Capabilities, tally: Tally, seed: str) -> None:
        self.under_way: dict[str, Program] = {}
        self._judge0, self._ids, self._tally = judge0, capabilities.ids, tally
        self._pace, self._offered = pace_of(capabilities), programs(seed, capabilities.ids)
        self._waiting: list[Program] = []

    def step(self, *, more: bool) -> bool:
        """Create a batch where there is room, and look at the oldest. Whether anything came of it."""
        return (more and self._create()) | self._look()

    def _create(self) -> bool:
        if len(self.under_way) + self._pace.batch > self._pace.most:
            return False
        self._waiting += islice(self._offered, self._pace.batch - len(self._waiting))
        if not self._waiting:
            raise InconclusiveError(
                f"Judge0 has no language that there are programs in: {', '.join(SOURCES)}"
            )
        tokens = self._judge0.create_many([self._body(each) for each in self._waiting])
        if tokens is None:
            return False
        self.under_way |= dict(zip(tokens, self._waiting, strict=True))
        self._waiting = []
        return True

    def _body(self, program: Program) -> Mapping[str, Any]:
        return submission(program.source, self._ids[program.language], **program.extra)

    def _look(self) -> bool:
        """At all of them, for one that never ends must not hide those behind it."""
        ended = [each for part in batches(list(self.under_way)) for each in self._ended(part)]
        for token, told in ended:
            self._tally.add(self.under_way.pop(token), told)
        return bool(ended)

    def _ended(self, tokens: Sequence[str]) -> list[tuple[str, Submission | None]]:
        looked = zip(tokens, self._judge0.look(tokens), strict=True)
        return [(token, told) for token, told in looked if told is None or is_final(told.status)]


def _missing(tally: Tally, goal: Goal) -> str:
    if tally.tells_places:
        return f"each takes {goal.each} answers"
    return f"that takes {goal.pooled(len(tally.workers))} answers"
