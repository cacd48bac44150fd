"""The shell of an action and of a GitLab job, run as they run it, with a ``wavetank`` that only remembers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Each call is one line in the file CALLS, its words between tabs. GATE is the gate's exit code.
REMEMBER = """#!/bin/bash
{ printf '%s' "$(basename "$0")"; printf '\\t%s' "$@"; printf '\\n'; } >> "$CALLS"
"""
WAVETANK = f'{REMEMBER}[ "$1" != gate ] || exit "$GATE"\n'
# Makes the environment that it is asked for: `python3 -m venv DIRECTORY`.
PYTHON = f'{REMEMBER}mkdir -p "$3/bin" && cp "$FAKES/pip" "$FAKES/wavetank" "$3/bin"\n'
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
SECONDS = 30


@dataclass
class Shell:
    """A runner: the directory of the user's repository, what is installed there, and what was called."""

    directory: Path
    gate: int = 0
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fakes = self.directory.parent / "fakes"
        fakes.mkdir()
        self.directory.mkdir(exist_ok=True)
        for name, text in (("wavetank", WAVETANK), ("pip", REMEMBER), ("python3", PYTHON)):
            (fakes / name).write_text(text)
            (fakes / name).chmod(0o755)
        tools = fakes / "path"  # of what is installed, Python and no wavetank
        tools.mkdir()
        shutil.copy2(fakes / "python3", tools)
        self.environment |= {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "CALLS": str(fakes / "calls"),
            "FAKES": str(fakes),
            "GATE": str(self.gate),
        }

    def run(self, script: str, **variables: str) -> int:
        """Run a script as both services do: it ends with the first command that fails."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.directory,
            env={**self.environment, **variables},
            timeout=SECONDS,
            check=False,
        ).returncode

    @property
    def calls(self) -> list[list[str]]:
        """Every call so far: the program and its arguments."""
        told = Path(self.environment["CALLS"])
        return [line.split("\t") for line in told.read_text().splitlines()] if told.exists() else []

    def of(self, program: str) -> list[list[str]]:
        """The arguments of each call of one program."""
        return [[word for word in words if word] for name, *words in self.calls if name == program]


def action(shell: Shell, document: Any, given: Mapping[str, str], *, event: str) -> bool:
    """Run a composite action's steps as GitHub does; whether all went well. ``given`` are its inputs."""
    inputs = {name: given.get(name, each["default"]) for name, each in document["inputs"].items()}
    known = {f"inputs.{name}": value for name, value in inputs.items()}
    known["github.action_path"] = "/actions/wavetank"
    files = {name: str(shell.directory.parent / name) for name in ("GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    shell.environment |= {**files, "RUNNER_TEMP": str(shell.directory.parent / "temp")}
    well = True
    for step in document["runs"]["steps"]:
        if "run" not in step or not _wanted(step.get("if"), well=well, event=event):
            continue
        assert not EXPRESSION.search(step["run"]), "what others write would be run as shell"
        variables = {
            name: EXPRESSION.sub(lambda found: known[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        well = shell.run(step["run"], **variables) == 0 and well
        _add_to_path(shell)
    return well


def _wanted(condition: str | None, *, well: bool, event: str) -> bool:
    """Whether a step is run. Only the conditions that we use are known: another one is an error."""
    by_hand = well and event == "workflow_dispatch"
    return {
        None: well,
        "always()": True,
        "failure()": not well,
        "github.event_name == 'workflow_dispatch'": by_hand,
    }[condition]


def _add_to_path(shell: Shell) -> None:
    file = Path(shell.environment["GITHUB_PATH"])
    if file.exists():
        added = file.read_text().split()
        shell.environment["PATH"] = ":".join([*added, shell.environment["PATH"]])
        file.unlink()


def gitlab(shell: Shell, document: Any, given: Mapping[str, str], *, source: str) -> bool:
    """Run a GitLab file's job: its script, then in a shell of its own what comes after."""
    job = document["wavetank"]
    variables = {**document["variables"], **given, "CI_PIPELINE_SOURCE": source}
    well = shell.run("\n".join([*job["before_script"], *job["script"]]), **variables) == 0
    shell.run("\n".join(job["after_script"]), **variables, CI_JOB_STATUS="success" if well else "failed")
    return well
