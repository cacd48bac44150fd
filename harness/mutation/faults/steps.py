"""Doing and undoing one step, by whatever means it takes."""

from __future__ import annotations

from collections.abc import Callable

from harness.core.errors import CheckError, WavetankError
from harness.core.signals import deferred
from harness.core.wait import wait_for
from harness.isolation.counted import tampering
from harness.mutation.apply import NotRestoredError
from harness.mutation.faults import journal
from harness.mutation.faults.model import Step
from harness.run.rundir import RunDir
from harness.run.session import Session
from harness.target.emulator_api import EmulatorApi
from harness.target.target import Target
from harness.verify.databases import users

STEP_SECONDS = 150.0
UNDO_SECONDS = 300.0


Do = Callable[[Step], object]


def carry_out(session: Session, step: Step) -> None:
    """Do it. Raises ``WavetankError`` or ``CheckError`` where it did not work."""
    match step.by:
        case "ssh":
            session.access.run(step.where, step.what, deadline=STEP_SECONDS)
        case "fabric":
            _tamper(session.target, step.what)
        case "database":
            node = session.topology.databases[step.where].trusted_sources[0]
            work = users.open_ if step.what == "open" else users.close
            work(session.access, node, session.deployment.databases[step.where])


def _tamper(target: Target, fault: str) -> None:
    if not fault:
        tampering.restore(target)
        return
    with EmulatorApi(target) as emulator:
        emulator.ask("POST", "/ruleset/faults", {"fault": fault})


def undo(do: Do, step: Step, run_dir: RunDir) -> None:
    """Undo, again and again until it works, even when asked to stop. Raises ``NotRestoredError``."""
    with deferred():
        try:
            wait_for(
                "what was broken to be restored",
                lambda: do(step),
                deadline=UNDO_SECONDS,
                max_pause=2.0,
                tolerate=(WavetankError, CheckError),
            )
        except WavetankError as error:
            raise NotRestoredError(
                run_dir.run, f"what a fault broke: {step.by} {step.where}", error
            ) from error
        journal.forget(run_dir)


def restore(do: Do, run_dir: RunDir) -> bool:
    """Undo what an earlier process that was killed has left; returns whether there was anything."""
    left = journal.read(run_dir)
    if left is not None:
        undo(do, left, run_dir)
    return left is not None
