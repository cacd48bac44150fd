"""How to undo what may be broken, on disk, so that even ``kill -9`` leaves a way back."""

from __future__ import annotations

import json
import os
from pathlib import Path

from harness.core.errors import WavetankError
from harness.mutation.faults.model import Step
from harness.run.rundir import RunDir

FILE = "mutation-fault.json"


def write(run_dir: RunDir, undo: Step) -> None:
    """Keep ``undo``, on the disk when this returns."""
    fresh = run_dir.path / f".{FILE}-{os.getpid()}"
    with fresh.open("w") as file:
        json.dump(undo.to_json(), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path(run_dir))


def read(run_dir: RunDir) -> Step | None:
    """What an earlier process has not undone; None where there is nothing. Raises ``WavetankError``."""
    try:
        return Step.from_json(json.loads(path(run_dir).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise WavetankError(
            f"{path(run_dir)} cannot be read ({error}): what a mutation has left broken is not known; "
            f"`wavetank down --run {run_dir.run}` and `up` make it anew"
        ) from error


def forget(run_dir: RunDir) -> None:
    """Nothing is left to be undone."""
    path(run_dir).unlink(missing_ok=True)


def path(run_dir: RunDir) -> Path:
    """Where it lies."""
    return run_dir.path / FILE
