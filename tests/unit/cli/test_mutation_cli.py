"""``wavetank mutate`` before anything is changed: what it refuses, and what ``up`` settles after it."""

from __future__ import annotations

from tests_cli import Outcome, Stage

from harness.firewall.model import FirewallState
from harness.mutation import journal
from harness.run.rundir import RunDir


def call(stage: Stage, command: str, *arguments: object) -> Outcome:
    """A command on the stage's target."""
    return stage.wavetank(command, "--target=do", f"--state-dir={stage.state_dir}", *arguments)


def test_holes_in_a_cloud_need_consent(stage: Stage) -> None:
    """Without a terminal and without --yes nothing is changed."""
    assert call(stage, "up", "--yes", "--run=a").code == 0
    refused = call(stage, "mutate")
    assert refused.code == 4
    assert "weakens the firewalls of run 'a' on do" in refused.err
    assert "--yes" in refused.err


def test_what_is_not_up_cannot_be_mutated(stage: Stage) -> None:
    """Neither a run that was taken down, nor none at all."""
    assert call(stage, "mutate", "--yes").code == 4
    assert call(stage, "up", "--yes", "--run=a").code == 0
    assert call(stage, "down", "--yes").code == 0
    gone = call(stage, "mutate", "--yes")
    assert gone.code == 4
    assert "is not (all) up" in gone.err


def test_an_unknown_kind_is_refused(stage: Stage) -> None:
    """With those there are."""
    refused = call(stage, "mutate", "--only=holes")
    assert refused.code == 4
    assert "'rule-removed'" in refused.err


def test_up_settles_what_a_killed_mutation_left(stage: Stage) -> None:
    """It makes the firewalls what the topology says, so there is nothing to be put back any more."""
    assert call(stage, "up", "--yes", "--run=a").code == 0
    run_dir = RunDir(stage.state_dir, "a")
    journal.write(run_dir, FirewallState())
    assert call(stage, "up", "--run=a").code == 0
    assert journal.read(run_dir) is None
