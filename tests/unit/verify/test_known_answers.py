"""Programs whose answers are known: the arithmetic against simulation, and liars that must be noticed."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import httpx
import pytest

from harness.core.errors import CheckFailedError, InconclusiveError
from harness.core.wait import FakeClock
from harness.judge0.client import Judge0
from harness.judge0.detect import Capabilities
from harness.judge0.reading import Submission
from harness.verify.answers import (
    Goal,
    Tally,
    describe,
    distinct,
    examine,
    needed,
    noticed,
    pace_of,
    unnamed,
)
from harness.verify.programs import BROKEN, Program, fingerprints, programs, wrong

GOAL = Goal(share=0.05, confidence=0.99)
IDS = {"bash": 46, "python": 71, "c": 50}
FINGERPRINTS = {"worker-1": "1" * 12, "worker-2": "2" * 12}
WORKERS = {name: frozenset({mark}) for name, mark in FINGERPRINTS.items()}
ENDS = {3: "Accepted", 4: "Wrong Answer", 6: "Compilation Error", 11: "Runtime Error (NZEC)"}
CAPABILITIES = Capabilities(
    kind="released", version="1.13.1", wait=True, wait_bypasses_queue=True, wait_looks_after=0.0,
    single_get_cached=1.0, callbacks=True, batches=True, batch_limit=20, queue_limit=100, timestamps=(),
    ids=IDS, slots=4, why="",
)  # fmt: skip


def right(program: Program, mark: str) -> Submission:
    """The answer of an honest worker that has this mark."""
    ran = program.stdout is not None
    return Submission(
        "t",
        program.statuses[0],
        f"{program.stdout}\n" if ran else "",
        description=ENDS[program.statuses[0]],
        stderr=f"{mark}\n" if ran else "",
        compile_output="" if ran else f"error: {program.quotes}",
    )


def flipped(told: Submission) -> Submission:
    """The same with another output, and the verdict that goes with that."""
    return told._replace(status=4, description=ENDS[4], stdout=f"{told.stdout.strip()}1\n", compile_output="")


def accepted(told: Submission) -> Submission:
    """Accepted, whatever it was."""
    return told._replace(status=3, description=ENDS[3])


@dataclass
class Fake:
    """A Judge0 with two workers, of which the second lies in a share of its answers."""

    share: float = 0.0
    lie: Callable[[Submission], Submission] = flipped
    tells: bool = True
    seed: int = 1
    full: int = 0
    batches: bool = True
    stuck: bool = False
    stuck_after: int | None = None
    idle: bool = False
    created: list[dict[str, Any]] = field(default_factory=list)
    expected: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._programs = programs("seed", IDS)

    @property
    def judge0(self) -> Judge0:
        """A client of it."""
        return Judge0(httpx.Client(base_url="http://judge0", transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self._create(request)
        if request.url.path == "/submissions/batch":
            if not self.batches:
                return httpx.Response(400, json={"error": "batched submissions are not allowed"})
            found = [self._told(token) for token in request.url.params["tokens"].split(",")]
            return httpx.Response(200, json={"submissions": found})
        return httpx.Response(200, json=self._told(request.url.path.rpartition("/")[2]))

    def _create(self, request: httpx.Request) -> httpx.Response:
        if self.full:
            self.full -= 1
            return httpx.Response(503, json={"error": "queue is full"})
        body = json.loads(request.content)
        tokens = [self._take(each) for each in body.get("submissions", [body])]
        return httpx.Response(201, json=tokens if "submissions" in body else tokens[0])

    def _take(self, body: dict[str, Any]) -> dict[str, str]:
        self.created.append(body)
        self.expected.append(next(self._programs))
        assert base64.b64decode(body["source_code"]).decode() == self.expected[-1].source
        return {"token": str(len(self.created) - 1)}

    def _told(self, token: str) -> dict[str, Any]:
        second = not self.idle and self.random.random() < 0.5
        mark = FINGERPRINTS["worker-2" if second else "worker-1"] if self.tells else ""
        told = right(self.expected[int(token)], mark)
        if second and self.random.random() < self.share:
            told = self.lie(told)
        stuck = self.stuck or (self.stuck_after is not None and int(token) >= self.stuck_after)
        status = {"id": 2, "description": "Processing"} if stuck else {
            "id": told.status, "description": told.description,
        }  # fmt: skip
        texts = {"stdout": told.stdout, "stderr": told.stderr, "compile_output": told.compile_output}
        return {"token": token, "status": status} | {k: encoded(v) for k, v in texts.items()}


class Ticking(FakeClock):
    """Each look at it takes a while, as a request does."""

    def monotonic(self) -> float:
        self.now += 0.05
        return self.now


def encoded(text: str) -> str:
    """As Judge0 sends it."""
    return base64.b64encode(text.encode()).decode()


def examined(
    fake: Fake, workers: dict[str, frozenset[str]] | None = None, *, clock: Ticking | None = None
) -> Tally:
    """What was counted once every worker was known."""
    tally = Tally(WORKERS if workers is None else workers)
    examine(fake.judge0, CAPABILITIES, tally, GOAL, seed="seed", clock=clock or Ticking())
    return tally


def test_it_takes_ninety_answers_to_know_a_worker() -> None:
    """A liar in 1 of 20 was missed by 90 with less than 1 in 100, and by 89 with more."""
    assert needed(0.05, 0.99) == 90
    assert noticed(0.05, 89) < 0.99 <= noticed(0.05, 90)
    assert noticed(0.05, 0) == 0.0
    assert noticed(1.0 - 1e-12, 1) == pytest.approx(1.0)


@pytest.mark.parametrize(("share", "answers"), [(0.05, 90), (0.025, 182), (0.2, 10)])
def test_the_closed_form_agrees_with_simulation(share: float, answers: int) -> None:
    """In 4,000 worlds with a liar, so many answers meet a lie as often as it says."""
    draw = random.Random(1)
    met = sum(any(draw.random() < share for _ in range(answers)) for _ in range(4000))
    assert met / 4000 == pytest.approx(noticed(share, answers), abs=0.01)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_pooled_form_agrees_with_simulation(workers: int) -> None:
    """One liar among workers that share the programs by chance."""
    draw, answers = random.Random(2), GOAL.pooled(workers)
    met = sum(
        any(draw.randrange(workers) == 0 and draw.random() < GOAL.share for _ in range(answers))
        for _ in range(2000)
    )
    assert met / 2000 >= GOAL.confidence - 0.01
    assert noticed(GOAL.share / workers, answers) >= GOAL.confidence


def test_honest_workers_are_each_known() -> None:
    """Each answered 90 at least, and the report says with which probability a liar was noticed."""
    tally = examined(Fake())
    assert tally.wrong_answers == []
    assert min(tally.answers[name] for name in WORKERS) >= 90
    told = describe(tally, GOAL)
    assert "by worker: worker-1" in told
    assert "a worker with 1 wrong answer in 20 is detected with a probability of 0.99" in told


@pytest.mark.parametrize("lie", [flipped, accepted], ids=["other-output", "always-accepted"])
@pytest.mark.parametrize("seed", range(10))
def test_a_liar_in_one_of_twenty_is_noticed_and_named(seed: int, lie: Callable[..., Submission]) -> None:
    """Whether it changes outputs or verdicts; about half of those are Accepted anyway, and no lie."""
    share = 0.05 if lie is flipped else 0.1
    with pytest.raises(CheckFailedError, match=r"answered wrong \(\d+ of \d+ by worker-2\)|showed no worker"):
        examined(Fake(share, lie, seed=seed))


def test_a_liar_is_missed_as_seldom_as_is_said() -> None:
    """Of 60 deployments with a liar two or more would pass in 1 of 8 series; with this seed none does."""
    missed = 0
    for seed in range(60):
        try:
            examined(Fake(0.05, seed=seed))
        except CheckFailedError:
            continue
        missed += 1
    assert missed <= 1


def test_workers_that_tell_no_place_are_known_together() -> None:
    """More programs then, and it is said what that assumes."""
    tally = examined(Fake(tells=False))
    assert tally.answers.total() >= GOAL.pooled(2) == 182
    assert "which worker ran which is unknown" in describe(tally, GOAL)
    assert "where each of 2 takes as many" in describe(tally, GOAL)


def test_a_liar_among_those_that_tell_no_place_is_noticed() -> None:
    """The pool as a whole answers for it."""
    with pytest.raises(CheckFailedError, match="showed no worker"):
        examined(Fake(0.05, tells=False))


def test_workers_that_nobody_names_are_as_many_as_judge0_knows() -> None:
    """Four slots may be four workers."""
    assert examined(Fake(), unnamed(4)).answers.total() >= GOAL.pooled(4)


def test_a_worker_that_answers_nothing_is_named() -> None:
    """It takes nothing from the queue that keeps the other one busy: a fault, whatever Docker says of it."""
    clock = Ticking()
    with pytest.raises(CheckFailedError, match=r"no program ran on worker-2: .*worker-1 \d+, worker-2 0"):
        examined(Fake(idle=True), clock=clock)
    assert 15 <= clock.now < 60


def test_a_worker_that_answers_nothing_is_not_known_while_the_others_answer_little() -> None:
    """Inconclusive, with what was reached: the others' answers say nothing of it."""
    tally = Tally({**WORKERS, "worker-3": frozenset({"3" * 12})}, Counter({"worker-1": 90, "worker-2": 89}))
    assert tally.idle(GOAL) == ()
    tally.answers["worker-2"] += 1
    assert tally.idle(GOAL) == ("worker-3",)
    tally.unread = 10
    assert tally.idle(GOAL) == (), "these answers may be its"
    with pytest.raises(
        InconclusiveError, match=r"by worker: worker-1 \d+, worker-2 0.*each takes 90 answers"
    ):
        examined(Fake(idle=True, stuck_after=60))


def test_a_lie_outweighs_that_time_was_up() -> None:
    """Another worker was not known yet: it fails all the same."""
    fake = Fake(share=1.0)
    tally = Tally({**WORKERS, "worker-3": frozenset({"3" * 12})})
    with pytest.raises(CheckFailedError, match="by worker-2"):
        examine(fake.judge0, CAPABILITIES, tally, GOAL, seed="seed", clock=Ticking())


def test_programs_that_never_end_are_told() -> None:
    """No answer is neither right nor wrong."""
    with pytest.raises(InconclusiveError, match=r"after 60 s: 0 programs, .* 40 had not ended"):
        examined(Fake(stuck=True))


def test_a_full_queue_is_waited_for() -> None:
    """The deployment's pace is kept to: the same programs again, and none is lost."""
    fake = Fake(full=5)
    tally = examined(fake)
    assert tally.answers.total() == len(fake.created)


def test_a_judge0_without_batches_is_asked_one_by_one() -> None:
    """Created and looked at the plain way."""
    fake = Fake(batches=False)
    capabilities = Capabilities(**{**CAPABILITIES.to_dict(), "batches": False})
    tally = Tally(WORKERS)
    examine(fake.judge0, capabilities, tally, GOAL, seed="seed", clock=Ticking())
    assert (tally.wrong_answers, tally.answers.total()) == ([], len(fake.created))


def test_a_judge0_without_our_languages_is_told() -> None:
    """Nothing can be said of its workers."""
    capabilities = Capabilities(**{**CAPABILITIES.to_dict(), "ids": {}})
    with pytest.raises(InconclusiveError, match="none of the languages of our programs: bash, python"):
        examine(Fake().judge0, capabilities, Tally(WORKERS), GOAL, seed="seed", clock=Ticking())


def test_the_pace_leaves_room_in_the_queue() -> None:
    """At most half of what Judge0's queue takes is ours."""
    assert (pace_of(CAPABILITIES).batch, pace_of(CAPABILITIES).most) == (20, 40)
    small = pace_of(Capabilities(**{**CAPABILITIES.to_dict(), "queue_limit": 10}))
    assert (small.batch, small.most) == (5, 5)


@pytest.fixture(scope="module")
def offered() -> list[Program]:
    """The first programs of a seed."""
    return list(islice(programs("seed", IDS), 400))


def test_every_program_has_an_answer_of_its_own(offered: list[Program]) -> None:
    """What is remembered or constant is wrong; every kind and language comes."""
    answers = Counter(each.stdout or each.quotes for each in offered)
    assert max(answers.values()) == 1
    assert {each.statuses[0] for each in offered} == {3, 4, 6, 11}
    assert {each.language for each in offered} == set(IDS)
    assert offered[:50] == list(islice(programs("seed", IDS), 50))
    assert offered[0] != next(programs("other", IDS))


def test_programs_really_answer_so(offered: list[Program]) -> None:
    """Run here: the output, the exit status, and marks of this place."""
    commands = {"bash": ("bash", "-c"), "python": ("python3", "-c")}
    kinds = {(each.language, each.statuses[0]): each for each in offered if each.stdout is not None}
    assert len(kinds) == 6
    for (language, status), program in kinds.items():
        ended = subprocess.run(
            [*commands[language], program.source],
            input=program.extra["stdin"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.stdout.strip() == program.stdout
        assert bool(ended.returncode) == (status == 11)
        assert fingerprints(ended.stderr)


def test_marks_that_several_machines_have_are_nobodys() -> None:
    """Machines of an emulator share a kernel, so its boot id tells nothing."""
    boot = "377573440721"
    own = distinct({"worker-1": {boot, "a" * 12}, "worker-2": {boot, "b" * 12}})
    assert own == {"worker-1": {"a" * 12}, "worker-2": {"b" * 12}}
    tally = Tally(own)
    assert [tally.worker_of(text) for text in (boot, "b" * 64, "a" * 12 + " " + "b" * 12)] == [
        "",
        "worker-2",
        "",
    ]


@pytest.fixture
def broken(offered: list[Program]) -> Program:
    """One that does not compile."""
    return next(each for each in offered if each.stdout is None)


def test_a_compiler_must_quote_its_own_program(broken: Program) -> None:
    """The error of another program is as wrong as none."""
    assert broken.language in BROKEN
    told = right(broken, "")
    assert wrong(broken, told) == ""
    other = Submission("t", 6, ENDS[6], "", "", "error: another", "")
    assert "expected Compilation Error that says wt" in wrong(broken, other)
    assert wrong(broken, None) == "Judge0 does not know what it took"
