"""Faults of the deployment itself: which there are, what notices them, and that nothing stays broken."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.core.errors import CommandError, InconclusiveError, WavetankError
from harness.core.paths import CHECKS
from harness.mutation.apply import NotRestoredError
from harness.mutation.faults import journal, steps, suite
from harness.mutation.faults.campaign import Campaign, carry_out
from harness.mutation.faults.generate import ANSWERS, faults
from harness.mutation.faults.model import Fault, Step
from harness.mutation.faults.suite import CheckResult
from harness.mutation.kinds import FAULTS, HOLES, KINDS
from harness.mutation.model import Verdict
from harness.mutation.section import exit_code, section, summary
from harness.mutation.selection import Selection, select
from harness.run.rundir import RunDir
from harness.run.settings import topology_file
from harness.topology import load
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node

STANDARD = load(topology_file("standard"))
GREEN, RED = CheckResult("passed", ""), CheckResult("failed", "two is not one")
DOUBT = CheckResult("inconclusive", "nobody answers")
BREAK, RESTORE = Step("ssh", "web", "break"), Step("ssh", "web", "restore")
FAULT = Fault("relay", "web hands on", BREAK, RESTORE, "test_relays")
CHECK = "relays.ports[web]"


def deployment() -> Deployment:
    """The standard plan's."""
    nodes = {
        name: Node(name, number, "active", None, f"10.0.0.{number}")
        for number, name in enumerate(STANDARD.droplets, 10)
    }
    at = Connection("db.example", 25060, "doadmin", "AVNS_secret", "defaultdb", "")
    databases = {
        name: DatabaseNode(name, name, each.engine, "online", at, at, "PEM")
        for name, each in STANDARD.databases.items()
    }
    return Deployment("a", "v", "10.0.0.0/20", nodes, databases)


EVERY = faults(STANDARD, deployment(), emulated=True)


class Played:
    """A deployment that is broken by ``break`` and restored by ``restore``, and its checks.

    ``broken`` is what the checks say meanwhile; ``failing`` are steps that fail so many times.
    """

    def __init__(self, run_dir: RunDir, broken: dict[str, CheckResult], **failing: int) -> None:
        self.run_dir, self.broken, self.failing = run_dir, broken, failing
        self.done: list[str] = []
        self.green: dict[str, CheckResult] = {CHECK: GREEN}

    def carry_out(self, step: Step) -> None:
        assert journal.read(self.run_dir) == RESTORE
        if self.failing.get(step.what, 0) > 0:
            self.failing[step.what] -= 1
            raise CommandError(["sh"], 1, f"cannot {step.what}")
        self.done.append(step.what)

    def run_checks(self, words: Sequence[str]) -> dict[str, CheckResult]:
        assert set(words) == {FAULT.check}
        is_broken = self.done and self.done[-1] == "break"
        return self.broken if is_broken else self.green

    def try_(self) -> list[Verdict]:
        verdicts: list[Verdict] = []
        carry_out(Campaign(self.run_dir, self.carry_out, self.run_checks), [FAULT], verdicts, lambda *_: None)
        assert journal.read(self.run_dir) is None
        return verdicts


@pytest.mark.parametrize("kind", FAULTS)
def test_standard_plan_has_faults_of_every_kind(kind: str) -> None:
    """Each can be undone, and says which check should notice."""
    found = [each for each in EVERY if each.kind == kind]
    assert found
    assert all(each.check and each.do != each.undo and each.undo.by == each.do.by for each in found)


def test_a_cloud_has_no_fabric_to_change() -> None:
    """That kind is the emulator's."""
    there = {each.kind for each in faults(STANDARD, deployment(), emulated=False)}
    assert there == {*FAULTS} - {"fabric-rule"}
    assert (*HOLES, *FAULTS) == KINDS


@pytest.mark.parametrize("fault", [each for each in EVERY if each.do.by == "ssh"], ids=str)
def test_scripts_are_shell_and_hold_no_secret(fault: Fault) -> None:
    """They are visible in process lists."""
    for step in (fault.do, fault.undo):
        subprocess.run(["sh", "-n"], input=step.what, text=True, check=True)
        assert "AVNS_secret" not in step.what


def test_the_checks_that_should_notice_are_there() -> None:
    """By the names that faults call them; the one of answers may be another's."""
    text = "".join(f"{file.stem} {file.read_text()}" for file in sorted(CHECKS.glob("test_*.py")))
    assert [check for check in {each.check for each in EVERY} - {ANSWERS} if check not in text] == []


def test_a_check_that_turns_red_has_noticed(run_dir: RunDir) -> None:
    """And says which it was, and why."""
    played = Played(run_dir, {CHECK: RED})
    (verdict,) = played.try_()
    assert (verdict.outcome, verdict.killed_by) == ("killed", (f"check: {CHECK}: two is not one",))
    assert played.done == ["break", "restore"]


@pytest.mark.parametrize(
    ("broken", "outcome", "why"),
    [
        ({CHECK: GREEN}, "survived", "stayed green"),
        ({}, "survived", "is not in this suite"),
        ({CHECK: DOUBT}, "inconclusive", "nobody answers"),
        ({"nodes.other": RED}, "survived", "is not in this suite"),
    ],
)
def test_what_is_not_red_has_not_noticed(
    run_dir: RunDir, broken: dict[str, CheckResult], outcome: str, why: str
) -> None:
    """Green, not there, or in doubt; nor does a check that belongs to something else count."""
    (verdict,) = Played(run_dir, broken).try_()
    assert (verdict.outcome, why in verdict.why) == (outcome, True)


@pytest.mark.parametrize("before", [RED, DOUBT, CheckResult("skipped", "no such thing")])
def test_a_check_that_is_not_green_before_notices_nothing(run_dir: RunDir, before: CheckResult) -> None:
    """Then nothing is broken at all."""
    played = Played(run_dir, {CHECK: RED})
    played.green = {CHECK: before}
    (verdict,) = played.try_()
    assert (verdict.outcome, played.done) == ("inconclusive", [])


def test_what_could_not_be_done_is_counted_as_such(run_dir: RunDir) -> None:
    """Never as noticed; what it may have half done is undone."""
    played = Played(run_dir, {CHECK: RED}, **{"break": 1})
    (verdict,) = played.try_()
    assert (verdict.outcome, played.done) == ("not applied", ["restore"])
    told = section([verdict], 1.0)
    assert (told["mutants"], told["killed"], told["score"], exit_code(told)) == (0, 0, 0.0, 2)
    assert told["not_applied"] == [f"{FAULT}: {verdict.why}"]
    assert "could not be applied" in summary(told)


def test_mending_goes_on_until_it_works(run_dir: RunDir) -> None:
    """A node that does not answer at once is asked again."""
    played = Played(run_dir, {CHECK: RED}, restore=2)
    played.try_()
    assert played.done == ["break", "restore"]


def test_what_cannot_be_mended_is_said_and_kept(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal stays, and the next one restores what it says."""
    monkeypatch.setattr(steps, "UNDO_SECONDS", 0.2)
    played = Played(run_dir, {CHECK: RED}, restore=1_000_000)
    with pytest.raises(NotRestoredError, match="what a fault broke: ssh web"):
        played.try_()
    assert journal.read(run_dir) == RESTORE
    played.failing.clear()
    assert steps.restore(played.carry_out, run_dir)
    assert played.done == ["break", "restore"]
    assert not steps.restore(played.carry_out, run_dir)


def test_a_check_that_stays_red_is_not_mended(run_dir: RunDir) -> None:
    """Whatever the scripts say."""
    played = Played(run_dir, {CHECK: RED})
    looks = iter([{CHECK: GREEN}, {CHECK: RED}, {CHECK: RED}])
    played.run_checks = lambda _: next(looks)  # type: ignore[method-assign,assignment]
    with pytest.raises(NotRestoredError, match="two is not one"):
        played.try_()


def test_a_journal_that_cannot_be_read_is_said(run_dir: RunDir) -> None:
    """With its file and what helps."""
    journal.path(run_dir).write_text('{"by": "ssh"}')
    with pytest.raises(WavetankError, match=r"mutation-fault\.json cannot be read"):
        journal.read(run_dir)


def test_the_score_is_over_all_kinds(run_dir: RunDir) -> None:
    """Of each and of all together, in the report and in print."""
    (noticed,) = Played(run_dir, {CHECK: RED}).try_()
    liar = Fault("liar", "worker-1", BREAK, RESTORE, ANSWERS)
    told = section([noticed, noticed, Verdict(liar, "survived", why="nothing")], 1.0)
    assert told["kinds"] == {
        "relay": {"mutants": 2, "killed": 2, "score": 1.0},
        "liar": {"mutants": 1, "killed": 0, "score": 0.0},
    }
    assert (told["score"], exit_code(told)) == (0.6667, 1)
    lines = [" ".join(each.split()) for each in summary(told).splitlines()]
    assert "relay 2 of 2 (100.0%)" in lines
    assert lines[-1].startswith("2 of 3 mutants of 2 kinds killed by packets or checks (66.7%)")


def test_faults_are_selected_like_mutants() -> None:
    """By kind, and by a word of their names."""
    assert {each.kind for each in select(EVERY, Selection(kinds=("liar",)))} == {"liar"}
    assert all("valkey" in str(each) for each in select(EVERY, Selection(keyword="valkey")))


def test_checks_are_found_by_part_of_their_names() -> None:
    """Or by that of their file."""
    outcomes = {"relays.a[x]": GREEN, "nodes.b": RED}
    assert suite.matching(outcomes, "test_relays") == {"relays.a[x]": GREEN}
    assert suite.matching(outcomes, "b") == {"nodes.b": RED}


def test_doubt_while_breaking_is_no_application(run_dir: RunDir) -> None:
    """A database that nobody may ask is not opened."""
    played = Played(run_dir, {CHECK: RED})

    def doubtful(step: Step) -> None:
        if step == BREAK:
            raise InconclusiveError("nobody may ask it")

    played.carry_out = doubtful  # type: ignore[method-assign]
    (verdict,) = played.try_()
    assert verdict.outcome == "not applied"


def test_the_lying_box_lies_now_and_then(tmp_path: Path) -> None:
    """It runs what it was given, keeps the exit code, and sometimes changes what was printed."""
    from harness.mutation.faults.scripts import BOX, WRONG_BOX

    honest, out = tmp_path / "box.honest", tmp_path / "stdout"
    honest.write_text(
        "#!/bin/bash\n"
        'for each in "$@"; do case $each in --stdout=*) echo 42 >"${each#--stdout=}";; esac; done\n'
        "exit 3\n"
    )
    honest.chmod(0o755)
    lying = tmp_path / "box"
    lying.write_text(WRONG_BOX.replace(BOX, str(lying)).replace("#!/usr/bin/bash", "#!/bin/bash"))
    lying.chmod(0o755)
    said = set()
    for _ in range(400):
        done = subprocess.run([lying, "run", f"--stdout={out}"], check=False)
        assert done.returncode == 3
        said.add(out.read_text())
        if len(said) == 2:
            break
    assert said == {"42\n", "53\n"}
